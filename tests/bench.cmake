# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests of k2k-bench: that it measures everything, says it as promised, and leaves nothing behind. Not how fast it is.

if(NOT TARGET k2k-bench)
  return()
endif()

set(path ${CMAKE_CURRENT_LIST_DIR}/bench.sh)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${path})
file(STRINGS ${path} lines REGEX "^bench_[a-z0-9_]+\\(\\)")
foreach(line IN LISTS lines)
  string(REGEX MATCH "^bench_[a-z0-9_]+" name "${line}")
  add_test(NAME ${name} COMMAND bash ${path} $<TARGET_FILE:k2k-bench> ${name})
  set_tests_properties(${name} PROPERTIES LABELS cli TIMEOUT 240)
endforeach()
