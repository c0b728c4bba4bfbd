# SPDX-License-Identifier: LGPL-2.1-or-later
# What the harness prints about failing tests; included by CMakeLists.txt beside it. The program
# fails on purpose.
k2k_test(NAME harness_faults LIBRARIES Threads::Threads TESTS passes PREFIX harness)
# the script runs the program directly, without an emulator
if(CMAKE_CROSSCOMPILING)
  return()
endif()
k2k_script_tests(harness SCRIPTS harness ARGS $<TARGET_FILE:harness_faults> ${CMAKE_CURRENT_LIST_DIR}/harness_faults.c
  LABEL unit TIMEOUT 300)
