# SPDX-License-Identifier: LGPL-2.1-or-later
# Storms of kills and stops; included by CMakeLists.txt beside it.
add_executable(crash_storm storm.c storm_record.c storm_broker.c storm_admin.c storm_recount.c)
target_compile_definitions(crash_storm PRIVATE _GNU_SOURCE)
target_link_libraries(crash_storm PRIVATE k2k-registry Threads::Threads)

add_test(NAME crash_storm_30s COMMAND crash_storm --duration 30)
set_tests_properties(crash_storm_30s PROPERTIES LABELS "crash;storm" TIMEOUT 300 RUN_SERIAL TRUE)

k2k_test(NAME crash_oom LABEL crash TIMEOUT 300 SHARED)
set_tests_properties(crash_oom PROPERTIES LABELS "crash;timed")
k2k_test(NAME process_namespace LABEL process TIMEOUT 300 SHARED)
