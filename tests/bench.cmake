# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests that k2k-bench measures everything, reports it in the documented form, and leaves nothing
# behind. They do not test how fast it is.

if(NOT TARGET k2k-bench)
  return()
endif()

k2k_script_tests(bench SCRIPTS bench ARGS $<TARGET_FILE:k2k-bench> TIMEOUT 400)
