# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests of the bindings for other languages. Each function bindings_... of the script is its own
# test. They load the library into programs built without sanitizers, and run on this machine.
if(K2K_SANITIZE OR CMAKE_CROSSCOMPILING)
  return()
endif()
k2k_script_tests(bindings SCRIPTS bindings ARGS ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR} ${CMAKE_C_COMPILER}
  LABEL bindings TIMEOUT 400 NAMES names)
# one cargo at a time: a second one would only wait for the first
list(FILTER names INCLUDE REGEX rust)
set_tests_properties(${names} PROPERTIES RESOURCE_LOCK cargo)
