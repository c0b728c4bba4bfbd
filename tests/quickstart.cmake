# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests of scripts/quickstart, with the tools of this build. Each function quickstart_... of a
# script is its own test.
if(NOT TARGET k2k-broker OR NOT TARGET k2k-tenantctl)
  return()
endif()

k2k_script_tests(quickstart
  SCRIPTS quickstart_demo quickstart_trace quickstart_malformed quickstart_stopped quickstart_packages
  LABEL process TIMEOUT 300 ENVIRONMENT "K2K_BIN_DIR=${PROJECT_BINARY_DIR}")
