# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests with several real processes; included by CMakeLists.txt beside it.
foreach(test IN ITEMS process_create process_lease process_register process_batch process_stop process_life process_fence
    process_kill process_quiet process_trail)
  k2k_test(NAME ${test} LABEL process TIMEOUT 120 SHARED)
endforeach()
k2k_test(NAME process_windows LABEL process TIMEOUT 120)
k2k_test(NAME process_steps LABEL process TIMEOUT 120)
k2k_test(NAME process_follow LABEL process TIMEOUT 120)
k2k_test(NAME process_rights LABEL process TIMEOUT 60 SHARED)
k2k_test(NAME process_fork LABEL process TIMEOUT 150 SHARED)
target_link_libraries(process_fork PRIVATE PkgConfig::URCU_BP)
# counts whole seconds: every process must get its turn in each
k2k_test(NAME process_rate LABEL process TIMEOUT 120 SHARED SERIAL)
# compares what two processors do
k2k_test(NAME process_audit_flood LABEL process TIMEOUT 240 SHARED SERIAL)
