# SPDX-License-Identifier: LGPL-2.1-or-later
# Rates: windows of any length and buckets, with a clock that the tests set; included by
# CMakeLists.txt beside it. Each TEST is its own test.
k2k_test(NAME unit_rates EACH TIMEOUT 300)

# Seeded requests, each answered as an independent GCRA answers it.
add_executable(rate_requests rate_requests.c)
target_compile_definitions(rate_requests PRIVATE _GNU_SOURCE)
target_include_directories(rate_requests PRIVATE ${CMAKE_CURRENT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/lib)
target_link_libraries(rate_requests PRIVATE k2k-registry-static Threads::Threads ${CMAKE_DL_LIBS})
if(CMAKE_CROSSCOMPILING) # the script starts the program itself
  return()
endif()
add_test(NAME a_bucket_answers_each_request_as_gcra_does
         COMMAND python3 ${CMAKE_CURRENT_SOURCE_DIR}/rate_gcra.py $<TARGET_FILE:rate_requests> 100000)
set_tests_properties(a_bucket_answers_each_request_as_gcra_does PROPERTIES LABELS unit TIMEOUT 300)
