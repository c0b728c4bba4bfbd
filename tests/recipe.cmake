# SPDX-License-Identifier: LGPL-2.1-or-later
# The recipes for a reboot and for a larger registry, run with the commands of the units.
if(NOT TARGET k2k-tenantctl)
  return()
endif()
add_test(NAME cli_units_keep_a_registry_over_a_reboot
  COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/cli_recipe.sh $<TARGET_FILE:k2k-tenantctl> $<TARGET_FILE:cli_broker>)
set_tests_properties(cli_units_keep_a_registry_over_a_reboot PROPERTIES LABELS cli TIMEOUT 300
  ENVIRONMENT "UNITS=${PROJECT_SOURCE_DIR}/scripts/packaging/units")
