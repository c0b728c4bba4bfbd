# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests of bad input, damage and the audit sink; included by CMakeLists.txt beside it.
k2k_test(NAME unit_badinput SHARED)
target_compile_definitions(unit_badinput PRIVATE K2K_HEADER="${PROJECT_BINARY_DIR}/registry-whole.h")
target_include_directories(unit_badinput PRIVATE ${PROJECT_SOURCE_DIR}/lib) # only for layout.h
k2k_test(NAME unit_audit)
k2k_test(NAME unit_audit_sink)
k2k_test(NAME unit_audit_threads)
foreach(test IN ITEMS process_files process_room process_holders)
  k2k_test(NAME ${test} LABEL process)
endforeach()
k2k_test(NAME unit_badinput_live)
set_tests_properties(unit_badinput_live PROPERTIES COST 40) # seconds: the longest tests start first
