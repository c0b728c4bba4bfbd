# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests of completion, and of the manual pages where they are made; included by CMakeLists.txt beside it.
if(NOT TARGET k2k-tenantctl)
  return()
endif()

set(scripts cli_completion)
if(TARGET tools-pages AND NOT K2K_PACKAGE)
  list(APPEND scripts cli_pages)
endif()
foreach(script IN LISTS scripts)
  set(path ${CMAKE_CURRENT_LIST_DIR}/${script}.sh)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${path})
  file(STRINGS ${path} lines REGEX "^cli_[a-z0-9_]+\\(\\)")
  foreach(line IN LISTS lines)
    string(REGEX MATCH "^cli_[a-z0-9_]+" name "${line}")
    add_test(NAME ${name} COMMAND bash ${path} $<TARGET_FILE:k2k-tenantctl> $<TARGET_FILE:cli_broker> ${name})
    set_tests_properties(${name} PROPERTIES LABELS cli TIMEOUT 120 SKIP_RETURN_CODE 77
      ENVIRONMENT "PAGES=${PROJECT_BINARY_DIR}/pages;PROGRAMS=${PROJECT_BINARY_DIR}/tools")
  endforeach()
endforeach()
