# SPDX-License-Identifier: LGPL-2.1-or-later
# Programs compiled with the header of an earlier version must run with today's library. tests/abi
# has these headers, one folder for each version.
file(GLOB headers CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/abi/*/k2k/registry.h)
foreach(header IN LISTS headers)
  get_filename_component(folder ${header}/../.. ABSOLUTE)
  get_filename_component(version ${folder} NAME)
  k2k_test(NAME abi_program_${version} SOURCES abi_program.c SHARED LABEL abi)
  # before today's header, which comes with the library
  target_include_directories(abi_program_${version} BEFORE PRIVATE ${folder})
endforeach()

# The shared library must stay compatible with these headers, and the check must notice if it is
# not. Skipped in builds that change the code.
if(K2K_SANITIZE OR K2K_DELAYS OR CMAKE_CROSSCOMPILING OR NOT CMAKE_BUILD_TYPE MATCHES "Debug|RelWithDebInfo")
  return()
endif()
add_test(NAME abi_is_compatible_with_earlier_programs COMMAND ${PROJECT_SOURCE_DIR}/scripts/abi $<TARGET_FILE:k2k-registry>)
add_test(NAME abi_changes_are_noticed COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/abi.sh ${PROJECT_SOURCE_DIR} ${CMAKE_C_COMPILER})
set_tests_properties(abi_is_compatible_with_earlier_programs abi_changes_are_noticed PROPERTIES LABELS abi TIMEOUT 900 SKIP_RETURN_CODE 77)
