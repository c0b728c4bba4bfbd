# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests with several real processes; included by CMakeLists.txt beside it.
foreach(test IN ITEMS process_create process_lease process_reserve process_used_up process_many process_register process_batch process_stop process_life process_fence
    process_kill process_quiet process_trail)
  k2k_test(NAME ${test} LABEL process TIMEOUT 300 SHARED)
endforeach()
k2k_test(NAME process_windows LABEL process TIMEOUT 300)
k2k_test(NAME process_kernels LABEL process TIMEOUT 300)
k2k_test(NAME process_hot LABEL process TIMEOUT 300)
k2k_test(NAME process_shares LABEL process TIMEOUT 300)
k2k_test(NAME process_shadow LABEL process TIMEOUT 300)
k2k_test(NAME process_alerts LABEL process TIMEOUT 300)
k2k_test(NAME process_periods LABEL process TIMEOUT 300)
k2k_test(NAME process_steps LABEL process TIMEOUT 300)
k2k_test(NAME process_follow LABEL process TIMEOUT 300)
k2k_test(NAME process_rights LABEL process TIMEOUT 300 SHARED)
# skipped with sanitizers: the refused calls and failing allocations would hit their runtime, too
set(skip)
if(K2K_SANITIZE)
  set(skip ENVIRONMENT "K2K_TEST_SKIP=each_system_call_of_create_open_close_and_destroy_may_fail \
each_system_call_of_a_change_may_fail each_system_call_of_a_look_or_of_use_may_fail \
what_open_is_refused_for_lack_of_names_the_limit a_process_that_locks_all_its_memory_is_told_of_that_limit \
a_sandbox_entered_after_open_may_refuse_to_open_files_to_map_memory_and_to_start_threads \
a_sandbox_may_allow_just_the_system_calls_that_are_documented")
endif()
k2k_test(NAME process_failures LABEL process TIMEOUT 300 EACH ${skip})
target_link_options(process_failures PRIVATE
                    -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=aligned_alloc,--wrap=fopen,--wrap=opendir,--wrap=pthread_create)
k2k_test(NAME process_limits LABEL process TIMEOUT 300 SHARED ${skip})
k2k_test(NAME process_descriptors LABEL process TIMEOUT 300 SHARED)
k2k_test(NAME process_view LABEL process TIMEOUT 300 SHARED EACH ${skip})
k2k_test(NAME process_fork LABEL process TIMEOUT 300 SHARED)
target_link_libraries(process_fork PRIVATE PkgConfig::URCU_BP)
k2k_test(NAME process_threads LABEL process TIMEOUT 300 SHARED)
target_link_libraries(process_threads PRIVATE ${CMAKE_DL_LIBS})
k2k_test(NAME process_second LABEL process TIMEOUT 300 SHARED)
target_link_libraries(process_second PRIVATE PkgConfig::URCU_BP)
k2k_test(NAME process_rate LABEL process TIMEOUT 300 SHARED)
# compares work on two processors
k2k_test(NAME process_audit_flood LABEL process TIMEOUT 400 SHARED SERIAL)
# fail if something took longer than a second or two
set_tests_properties(process_audit_flood process_stop process_kill PROPERTIES LABELS "process;timed")

# Loads the library instead of linking with it. A sanitizer's runtime would have to be loaded first,
# and uses static TLS itself.
if(NOT K2K_SANITIZE)
  k2k_test(NAME process_dlopen LABEL process TIMEOUT 300 SHARED)
  add_library(process_dlopen_tls MODULE ${CMAKE_CURRENT_LIST_DIR}/process_dlopen_tls.c)
  target_link_libraries(process_dlopen PRIVATE ${CMAKE_DL_LIBS})
  target_compile_definitions(process_dlopen PRIVATE K2K_LIBRARY="$<TARGET_FILE:k2k-registry>"
                             K2K_TLS_EATER="$<TARGET_FILE:process_dlopen_tls>")
  add_dependencies(process_dlopen process_dlopen_tls)
endif()
