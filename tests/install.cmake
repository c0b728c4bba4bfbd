# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests that applications can use what is installed. Each function install_... of the script is its
# own test. They compile and run a consumer without sanitizers: not in sanitized builds, and not
# across architectures.
if(K2K_SANITIZE OR CMAKE_CROSSCOMPILING)
  return()
endif()
k2k_script_tests(install SCRIPTS install ARGS ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR} ${CMAKE_C_COMPILER}
  LABEL process TIMEOUT 900) # one test builds everything, as the README says
