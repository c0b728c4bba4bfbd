# SPDX-License-Identifier: LGPL-2.1-or-later
# The bindings for other languages. Each function bindings_... of the script is a test of its own. They load the library
# into programs that are built without sanitizers, and run here.
if(K2K_SANITIZE OR CMAKE_CROSSCOMPILING)
  return()
endif()
set(path ${CMAKE_CURRENT_LIST_DIR}/bindings.sh)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${path})
file(STRINGS ${path} lines REGEX "^bindings_[a-z0-9_]+\\(\\)")
foreach(line IN LISTS lines)
  string(REGEX MATCH "^bindings_[a-z0-9_]+" name "${line}")
  add_test(NAME ${name} COMMAND bash ${path} ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR} ${CMAKE_C_COMPILER} ${name})
  set_tests_properties(${name} PROPERTIES LABELS bindings TIMEOUT 240 SKIP_RETURN_CODE 77)
  # one cargo at a time: the second would wait for the first
  if(name MATCHES rust)
    set_tests_properties(${name} PROPERTIES RESOURCE_LOCK cargo)
  endif()
endforeach()
