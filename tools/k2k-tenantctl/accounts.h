/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * accounts.h - users and groups by name, and what somebody may have meant by a word that is none of
 * those known
 */
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

/*
 * Offered one known word after the other, it keeps the one that is most like `typed`; null where
 * none is like it.
 */
struct guess {
	const char *typed, *best;
	size_t distance;
};
void guess_offer(struct guess *guess, const char *known);

#endif
