# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests of bad input, damage and the audit sink; included by CMakeLists.txt beside it.
k2k_test(NAME unit_badinput SOURCES unit_badinput.c SHARED)
target_compile_definitions(unit_badinput PRIVATE K2K_HEADER="${PROJECT_SOURCE_DIR}/include/k2k/registry.h")
target_include_directories(unit_badinput PRIVATE ${PROJECT_SOURCE_DIR}/lib) # layout.h alone
target_link_libraries(unit_badinput PRIVATE ${CMAKE_DL_LIBS})
k2k_test(NAME unit_audit SOURCES unit_audit.c)
k2k_test(NAME unit_audit_threads SOURCES unit_audit_threads.c)
foreach(test IN ITEMS process_files process_room process_holders)
  k2k_test(NAME ${test} SOURCES ${test}.c LABEL process)
  target_link_libraries(${test} PRIVATE ${CMAKE_DL_LIBS})
endforeach()
k2k_test(NAME unit_badinput_live SOURCES unit_badinput_live.c)
