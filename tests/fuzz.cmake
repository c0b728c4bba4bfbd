# SPDX-License-Identifier: LGPL-2.1-or-later
# Coverage-guided fuzzing, where the compiler is clang and the preset `fuzz` has asked for it; included by CMakeLists.txt
# beside it. `cmake --build DIR --target fuzzers` builds all of them. scripts/fuzz runs them for longer.
if(NOT CMAKE_C_COMPILER_ID STREQUAL "Clang" OR NOT K2K_SANITIZE MATCHES "fuzzer")
  return()
endif()
set(K2K_FUZZ_SECONDS 12 CACHE STRING "how long ctest runs each fuzzer")

add_custom_target(fuzzers)
function(k2k_fuzzer name)
  add_executable(${name} ${ARGN})
  target_compile_definitions(${name} PRIVATE _GNU_SOURCE)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  add_dependencies(fuzzers ${name})
  add_test(NAME ${name} COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/fuzz_run.sh $<TARGET_FILE:${name}> ${K2K_FUZZ_SECONDS})
  set_tests_properties(${name} PROPERTIES LABELS fuzz TIMEOUT 300)
endfunction()

k2k_fuzzer(fuzz_registry fuzz_registry.c)
target_include_directories(fuzz_registry PRIVATE ${CMAKE_CURRENT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/lib)
target_link_libraries(fuzz_registry PRIVATE k2k-registry-static PkgConfig::CMOCKA)
target_link_options(fuzz_registry PRIVATE -Wl,--wrap=k2k_clock_sleep_ns,--wrap=k2k_clock_monotonic_ns)

# the sources themselves: k2k-broker-core wants the shared library
set(tools ${PROJECT_SOURCE_DIR}/tools)
k2k_fuzzer(fuzz_units fuzz_units.c ${tools}/common/units.c)
target_include_directories(fuzz_units PRIVATE ${tools})
pkg_check_modules(JSONC REQUIRED IMPORTED_TARGET json-c)
k2k_fuzzer(fuzz_line fuzz_line.c ${tools}/k2k-broker/line.c ${tools}/common/memory.c)
target_include_directories(fuzz_line PRIVATE ${tools} ${tools}/k2k-broker ${PROJECT_SOURCE_DIR}/include)
target_link_libraries(fuzz_line PRIVATE PkgConfig::JSONC)
