# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests of metrics and stat, and of k2k-exporter beside a real Prometheus; included by
# CMakeLists.txt beside it. Those named cli_... run in sanitized builds too.
if(NOT TARGET k2k-exporter)
  return()
endif()

k2k_script_tests(cli SCRIPTS cli_metrics cli_exporter ARGS $<TARGET_FILE:k2k-tenantctl> $<TARGET_FILE:cli_broker>
  ENVIRONMENT "EXPORTER=$<TARGET_FILE:k2k-exporter>" "K2K_AUDITD=$<TARGET_FILE:k2k-auditd>")
set(agent "")
if(TARGET k2k-fleetd)
  set(agent "K2K_FLEETD=$<TARGET_FILE:k2k-fleetd>")
endif()
k2k_script_tests(cli SCRIPTS metrics_prometheus metrics_page ARGS $<TARGET_FILE:k2k-tenantctl> $<TARGET_FILE:cli_broker>
  ENVIRONMENT "EXPORTER=$<TARGET_FILE:k2k-exporter>" ${agent} "K2K_AUDITD=$<TARGET_FILE:k2k-auditd>" LABEL metrics)
set_tests_properties(cli_page_of_ten_thousand_tenants_does_not_stall PROPERTIES LABELS "metrics;timed")
