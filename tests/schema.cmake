# SPDX-License-Identifier: LGPL-2.1-or-later
# The JSON that the programs print must match the schemas in tools/schema.
if(NOT TARGET k2k-tenantctl OR CMAKE_CROSSCOMPILING)
  return()
endif()
set(exporter)
if(TARGET k2k-exporter)
  set(exporter $<TARGET_FILE:k2k-exporter>)
endif()
add_test(NAME cli_every_json_output_is_as_its_schema_says
  COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/cli_schema.sh $<TARGET_FILE:k2k-tenantctl> $<TARGET_FILE:cli_broker>)
set_tests_properties(cli_every_json_output_is_as_its_schema_says PROPERTIES LABELS cli TIMEOUT 600 SKIP_RETURN_CODE 77
  ENVIRONMENT "BROKER_TOOL=$<TARGET_FILE:k2k-broker>;AUDITD=$<TARGET_FILE:k2k-auditd>;BENCH=$<TARGET_FILE:k2k-bench>;EXPORTER=${exporter};SCHEMAS=${PROJECT_SOURCE_DIR}/tools/schema")
