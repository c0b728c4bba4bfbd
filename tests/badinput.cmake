# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests of bad input, damage and the audit sink; included by CMakeLists.txt beside it.

function(k2k_badinput_test name label timeout library)
  add_executable(${name} ${CMAKE_CURRENT_LIST_DIR}/${name}.c)
  target_compile_definitions(${name} PRIVATE _GNU_SOURCE K2K_HEADER="${PROJECT_SOURCE_DIR}/include/k2k/registry.h")
  if(library STREQUAL "k2k-registry-static")
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/lib)
  endif()
  target_link_libraries(${name} PRIVATE ${library} Threads::Threads ${CMAKE_DL_LIBS})
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT ${timeout} SKIP_RETURN_CODE 77)
endfunction()

k2k_badinput_test(unit_badinput unit 60 k2k-registry)
k2k_badinput_test(unit_audit unit 60 k2k-registry-static)
k2k_badinput_test(unit_audit_threads unit 60 k2k-registry-static)
