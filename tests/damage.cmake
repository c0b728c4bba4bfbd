# SPDX-License-Identifier: LGPL-2.1-or-later
# What damage does; included by CMakeLists.txt beside it. The library's pauses only move its clock:
# see damage.h.
set(damage_wrap -Wl,--wrap=k2k_clock_sleep_ns,--wrap=k2k_clock_monotonic_ns)

k2k_test(NAME unit_damage)
k2k_test(NAME damage_repair)
set(stride 151) # scripts/test --full flips each bit
k2k_test(NAME damage_bits LABEL damage TIMEOUT 900 ARGS --stride ${stride})
# The same in registries for other numbers of brokers than 64. damage_repair has no run with few:
# there its images often give one broker's slot to the other, which repair can't undo.
foreach(run IN ITEMS damage_repair:100 damage_bits:10)
  string(REPLACE ":" ";" run ${run})
  list(GET run 0 test)
  list(GET run 1 brokers)
  set(arguments)
  if(test STREQUAL damage_bits)
    set(arguments --stride ${stride})
  endif()
  add_test(NAME ${test}_${brokers}_brokers COMMAND ${test} ${arguments})
  set_tests_properties(${test}_${brokers}_brokers PROPERTIES LABELS damage TIMEOUT 900
                       ENVIRONMENT K2K_DAMAGE_BROKERS=${brokers})
endforeach()
foreach(test IN ITEMS unit_damage damage_repair damage_bits)
  target_link_options(${test} PRIVATE ${damage_wrap})
endforeach()

if(TARGET k2k-tenantctl)
  k2k_test(NAME damage_tool ARGS $<TARGET_FILE:k2k-tenantctl> LABEL damage TIMEOUT 900)
  target_link_options(damage_tool PRIVATE ${damage_wrap})
  add_dependencies(damage_tool k2k-tenantctl)
endif()
