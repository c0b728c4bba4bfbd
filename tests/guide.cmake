# SPDX-License-Identifier: LGPL-2.1-or-later
# The operating guide must be true, and its Kubernetes manifest valid.
if(NOT TARGET k2k-exporter OR CMAKE_CROSSCOMPILING)
  return()
endif()
foreach(check IN ITEMS commands alerts links sizes example kubernetes first_step)
  add_test(NAME guide_${check}
    COMMAND python3 ${CMAKE_CURRENT_LIST_DIR}/guide.py ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR} ${CMAKE_C_COMPILER} ${check})
  set_tests_properties(guide_${check} PROPERTIES LABELS cli TIMEOUT 300 SKIP_RETURN_CODE 77)
endforeach()
