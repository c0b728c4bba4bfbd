# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests of the library by one process, with its clock in their hands; included by CMakeLists.txt beside it.
foreach(test IN ITEMS unit_reference unit_parity unit_limits unit_leases unit_recovery unit_second unit_restore unit_trail
    unit_trail_threads unit_trail_repeats)
  k2k_test(NAME ${test} EACH TIMEOUT 120)
endforeach()

# Example programs are not built with sanitizers: their runtime would have to come first.
if(NOT K2K_SANITIZE)
  add_test(NAME the_example_of_the_readme_works
           COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/readme_example.sh ${PROJECT_SOURCE_DIR}/README.md ${CMAKE_C_COMPILER}
                   ${PROJECT_SOURCE_DIR}/include $<TARGET_FILE:k2k-registry>)
  set_tests_properties(the_example_of_the_readme_works PROPERTIES LABELS process TIMEOUT 60)
endif()
