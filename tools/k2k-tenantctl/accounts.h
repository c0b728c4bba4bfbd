/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* accounts.h - users and groups by name */
#ifndef K2K_TENANTCTL_ACCOUNTS_H
#define K2K_TENANTCTL_ACCOUNTS_H

#include "ctl.h"

#include <sys/types.h>

#define USER_TEXT 48
/* Each fills `text` and returns it: the name, or the number where it has none. */
char *user_name(char text[USER_TEXT], uid_t uid);
char *group_name(char text[USER_TEXT], gid_t gid);
/* A name or a number. False: there is no such user. */
bool user_parse(const char *text, uint32_t *uid);
bool group_parse(const char *text, uint32_t *gid);

#endif
