/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * thresholds.h - the thresholds of a tenant's limits as text: "50%,80%"
 */
#ifndef K2K_COMMON_THRESHOLDS_H
#define K2K_COMMON_THRESHOLDS_H

#include <stdbool.h>
#include <k2k/registry.h>

#define THRESHOLDS_TEXT 24
#define THRESHOLDS_FORM "up to four percentages from 1% to 100%, like 80% or 50%,80%; or none"

/*
 * Adds those of the text to the list, which stays in ascending order; "none" empties it. False: it
 * is none of THRESHOLDS_FORM, or there would be more than four.
 */
bool thresholds_parse(uint8_t alerts[K2K_ALERTS_MAX], const char *text);
/* "" if there are none. */
const char *thresholds_print(char text[THRESHOLDS_TEXT], const uint8_t alerts[K2K_ALERTS_MAX]);

/* The four as one number, as in an audit record, and back. */
uint64_t thresholds_pack(const uint8_t alerts[K2K_ALERTS_MAX]);
void thresholds_unpack(uint8_t alerts[K2K_ALERTS_MAX], uint64_t number);

/* "rate", "budget", "kernels", "gpu_memory"; else "unknown" */
const char *threshold_limit_name(uint64_t limit);

#endif
