# SPDX-License-Identifier: LGPL-2.1-or-later
# What is installed serves applications. Each function install_... of the script is a test of its own. A consumer is
# built without sanitizers, and run: not from such a build, and not across architectures.
if(K2K_SANITIZE OR CMAKE_CROSSCOMPILING)
  return()
endif()
k2k_script_tests(install SCRIPTS install ARGS ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR} ${CMAKE_C_COMPILER}
  LABEL process TIMEOUT 900) # one builds the whole, as the README says
