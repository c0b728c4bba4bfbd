# SPDX-License-Identifier: LGPL-2.1-or-later
# Uses the library that the explorer has, whose accesses are calls.
if(TARGET k2k-registry-explored)
  k2k_test(NAME transfers LIBRARIES k2k-registry-explored)
  if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
    target_compile_options(transfers PRIVATE -mcx16)
  endif()
endif()
