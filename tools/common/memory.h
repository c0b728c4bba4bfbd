/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* memory.h - memory that is there, or the program ends */
#ifndef K2K_COMMON_MEMORY_H
#define K2K_COMMON_MEMORY_H

/* Reports it on standard error and ends the program with exit status 10. */
_Noreturn void out_of_memory(void);
/* Returns `memory`; null ends the program. */
void *check_memory(void *memory);

#endif
