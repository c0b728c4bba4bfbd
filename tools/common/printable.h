/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * printable.h - text from strangers, before it is printed
 *
 * Names of processes, of kernels and of files, arguments, and what stands in shared memory may hold
 * any bytes. Everything that a program prints of them goes through here, whatever the form: a
 * control character would move a terminal's cursor or begin a line, and a cell that begins a
 * formula would be computed by the program that opens a csv file.
 */
#ifndef K2K_COMMON_PRINTABLE_H
#define K2K_COMMON_PRINTABLE_H

#include <stdbool.h>
#include <stddef.h>

/* Each byte that is no printable ASCII character becomes '?'. */
void printable(char *text);
/*
 * The same of a copy that is cut to fit, and ends after `length` bytes or at the first 0; null is
 * an empty text. Returns `to`.
 */
char *printable_copy(char *to, size_t room, const char *from, size_t length);

/* Would a spreadsheet compute this text? Such a cell gets a ' in front. */
bool printable_is_formula(const char *text);

#endif
