# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests of k2k-auditd and of 'audit verify'; included by CMakeLists.txt beside it. Each function
# cli_... of a script is its own test.

if(NOT TARGET k2k-auditd)
  return()
endif()

k2k_script_tests(cli SCRIPTS cli_auditd cli_verify cli_follow ARGS $<TARGET_FILE:k2k-tenantctl> $<TARGET_FILE:cli_broker>
  ENVIRONMENT "K2K_AUDITD=$<TARGET_FILE:k2k-auditd>")

k2k_test(NAME unit_auditd TIMEOUT 300 SHARED)
target_link_libraries(unit_auditd PRIVATE k2k-audit-log)

k2k_test(NAME process_auditd LABEL process TIMEOUT 300 SHARED)
target_compile_definitions(process_auditd PRIVATE K2K_AUDITD="$<TARGET_FILE:k2k-auditd>"
  K2K_TENANTCTL="$<TARGET_FILE:k2k-tenantctl>")
add_dependencies(process_auditd k2k-auditd k2k-tenantctl)
set_tests_properties(process_auditd PROPERTIES LABELS "process;timed")
