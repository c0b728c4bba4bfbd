# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests of metrics and stat, and of k2k-exporter beside a real Prometheus; included by CMakeLists.txt beside it.
# Those named cli_... run in sanitized builds too.
if(NOT TARGET k2k-exporter)
  return()
endif()

foreach(script cli_metrics cli_exporter metrics_prometheus)
  set(path ${CMAKE_CURRENT_LIST_DIR}/${script}.sh)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${path})
  file(STRINGS ${path} lines REGEX "^cli_[a-z0-9_]+\\(\\)")
  foreach(line IN LISTS lines)
    string(REGEX MATCH "^cli_[a-z0-9_]+" name "${line}")
    add_test(NAME ${name} COMMAND bash ${path} $<TARGET_FILE:k2k-tenantctl> $<TARGET_FILE:cli_broker> ${name})
    set_tests_properties(${name} PROPERTIES LABELS cli TIMEOUT 120 SKIP_RETURN_CODE 77
                         ENVIRONMENT "EXPORTER=$<TARGET_FILE:k2k-exporter>")
    if(script STREQUAL metrics_prometheus)
      set_tests_properties(${name} PROPERTIES LABELS metrics)
    endif()
  endforeach()
endforeach()
