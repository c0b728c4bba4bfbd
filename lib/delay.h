/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delay.h (F0) - random delays between the steps of the protocols, in torture builds only.
 *
 * K2K_DELAY(name) marks a place between two accesses where another process may act. Without a delay
 * that may happen once in a million runs; a delay here gives the other process the time. Only
 * builds with -DK2K_DELAYS=ON have delays; in all others the macro expands to nothing.
 *
 * The environment variable K2K_DELAYS_AT="published found" restricts the delays to these points and
 * delays at every pass of them, to reproduce one race.
 */
#ifndef K2K_DELAY_H
#define K2K_DELAY_H

#ifdef K2K_DELAYS

#include <stdint.h>

void k2k_delay(const char *point);
/*
 * Makes all threads of this process draw their random numbers from this seed, so that a run can be
 * repeated. Without this call each process has a seed of its own.
 */
void k2k_delay_seed(uint64_t seed);

#define K2K_DELAY(point) k2k_delay(#point)

#else

#define K2K_DELAY(point) ((void)0)

#endif

#endif
