# SPDX-License-Identifier: LGPL-2.1-or-later
# Counts the instructions of a call on the message path. It measures the library as shipped, so only
# plain Release builds run it (preset `instructions`). Each function instructions_... of the script
# is its own test.
find_path(CALLGRIND_INCLUDE valgrind/callgrind.h)
if(NOT CALLGRIND_INCLUDE OR NOT CMAKE_BUILD_TYPE STREQUAL "Release" OR NOT "${CMAKE_C_FLAGS}" STREQUAL "" OR K2K_SANITIZE OR
   K2K_DELAYS OR CMAKE_CROSSCOMPILING)
  return()
endif()

add_executable(instructions instructions.c)
target_compile_definitions(instructions PRIVATE _GNU_SOURCE)
target_include_directories(instructions PRIVATE ${CALLGRIND_INCLUDE})
target_link_libraries(instructions PRIVATE k2k-registry)

k2k_script_tests(instructions SCRIPTS instructions ARGS $<TARGET_FILE:instructions> LABEL instructions TIMEOUT 400)
