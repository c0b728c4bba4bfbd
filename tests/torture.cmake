# SPDX-License-Identifier: LGPL-2.1-or-later
# The delays are in the library where they were asked for, and in no other build, not even as an unused function.
add_test(NAME torture_delays COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/torture_delays.sh ${CMAKE_NM} $<BOOL:${K2K_DELAYS}>
         $<TARGET_FILE:k2k-registry> $<TARGET_FILE:k2k-registry-static>)
set_tests_properties(torture_delays PROPERTIES LABELS unit TIMEOUT 60)
