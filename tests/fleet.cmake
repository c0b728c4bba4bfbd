# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests of k2k-fleetctl and k2k-fleetd beside a real PostgreSQL; included by CMakeLists.txt beside it.
if(NOT TARGET k2k-fleetd)
  return()
endif()

k2k_script_tests(cli SCRIPTS fleet fleet_rights ARGS $<TARGET_FILE:k2k-tenantctl> $<TARGET_FILE:cli_broker> LABEL fleet
  ENVIRONMENT "K2K_FLEETCTL=$<TARGET_FILE:k2k-fleetctl>" "K2K_FLEETD=$<TARGET_FILE:k2k-fleetd>")
