# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests of the library in one process that controls the clock; included by CMakeLists.txt beside it.
foreach(test IN ITEMS unit_reference unit_parity unit_parity_totals unit_limits unit_leases unit_kernels unit_reserve unit_periods unit_alerts unit_deregister unit_recovery unit_second unit_hot unit_simulation unit_shares
    unit_restore unit_structs unit_shadow unit_names unit_trail unit_trail_threads unit_trail_repeats unit_assertions)
  k2k_test(NAME ${test} EACH TIMEOUT 300)
endforeach()

# On machines that booted 3 seconds ago, and almost 2^30. Tests inject second 1000, so a thread that
# reads the real clock is behind the tests in one, and ahead of them in the other.
if(NOT K2K_SANITIZE AND NOT CMAKE_CROSSCOMPILING)
  add_library(boot_time MODULE boot_time.c)
  foreach(test IN ITEMS unit_reference unit_limits unit_leases unit_reserve unit_recovery unit_second unit_restore unit_trail unit_trail_threads
      unit_audit unit_audit_sink unit_audit_threads unit_damage unit_shares)
    foreach(second IN ITEMS 3 1073738000)
      add_test(NAME boot_time_${second}.${test} COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/boot_time.sh $<TARGET_FILE:boot_time>
               ${second} $<TARGET_FILE:${test}>)
      set_tests_properties(boot_time_${second}.${test} PROPERTIES LABELS unit TIMEOUT 300 SKIP_RETURN_CODE 77)
    endforeach()
  endforeach()
  # of the instructions and stores at which they interrupt or kill, a sample
  set(processes process_shares process_alerts)
  if(TARGET process_between_calls)
    list(APPEND processes process_between_calls process_between_reserve process_between_leases process_torn crash_audit)
  endif()
  foreach(test IN LISTS processes)
    add_test(NAME boot_time_3.${test} COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/boot_time.sh $<TARGET_FILE:boot_time> 3 $<TARGET_FILE:${test}>)
    set_tests_properties(boot_time_3.${test} PROPERTIES LABELS process TIMEOUT 300 SKIP_RETURN_CODE 77
                         ENVIRONMENT "K2K_TEST_EVERY=20;K2K_CRASH_EVERY=40")
  endforeach()
endif()

# Example programs are built without sanitizers: their runtime would have to be loaded first.
if(NOT K2K_SANITIZE)
  add_test(NAME the_example_of_the_readme_works
           COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/readme_example.sh ${PROJECT_SOURCE_DIR}/README.md ${CMAKE_C_COMPILER}
                   ${PROJECT_SOURCE_DIR}/include $<TARGET_FILE:k2k-registry>)
  set_tests_properties(the_example_of_the_readme_works PROPERTIES LABELS process TIMEOUT 300)
endif()
