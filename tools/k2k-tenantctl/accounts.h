/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* accounts.h - users and groups by name */
#ifndef K2K_TENANTCTL_ACCOUNTS_H
#define K2K_TENANTCTL_ACCOUNTS_H

#include "ctl.h"

#include <sys/types.h>

#define USER_TEXT 48
/* Each fills `text` with the name, or with the number if it has none, and returns it. */
char *user_name(char text[USER_TEXT], uid_t uid);
char *group_name(char text[USER_TEXT], gid_t gid);
/* Each takes a name or a number. False if there is no such name. */
bool user_parse(const char *text, uint32_t *uid);
bool group_parse(const char *text, uint32_t *gid);

#endif
