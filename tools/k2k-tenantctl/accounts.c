/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "accounts.h"
#include "common/units.h"
#include "common/printable.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

char *user_name(char text[USER_TEXT], uid_t uid)
{
	const struct passwd *user = getpwuid(uid);

	if (user)
		return printable_copy(text, USER_TEXT, user->pw_name, SIZE_MAX);
	snprintf(text, USER_TEXT, "%lu", (unsigned long)uid);
	return text;
}

char *group_name(char text[USER_TEXT], gid_t gid)
{
	const struct group *group = getgrgid(gid);

	if (group)
		return printable_copy(text, USER_TEXT, group->gr_name, SIZE_MAX);
	snprintf(text, USER_TEXT, "%lu", (unsigned long)gid);
	return text;
}

static bool parse_number(const char *text, uint32_t *id)
{
	struct units_fault fault;
	uint64_t number;

	if (units_parse_count(text, 0, UINT32_MAX - 1, &number, &fault))
		return false;
	*id = (uint32_t)number;
	return true;
}

bool user_parse(const char *text, uint32_t *uid)
{
	const struct passwd *user = getpwnam(text);

	if (!user)
		return parse_number(text, uid);
	*uid = user->pw_uid;
	return true;
}

bool group_parse(const char *text, uint32_t *gid)
{
	const struct group *group = getgrnam(text);

	if (!group)
		return parse_number(text, gid);
	*gid = group->gr_gid;
	return true;
}
