/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef K2K_TENANTCTL_HELP_H
#define K2K_TENANTCTL_HELP_H

#include <stdbool.h>

/* Prints the help on a command (second: of its two words), or with null on all. False, and nothing printed, where there is none. */
bool help_print(const char *command, const char *second);

#endif
