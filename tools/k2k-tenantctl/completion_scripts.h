/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef K2K_TENANTCTL_COMPLETION_SCRIPTS_H
#define K2K_TENANTCTL_COMPLETION_SCRIPTS_H

#include <stdbool.h>
#include <stdio.h>

/* Whether there is a script for that shell: bash, zsh or fish. */
bool completion_is_for(const char *shell);
/*
 * Prints the script, which makes the shell call `PROGRAM completion words`. The scripts contain no
 * command and no option, so they fit any version of the program.
 */
void completion_print(FILE *f, const char *shell, const char *program);

#endif
