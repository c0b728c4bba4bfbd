/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef K2K_TENANTCTL_COMPLETION_SCRIPTS_H
#define K2K_TENANTCTL_COMPLETION_SCRIPTS_H

/*
 * A script that makes the shell call `k2k-tenantctl completion words`. The scripts contain no
 * command and no option, so they fit any version of the program. Null unless the shell is bash, zsh
 * or fish.
 */
const char *completion_script(const char *shell);

#endif
