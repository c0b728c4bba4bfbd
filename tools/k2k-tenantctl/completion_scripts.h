/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef K2K_TENANTCTL_COMPLETION_SCRIPTS_H
#define K2K_TENANTCTL_COMPLETION_SCRIPTS_H

/*
 * What makes a shell ask `k2k-tenantctl completion words`. The scripts know no command and no
 * option, so they serve any version of the program. Null for another shell than bash, zsh and fish.
 */
const char *completion_script(const char *shell);

#endif
