# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests of k2k-broker; included by CMakeLists.txt beside it.
if(NOT TARGET k2k-broker)
  return()
endif()

k2k_test(NAME broker_line LIBRARIES k2k-broker-core TIMEOUT 300)
set(tests
  legacy_single_tenant_send_unchanged
  single_tenant_fast_path_uses_unspecified_tenant
  cross_tenant_send_rejected_with_tenant_mismatch
  cross_tenant_attempt_recorded_in_audit_sink
  same_tenant_send_succeeds_with_audit_tag
  engagement_cost_accumulates_across_sends
  engagement_cost_separate_across_audit_tags
  quota_enforcement_rejects_over_rate_limit
  register_tenant_kernel_and_unregister
  tenant_stats_reports_per_tenant_counts
  re_registering_kernel_moves_it_between_tenants
  send_with_audit_overrides_registration_tag
  default_audit_tag_behavior)
# both kernels in one process, then each in one of its own
k2k_test(NAME broker_parity LIBRARIES k2k-broker-core LABEL process TIMEOUT 90 PREFIX broker TESTS ${tests})
k2k_test(NAME broker_between LIBRARIES k2k-broker-core LABEL process TIMEOUT 90 TESTS ${tests})
foreach(test IN ITEMS broker_process broker_service broker_limits broker_repeats broker_peers)
  k2k_test(NAME ${test} LIBRARIES k2k-broker-core LABEL process TIMEOUT 300)
endforeach()
foreach(test IN ITEMS broker_process broker_service broker_limits broker_repeats broker_peers broker_between)
  target_compile_definitions(${test} PRIVATE K2K_BROKER="$<TARGET_FILE:k2k-broker>")
  add_dependencies(${test} k2k-broker)
endforeach()
