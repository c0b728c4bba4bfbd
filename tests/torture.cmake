# SPDX-License-Identifier: LGPL-2.1-or-later
# Readers and writers of one small registry, for minutes. Most telling in a build with -DK2K_DELAYS=ON (preset torture).
k2k_test(NAME torture_readers SOURCES torture_readers.c ARGS --reuses 100000 LABEL torture TIMEOUT 900)
set_tests_properties(torture_readers PROPERTIES RUN_SERIAL TRUE)

# The delays are in the library where they were asked for, and in no other build, not even as an unused function.
add_test(NAME torture_delays COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/torture_delays.sh ${CMAKE_NM} $<BOOL:${K2K_DELAYS}>
         $<TARGET_FILE:k2k-registry> $<TARGET_FILE:k2k-registry-static>)
set_tests_properties(torture_delays PROPERTIES LABELS unit TIMEOUT 60)
