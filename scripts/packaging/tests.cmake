# SPDX-License-Identifier: LGPL-2.1-or-later
# Each function package_... of tests/package.sh is a test of the packages that the target `package` has made.
include(${PROJECT_SOURCE_DIR}/scripts/script_tests.cmake)
add_test(NAME packages_are_made COMMAND ${CMAKE_COMMAND} --build ${PROJECT_BINARY_DIR} --target package)
set_tests_properties(packages_are_made PROPERTIES LABELS package TIMEOUT 400 FIXTURES_SETUP packages)
k2k_script_tests(package SCRIPTS package package_systemd ARGS ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR} LABEL package TIMEOUT 400 NAMES names)
set_tests_properties(${names} PROPERTIES FIXTURES_REQUIRED packages)

foreach(name IN ITEMS musl containers)
  add_test(NAME ${name} COMMAND bash ${PROJECT_SOURCE_DIR}/tests/${name}.sh ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
  set_tests_properties(${name} PROPERTIES LABELS package TIMEOUT 400 SKIP_RETURN_CODE 77)
endforeach()
