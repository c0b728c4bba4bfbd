# SPDX-License-Identifier: LGPL-2.1-or-later
# Readers and writers of one small registry; scripts/test --full lets them use more slots again. They find most in a build with
# -DK2K_DELAYS=ON (preset torture).
k2k_test(NAME torture_readers ARGS --reuses 40000 LABEL torture TIMEOUT 900 SERIAL)

# Long delays at a few points find in seconds what takes hours with delays everywhere.
function(k2k_torture_at name)
  add_test(NAME torture_${name} COMMAND torture_readers --reuses 8000)
  list(JOIN ARGN " " points)
  set_tests_properties(torture_${name} PROPERTIES LABELS torture TIMEOUT 300 RUN_SERIAL TRUE
                       ENVIRONMENT "K2K_DELAYS_AT=${points}")
endfunction()
if(K2K_DELAYS)
  k2k_torture_at(calls found half_copied window_seen counting booked)
  k2k_torture_at(records chosen claimed inserting hash_walked unlinking records_unlinked)
  k2k_torture_at(writers retired unlinked published live)
endif()

# No other build has the delays in its library, not even as an unused function.
add_test(NAME torture_delays
         COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/torture_delays.sh ${CMAKE_NM} $<BOOL:${K2K_DELAYS}>
         $<TARGET_FILE:k2k-registry> $<TARGET_FILE:k2k-registry-static>)
set_tests_properties(torture_delays PROPERTIES LABELS unit TIMEOUT 300)
