# SPDX-License-Identifier: LGPL-2.1-or-later
# Hand-made faults (faults/README.md): each must still apply, and for some of them, a test must find
# it. A sampled fault is built beside this build, without changing it.
add_test(NAME style_faults COMMAND ${PROJECT_SOURCE_DIR}/scripts/fault-test --check)
add_test(NAME style_faults_notices_breaches COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/faults.sh ${PROJECT_SOURCE_DIR})
set_tests_properties(style_faults style_faults_notices_breaches PROPERTIES LABELS style TIMEOUT 300)

if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64" AND NOT K2K_SANITIZE AND NOT K2K_DELAYS AND NOT CMAKE_CROSSCOMPILING)
  add_test(NAME faults_are_found COMMAND ${PROJECT_SOURCE_DIR}/scripts/fault-test --sample 3 --build ${PROJECT_BINARY_DIR})
  set_tests_properties(faults_are_found PROPERTIES LABELS faults TIMEOUT 900 SKIP_RETURN_CODE 77 RUN_SERIAL TRUE)
endif()
