# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs the code of lib/ in every order that C11 allows: explore/search.c. Each PROGRAM() is its own
# test. Its threads are coroutines, which sanitizers can't follow; the results do not depend on the
# processor.
if(K2K_SANITIZE OR K2K_DELAYS OR CMAKE_CROSSCOMPILING)
  return()
endif()

get_target_property(sources k2k-registry SOURCES)
list(TRANSFORM sources PREPEND ${PROJECT_SOURCE_DIR}/lib/)
add_library(k2k-registry-explored STATIC ${sources})
target_compile_definitions(k2k-registry-explored PUBLIC _GNU_SOURCE _FILE_OFFSET_BITS=64 K2K_EXPLORE)
target_include_directories(k2k-registry-explored PUBLIC ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/lib
                           ${CMAKE_CURRENT_LIST_DIR}/explore)
target_include_directories(k2k-registry-explored SYSTEM PUBLIC ${URCU_BP_INCLUDE_DIRS})

file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/explore/*.c)
add_executable(explore ${sources})
target_compile_options(explore PRIVATE -O2)
# what lib/ needs from the system: explore/world.c
target_link_options(explore PRIVATE -Wl,--wrap=k2k_lock_are_held,--wrap=k2k_lock_is_held,--wrap=clock_gettime
                    -Wl,--wrap=sched_yield,--wrap=k2k_clock_sleep_ns,--wrap=syscall,--wrap=k2k_trail_reject
                    -Wl,--wrap=k2k_segment_check_identity,--wrap=k2k_worker_start,--wrap=k2k_lock_try
                    -Wl,--wrap=k2k_lock_drop,--wrap=getrandom)
target_link_libraries(explore PRIVATE k2k-registry-explored Threads::Threads)

foreach(source IN LISTS sources)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
  file(STRINGS ${source} programs REGEX "^PROGRAM\\(")
  list(TRANSFORM programs REPLACE "^PROGRAM\\(([a-z0-9_]+),.*" "\\1")
  foreach(program IN LISTS programs)
    add_test(NAME explore.${program} COMMAND explore ${program})
    set_tests_properties(explore.${program} PROPERTIES LABELS explore TIMEOUT 300)
  endforeach()
endforeach()

# Checks that the reduction omits no execution. Programs that wait are left out, because their
# repeated reads are not counted.
add_test(NAME explore_itself COMMAND explore --compare litmus_sb litmus_sb_fences litmus_iriw litmus_iriw_fences litmus_rwc_fences
         litmus_corr_four litmus_add litmus_add_store litmus_cas litmus_release_sequence litmus_2_2w_fences death_fence
         litmus_pair litmus_pair_back litmus_pair_two litmus_sb_barrier death_plain death_between stop rate_admit
         ring_heir ring_heir_read random)
set_tests_properties(explore_itself PROPERTIES LABELS explore TIMEOUT 300)

# A program finds nothing of the one before it in the same process: each outcome comes, and no other.
add_test(NAME explore_one_after_another COMMAND explore rate_admit grace_attach define_copy rate_admit grace_attach)
set_tests_properties(explore_one_after_another PROPERTIES LABELS explore TIMEOUT 300)

add_test(NAME style_orders COMMAND ${PROJECT_SOURCE_DIR}/scripts/explore --orders --check)
add_test(NAME style_orders_notices_breaches COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/orders.sh ${PROJECT_SOURCE_DIR})
set_tests_properties(style_orders style_orders_notices_breaches PROPERTIES LABELS style TIMEOUT 300)
