# SPDX-License-Identifier: LGPL-2.1-or-later
# Storms of kills and stops; included by CMakeLists.txt beside it.
add_executable(crash_storm storm.c storm_record.c storm_broker.c storm_admin.c storm_recount.c)
target_compile_definitions(crash_storm PRIVATE _GNU_SOURCE)
target_link_libraries(crash_storm PRIVATE k2k-registry Threads::Threads)

add_test(NAME crash_storm_60s COMMAND crash_storm --duration 60)
set_tests_properties(crash_storm_60s PROPERTIES LABELS "crash;storm" TIMEOUT 180 RUN_SERIAL TRUE)

foreach(name IN ITEMS crash_oom process_namespace)
  add_executable(${name} ${CMAKE_CURRENT_LIST_DIR}/${name}.c)
  target_include_directories(${name} PRIVATE ${CMAKE_CURRENT_LIST_DIR})
  target_compile_definitions(${name} PRIVATE _GNU_SOURCE)
  target_link_libraries(${name} PRIVATE k2k-registry Threads::Threads)
  add_test(NAME ${name} COMMAND ${name})
endforeach()
set_tests_properties(crash_oom PROPERTIES LABELS crash TIMEOUT 60 SKIP_RETURN_CODE 77)
set_tests_properties(process_namespace PROPERTIES LABELS process TIMEOUT 60 SKIP_RETURN_CODE 77)
