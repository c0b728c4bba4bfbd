# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests with several real processes; included by CMakeLists.txt beside it.
function(k2k_process_test name library timeout)
  add_executable(${name} ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/${name}.c)
  target_include_directories(${name} PRIVATE ${CMAKE_CURRENT_FUNCTION_LIST_DIR})
  target_compile_definitions(${name} PRIVATE _GNU_SOURCE)
  target_link_libraries(${name} PRIVATE ${library} Threads::Threads)
  if(library STREQUAL "k2k-registry-static")
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/lib)
  endif()
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS process TIMEOUT ${timeout} SKIP_RETURN_CODE 77)
endfunction()

k2k_process_test(process_create k2k-registry 120)
k2k_process_test(process_lease k2k-registry 120)
k2k_process_test(process_rate k2k-registry 120)
k2k_process_test(process_windows k2k-registry-static 120)
# counts whole seconds: every process must get its turn in each
set_tests_properties(process_rate PROPERTIES RUN_SERIAL TRUE)
k2k_process_test(process_register k2k-registry 120)
k2k_process_test(process_stop k2k-registry 120)
k2k_process_test(process_fork k2k-registry 150)
target_link_libraries(process_fork PRIVATE PkgConfig::URCU_BP)
