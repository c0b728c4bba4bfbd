# SPDX-License-Identifier: LGPL-2.1-or-later
# Operations killed at any instruction. x86-64: they need its debug registers.
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64" AND NOT K2K_SANITIZE)
  k2k_test(NAME crash_points SOURCES crash_points.c LABEL crash TIMEOUT 3000)
  k2k_test(NAME crash_recovery SOURCES crash_recovery.c LABEL crash TIMEOUT 14400)
  k2k_test(NAME crash_instructions SOURCES crash_instructions.c LABEL crash TIMEOUT 7200)
  target_link_options(crash_instructions PRIVATE -Wl,--wrap=mmap)
endif()
