/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef K2K_TENANTCTL_HELP_H
#define K2K_TENANTCTL_HELP_H

#include "ctl.h"

/*
 * Prints the help of a command, by its one or two words, or of all if `command` is null. False, and
 * nothing printed, if there is no such command.
 */
bool help_print(const char *command, const char *second);

/* Reports that there is no such command, with a suggestion. Returns EXIT_USAGE. */
int help_unknown(struct ctl *ctl, char **words, size_t count);

#endif
