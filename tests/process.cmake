# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests with several real processes; included by CMakeLists.txt beside it.
foreach(test IN ITEMS process_create process_lease process_used_up process_register process_batch process_stop process_life process_fence
    process_kill process_quiet process_trail)
  k2k_test(NAME ${test} LABEL process TIMEOUT 300 SHARED)
endforeach()
k2k_test(NAME process_windows LABEL process TIMEOUT 300)
k2k_test(NAME process_steps LABEL process TIMEOUT 300)
k2k_test(NAME process_follow LABEL process TIMEOUT 300)
k2k_test(NAME process_rights LABEL process TIMEOUT 300 SHARED)
# all system calls of one thread of the program: the wrappers are the library's, too
k2k_test(NAME process_failures LABEL process TIMEOUT 300 EACH)
target_link_options(process_failures PRIVATE
                    -Wl,--wrap=malloc,--wrap=calloc,--wrap=aligned_alloc,--wrap=fopen,--wrap=opendir,--wrap=pthread_create)
k2k_test(NAME process_limits LABEL process TIMEOUT 300 SHARED)
k2k_test(NAME process_descriptors LABEL process TIMEOUT 300 SHARED)
k2k_test(NAME process_view LABEL process TIMEOUT 300 SHARED EACH)
k2k_test(NAME process_fork LABEL process TIMEOUT 300 SHARED)
target_link_libraries(process_fork PRIVATE PkgConfig::URCU_BP)
k2k_test(NAME process_threads LABEL process TIMEOUT 300 SHARED)
target_link_libraries(process_threads PRIVATE ${CMAKE_DL_LIBS})
k2k_test(NAME process_second LABEL process TIMEOUT 300 SHARED)
target_link_libraries(process_second PRIVATE PkgConfig::URCU_BP)
# counts whole seconds: every process must get its turn in each
k2k_test(NAME process_rate LABEL process TIMEOUT 300 SHARED SERIAL)
# compares what two processors do
k2k_test(NAME process_audit_flood LABEL process TIMEOUT 400 SHARED SERIAL)

# not linked with the library: it loads it. The runtime of a sanitizer would have to come first, and has TLS of its own.
if(NOT K2K_SANITIZE)
  k2k_test(NAME process_dlopen LABEL process TIMEOUT 300 SHARED)
  add_library(process_dlopen_tls MODULE ${CMAKE_CURRENT_LIST_DIR}/process_dlopen_tls.c)
  target_link_libraries(process_dlopen PRIVATE ${CMAKE_DL_LIBS})
  target_compile_definitions(process_dlopen PRIVATE K2K_LIBRARY="$<TARGET_FILE:k2k-registry>"
                             K2K_TLS_EATER="$<TARGET_FILE:process_dlopen_tls>")
  add_dependencies(process_dlopen process_dlopen_tls)
endif()
