# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests of k2k-bench: that it measures everything, says it as promised, and leaves nothing behind. Not how fast it is.

if(NOT TARGET k2k-bench)
  return()
endif()

k2k_script_tests(bench SCRIPTS bench ARGS $<TARGET_FILE:k2k-bench> TIMEOUT 400)
