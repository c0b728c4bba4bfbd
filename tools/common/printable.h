/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * printable.h - makes untrusted text safe to print
 *
 * Names of processes, kernels and files, arguments, and text in shared memory may have any bytes. A
 * control character could move a terminal's cursor or begin a forged line, and a spreadsheet would
 * compute a csv cell that looks like a formula. So all such text goes through here before it is
 * printed, in every output format.
 */
#ifndef K2K_COMMON_PRINTABLE_H
#define K2K_COMMON_PRINTABLE_H

#include <stdbool.h>
#include <stddef.h>

/* Replaces each byte that is not a printable ASCII character by '?'. */
void printable(char *text);
/*
 * Copies at most `length` bytes, up to the first 0 and as many as fit, and makes the copy
 * printable. Null is copied as an empty text. Returns `to`.
 */
char *printable_copy(char *to, size_t room, const char *from, size_t length);

/* Room for a name of a kernel as printable_escape() writes it. */
#define PRINTABLE_KERNEL (4 * 63 + 1)
/*
 * Copies the same bytes, but writes each that is not a printable ASCII character as \xHH and a
 * backslash as \\. So different texts stay different. What does not fit is left out, never half an
 * escape. Returns `to`.
 */
char *printable_escape(char *to, size_t room, const char *from, size_t length);

/* Whether a spreadsheet would compute this text; such a cell gets a ' in front. */
bool printable_is_formula(const char *text);

#endif
