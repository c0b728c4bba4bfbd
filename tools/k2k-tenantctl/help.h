/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef K2K_TENANTCTL_HELP_H
#define K2K_TENANTCTL_HELP_H

#include "ctl.h"

/*
 * Prints the help on a command (second: of its two words), or with null on all. False, and nothing
 * printed, where there is none.
 */
bool help_print(const char *command, const char *second);

/* There is no such command: says so, and which may be meant. Returns EXIT_USAGE. */
int help_unknown(struct ctl *ctl, char **words, size_t count);

#endif
