# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests the rules that scripts/check-... enforce, and that each check notices a breach.
foreach(check IN ITEMS floors labels files version)
  add_test(NAME style_${check} COMMAND ${PROJECT_SOURCE_DIR}/scripts/check-${check} ${PROJECT_SOURCE_DIR})
  add_test(NAME style_${check}_notices_breaches COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/style.sh ${PROJECT_SOURCE_DIR} ${check})
  set_tests_properties(style_${check} style_${check}_notices_breaches PROPERTIES LABELS style TIMEOUT 300)
endforeach()
add_test(NAME style_format COMMAND ${PROJECT_SOURCE_DIR}/scripts/format --check)
set_tests_properties(style_format PROPERTIES LABELS style TIMEOUT 300 SKIP_RETURN_CODE 77)
