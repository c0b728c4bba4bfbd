# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests of k2k-tenantctl; included by CMakeLists.txt beside it. Each function cli_... of a script is
# its own test.

if(NOT TARGET k2k-tenantctl)
  return()
endif()

k2k_test(NAME unit_units LIBRARIES k2k-common TIMEOUT 300)

add_executable(cli_broker ${CMAKE_CURRENT_LIST_DIR}/cli_broker.c)
target_include_directories(cli_broker PRIVATE ${PROJECT_SOURCE_DIR}/include)
target_link_libraries(cli_broker PRIVATE k2k-registry)

k2k_script_tests(cli SCRIPTS cli_command_line cli_exit_codes cli_document cli_alerts cli_rates cli_registry cli_save cli_tenant cli_units cli_usage cli_kernels cli_what_if
  cli_rights cli_audit cli_top cli_terminal
  ARGS $<TARGET_FILE:k2k-tenantctl> $<TARGET_FILE:cli_broker>)
set_tests_properties(cli_a_list_of_5000_tenants_is_fast PROPERTIES LABELS "cli;timed")
