/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * text.h (F0) - texts that come from shared memory or from a caller, and may be shown: on a
 * terminal, in JSON, as a label of a metric.
 */
#ifndef K2K_TEXT_H
#define K2K_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Is all of it UTF-8 without control characters? */
bool k2k_text_is_clean(const char *text, size_t bytes);
/*
 * Copies a text that may lack its terminating zero, at most room - 1 bytes, and terminates it. A
 * '?' takes the place of each byte that must not be shown.
 */
void k2k_text_copy(char *to, const char *from, size_t room);

#endif
