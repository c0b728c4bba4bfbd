/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * memory.h - memory that is there, or the program ends
 *
 * For programs that can't go on without it. Whatever they hold in a registry is given back because
 * they end, as after a kill.
 */
#ifndef K2K_COMMON_MEMORY_H
#define K2K_COMMON_MEMORY_H

#include <stddef.h>
#include <stdio.h>

/* Reports it on standard error and ends the program with exit status 10. */
_Noreturn void out_of_memory(void);
/* Returns `memory`; null ends the program. */
void *check_memory(void *memory);

/*
 * Text that grows: open_memstream(3). Closing it makes *text and *size valid; then *text is to be
 * freed.
 */
FILE *text_open(char **text, size_t *size);
void text_close(FILE *stream);

#endif
