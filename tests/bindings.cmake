# SPDX-License-Identifier: LGPL-2.1-or-later
# The bindings for other languages. Each function bindings_... of the script is a test of its own. They load the library
# into programs that are built without sanitizers, and run here.
if(K2K_SANITIZE OR CMAKE_CROSSCOMPILING)
  return()
endif()
k2k_script_tests(bindings SCRIPTS bindings ARGS ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR} ${CMAKE_C_COMPILER}
  LABEL bindings TIMEOUT 400 NAMES names)
# one cargo at a time: the second would wait for the first
list(FILTER names INCLUDE REGEX rust)
set_tests_properties(${names} PROPERTIES RESOURCE_LOCK cargo)
