/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delay.h (F0) - random delays between the steps of the protocols, in torture builds only.
 *
 * K2K_DELAY(name) is between two accesses that another process may come between. If none does so in
 * a million runs, a delay gives it the time. Only builds with -DK2K_DELAYS=ON have delays; in all
 * others the macro expands to nothing.
 *
 * Environment: K2K_DELAYS_AT="published found" delays at these points only, and each time: to hunt
 * for one race.
 */
#ifndef K2K_DELAY_H
#define K2K_DELAY_H

#ifdef K2K_DELAYS

#include <stdint.h>

void k2k_delay(const char *point);
/*
 * Makes all threads of this process draw from this seed, so that a run can be repeated. Without it
 * each process has its own.
 */
void k2k_delay_seed(uint64_t seed);

#define K2K_DELAY(point) k2k_delay(#point)

#else

#define K2K_DELAY(point) ((void)0)

#endif

#endif
