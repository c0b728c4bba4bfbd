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

#define WORD_MAX 40

/* Letters to change, add, leave out, or exchange with the next, from one word to the other. */
static size_t distance(const char *a, const char *b)
{
	size_t rows[3][WORD_MAX + 1], length = strlen(b);
	size_t *before = rows[0], *last = rows[1], *now = rows[2];

	for (size_t j = 0; j <= length; j++)
		last[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t *spare = before;

		now[0] = i;
		for (size_t j = 1; j <= length; j++) {
			size_t least = last[j - 1] + (a[i - 1] != b[j - 1]);

			least = last[j] + 1 < least ? last[j] + 1 : least;
			least = now[j - 1] + 1 < least ? now[j - 1] + 1 : least;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < least)
				least = before[j - 2] + 1;
			now[j] = least;
		}
		before = last;
		last = now;
		now = spare;
	}
	return last[length];
}

void guess_offer(struct guess *guess, const char *known)
{
	size_t typed = strlen(guess->typed), most = typed < 4 ? 1 : 2, d;

	if (typed > WORD_MAX || strlen(known) > WORD_MAX)
		return;
	/* a beginning of it is nearer than any mistake */
	d = typed >= 2 && !strncmp(guess->typed, known, typed) ? 0 : distance(guess->typed, known);
	if (d > most || d >= strlen(known) || (guess->best && d >= guess->distance))
		return;
	guess->best = known;
	guess->distance = d;
}
