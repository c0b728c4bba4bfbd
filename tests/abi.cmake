# SPDX-License-Identifier: LGPL-2.1-or-later
# What the shared library offers is what was recorded, and a change of it is noticed. Not of builds that change the code.
if(K2K_SANITIZE OR K2K_DELAYS OR CMAKE_CROSSCOMPILING OR NOT CMAKE_BUILD_TYPE MATCHES "Debug|RelWithDebInfo")
  return()
endif()
add_test(NAME abi_is_what_was_recorded COMMAND ${PROJECT_SOURCE_DIR}/scripts/abi $<TARGET_FILE:k2k-registry>)
add_test(NAME abi_changes_are_noticed COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/abi.sh ${PROJECT_SOURCE_DIR} ${CMAKE_C_COMPILER})
set_tests_properties(abi_is_what_was_recorded abi_changes_are_noticed PROPERTIES LABELS abi TIMEOUT 300 SKIP_RETURN_CODE 77)
