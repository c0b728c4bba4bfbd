# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests of k2k-fleetctl and k2k-fleetd beside a real PostgreSQL; included by CMakeLists.txt beside it.
if(NOT TARGET k2k-fleetd)
  return()
endif()

k2k_test(NAME unit_fleet SOURCES unit_fleet.c ${PROJECT_SOURCE_DIR}/tools/k2k-fleetd/pace.c LIBRARIES k2k-fleet-db)

set(fleet_arguments ARGS $<TARGET_FILE:k2k-tenantctl> $<TARGET_FILE:cli_broker> LABEL fleet
  ENVIRONMENT "K2K_FLEETCTL=$<TARGET_FILE:k2k-fleetctl>" "K2K_FLEETD=$<TARGET_FILE:k2k-fleetd>"
  "K2K_FLEET_DATABASE=${CMAKE_CURRENT_BINARY_DIR}/fleet-database")
if(TARGET k2k-exporter)
  list(APPEND fleet_arguments "EXPORTER=$<TARGET_FILE:k2k-exporter>") # further ones of the environment
endif()
if(TARGET k2k-auditd)
  list(APPEND fleet_arguments "K2K_AUDITD=$<TARGET_FILE:k2k-auditd>")
endif()
k2k_script_tests(cli SCRIPTS fleet_quickstart ARGS $<TARGET_FILE:k2k-tenantctl> $<TARGET_FILE:cli_broker> LABEL fleet
  ENVIRONMENT "K2K_BIN_DIR=${CMAKE_BINARY_DIR}")
# it waits most of the time
add_test(NAME fleet_storm_60s COMMAND ${PROJECT_SOURCE_DIR}/scripts/fleet-test --storm 60 --build ${CMAKE_BINARY_DIR})
set_tests_properties(fleet_storm_60s PROPERTIES LABELS fleet TIMEOUT 600 SKIP_RETURN_CODE 3)
add_test(NAME fleet_scale_quick COMMAND ${PROJECT_SOURCE_DIR}/scripts/fleet-scale --quick --build ${CMAKE_BINARY_DIR})
set_tests_properties(fleet_scale_quick PROPERTIES LABELS fleet TIMEOUT 600 SKIP_RETURN_CODE 3)
k2k_script_tests(cli SCRIPTS fleet_database ${fleet_arguments} NAMES making)
k2k_script_tests(cli SCRIPTS fleet fleet_rights fleet_budgets fleet_shares fleet_stopped fleet_failover fleet_completion fleet_metrics
  ${fleet_arguments} NAMES fleets)
add_test(NAME fleet_database_is_removed COMMAND ${CMAKE_COMMAND} -E rm -rf ${CMAKE_CURRENT_BINARY_DIR}/fleet-database)
set_tests_properties(${making} PROPERTIES FIXTURES_SETUP fleet_database)
set_tests_properties(${fleets} PROPERTIES FIXTURES_REQUIRED fleet_database)
set_tests_properties(fleet_database_is_removed PROPERTIES FIXTURES_CLEANUP fleet_database LABELS fleet)
