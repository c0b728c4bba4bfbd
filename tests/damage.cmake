# SPDX-License-Identifier: LGPL-2.1-or-later
# What damage does; included by CMakeLists.txt beside it. The library's pauses only move its clock: see damage.h.
set(damage_wrap -Wl,--wrap=k2k_clock_sleep_ns,--wrap=k2k_clock_monotonic_ns)

k2k_test(NAME unit_damage SOURCES unit_damage.c)
target_link_options(unit_damage PRIVATE ${damage_wrap})
