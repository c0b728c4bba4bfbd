# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests of completion and, if they are built, of the manual pages; included by CMakeLists.txt beside
# it.
if(NOT TARGET k2k-tenantctl)
  return()
endif()

set(scripts cli_completion)
if(TARGET tools-pages AND NOT K2K_PACKAGE)
  list(APPEND scripts cli_pages)
endif()
k2k_script_tests(cli SCRIPTS ${scripts} ARGS $<TARGET_FILE:k2k-tenantctl> $<TARGET_FILE:cli_broker>
  ENVIRONMENT "PAGES=${PROJECT_BINARY_DIR}/pages" "PROGRAMS=${PROJECT_BINARY_DIR}/tools")
