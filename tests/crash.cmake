# SPDX-License-Identifier: LGPL-2.1-or-later
# Operations killed at any instruction, on x86-64. scripts/crash-test runs all of it; a plain ctest
# takes a sample.
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64" AND NOT K2K_SANITIZE)
  set(programs crash_points crash_recovery crash_instructions crash_audit)
  set(samples 16 60 90 12) # of so many cases one, and of its points one in so many: some 400 kills
  set(cases 4 4 8 1)
  foreach(program sample case IN ZIP_LISTS programs samples cases)
    k2k_test(NAME ${program} EACH LABEL crash TIMEOUT 1200
      ENVIRONMENT "K2K_CRASH_EVERY=${sample}" "K2K_CRASH_CASES=${case}" K2K_CRASH_SEED=3)
  endforeach()
  # Not killed, but interrupted after each instruction. That is some 100,000 changes between two
  # processes, each of which waits for a processor if the machine is loaded.
  foreach(program IN ITEMS process_torn process_between process_between_calls process_between_modes
      process_between_leases process_between_reserve process_between_trail process_between_hot process_between_kernels)
    k2k_test(NAME ${program} SOURCES ${CMAKE_CURRENT_LIST_DIR}/${program}.c LABEL process TIMEOUT 1200
      ENVIRONMENT K2K_TEST_TIMEOUT=600)
    set_tests_properties(${program} PROPERTIES COST 30)
  endforeach()
  foreach(program IN ITEMS crash_points crash_recovery crash_instructions)
    target_link_options(${program} PRIVATE -Wl,--wrap=mmap,--wrap=mmap64) # crash_stores.h
  endforeach()
  set_tests_properties(crash_instructions.no_store_is_left_out PROPERTIES COST 20) # seconds
endif()

# The table of scripts/crash-test.
k2k_script_tests(crash SCRIPTS crash_table ARGS ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}
  LABEL crash)
