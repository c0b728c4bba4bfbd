# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests of the library by one process, with its clock in their hands; included by CMakeLists.txt beside it.
foreach(test IN ITEMS unit_reference unit_limits unit_leases unit_deregister unit_recovery unit_second unit_restore unit_trail unit_trail_threads)
  set(path ${CMAKE_CURRENT_LIST_DIR}/${test}.c)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${path})
  add_executable(${test} ${path})
  target_compile_definitions(${test} PRIVATE _GNU_SOURCE)
  target_include_directories(${test} PRIVATE ${CMAKE_CURRENT_LIST_DIR} ${PROJECT_SOURCE_DIR}/lib)
  target_link_libraries(${test} PRIVATE k2k-registry-static)
  file(STRINGS ${path} lines REGEX "^TEST\\(")
  foreach(line IN LISTS lines)
    string(REGEX REPLACE "^TEST\\(([a-z0-9_]+)\\).*" "\\1" name "${line}")
    add_test(NAME ${test}.${name} COMMAND ${test} ${name})
    set_tests_properties(${test}.${name} PROPERTIES LABELS unit TIMEOUT 120 SKIP_RETURN_CODE 77)
  endforeach()
endforeach()

# Example programs are not built with sanitizers: their runtime would have to come first.
if(NOT K2K_SANITIZE)
  add_test(NAME the_example_of_the_readme_works
           COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/readme_example.sh ${PROJECT_SOURCE_DIR}/README.md ${CMAKE_C_COMPILER}
                   ${PROJECT_SOURCE_DIR}/include $<TARGET_FILE:k2k-registry>)
  set_tests_properties(the_example_of_the_readme_works PROPERTIES LABELS process TIMEOUT 60)
endif()
