# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests of k2k-broker; included by CMakeLists.txt beside it.
if(NOT TARGET k2k-broker)
  return()
endif()

foreach(test IN ITEMS broker_line broker_parity broker_process broker_service)
  add_executable(${test} ${CMAKE_CURRENT_LIST_DIR}/${test}.c)
  target_include_directories(${test} PRIVATE ${CMAKE_CURRENT_LIST_DIR})
  target_link_libraries(${test} PRIVATE k2k-broker-core)
endforeach()

add_test(NAME broker_line COMMAND broker_line)
set_tests_properties(broker_line PROPERTIES LABELS unit TIMEOUT 60)

foreach(name IN ITEMS
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
  add_test(NAME broker.${name} COMMAND broker_parity ${name})
  set_tests_properties(broker.${name} PROPERTIES LABELS process TIMEOUT 90)
endforeach()

foreach(test IN ITEMS broker_process broker_service)
  target_compile_definitions(${test} PRIVATE K2K_BROKER="$<TARGET_FILE:k2k-broker>")
  add_dependencies(${test} k2k-broker)
  add_test(NAME ${test} COMMAND ${test})
  set_tests_properties(${test} PROPERTIES LABELS process TIMEOUT 300)
endforeach()
