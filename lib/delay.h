/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delay.h (F0) - torture builds only: random delays where a step of a protocol ends.
 *
 * K2K_DELAY(name) stands between two stores or loads that others may come
 * between. Where nobody does in a million runs, a delay lets them. In other
 * builds than those with -DK2K_DELAYS=ON it expands to nothing.
 *
 * Environment: K2K_DELAYS_AT="published found" delays only at these points, and
 * each time: to hunt for one race.
 */
#ifndef K2K_DELAY_H
#define K2K_DELAY_H

#ifdef K2K_DELAYS

#include <stdint.h>

void k2k_delay(const char *point);
/*
 * All threads of this process draw anew, from this seed. Else from one that no two processes share.
 */
void k2k_delay_seed(uint64_t seed);

#define K2K_DELAY(point) k2k_delay(#point)

#else

#define K2K_DELAY(point) ((void)0)

#endif

#endif
