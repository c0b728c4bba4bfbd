# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests of scripts/quickstart, with the tools of this build. Each function
# quickstart_... of a script is a test of its own.
if(NOT TARGET k2k-broker OR NOT TARGET k2k-tenantctl)
  return()
endif()

foreach(script quickstart_demo quickstart_trace quickstart_malformed quickstart_stopped quickstart_packages)
  set(path ${CMAKE_CURRENT_LIST_DIR}/${script}.sh)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${path})
  file(STRINGS ${path} lines REGEX "^quickstart_[a-z0-9_]+\\(\\)")
  foreach(line IN LISTS lines)
    string(REGEX MATCH "^quickstart_[a-z0-9_]+" name "${line}")
    add_test(NAME ${name} COMMAND bash ${path} ${name})
    set_tests_properties(${name} PROPERTIES LABELS process TIMEOUT 300 ENVIRONMENT "K2K_BIN_DIR=${PROJECT_BINARY_DIR}")
  endforeach()
endforeach()
