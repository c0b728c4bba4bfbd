# SPDX-License-Identifier: LGPL-2.1-or-later
# What is installed serves applications. Each function install_... of the script is a test of its own. A consumer is
# built without sanitizers, and run: not from such a build, and not across architectures.
if(K2K_SANITIZE OR CMAKE_CROSSCOMPILING)
  return()
endif()
set(path ${CMAKE_CURRENT_LIST_DIR}/install.sh)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${path})
file(STRINGS ${path} lines REGEX "^install_[a-z0-9_]+\\(\\)")
foreach(line IN LISTS lines)
  string(REGEX MATCH "^install_[a-z0-9_]+" name "${line}")
  add_test(NAME ${name} COMMAND bash ${path} ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR} ${CMAKE_C_COMPILER} ${name})
  set_tests_properties(${name} PROPERTIES LABELS process TIMEOUT 120 SKIP_RETURN_CODE 77)
endforeach()
