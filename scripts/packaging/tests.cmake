# SPDX-License-Identifier: LGPL-2.1-or-later
# Each function package_... of tests/package.sh is a test of the packages that the target `package` has made.
set(path ${PROJECT_SOURCE_DIR}/tests/package.sh)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${path})
add_test(NAME packages_are_made COMMAND ${CMAKE_COMMAND} --build ${PROJECT_BINARY_DIR} --target package)
set_tests_properties(packages_are_made PROPERTIES LABELS package TIMEOUT 240 FIXTURES_SETUP packages)
file(STRINGS ${path} lines REGEX "^package_[a-z0-9_]+\\(\\)")
foreach(line IN LISTS lines)
  string(REGEX MATCH "^package_[a-z0-9_]+" name "${line}")
  add_test(NAME ${name} COMMAND bash ${path} ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR} ${name})
  set_tests_properties(${name} PROPERTIES LABELS package TIMEOUT 240 SKIP_RETURN_CODE 77 FIXTURES_REQUIRED packages)
endforeach()

foreach(name IN ITEMS musl containers)
  add_test(NAME ${name} COMMAND bash ${PROJECT_SOURCE_DIR}/tests/${name}.sh ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
  set_tests_properties(${name} PROPERTIES LABELS package TIMEOUT 240 SKIP_RETURN_CODE 77)
endforeach()
