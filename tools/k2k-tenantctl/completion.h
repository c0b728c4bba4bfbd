/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* completion.h - what completion of commands and of values share */
#ifndef K2K_TENANTCTL_COMPLETION_H
#define K2K_TENANTCTL_COMPLETION_H

#include "command_table.h"

struct line {
	const char *place;                 /* the registry, or the database; may be "" */
	const char *first;                 /* the command's first word, or null */
	const struct command *command;     /* null until all its words were read */
	const struct option_text *waiting; /* the option whose argument comes next */
	bool unknown;                      /* there is no such command */
	bool dashes;                       /* -- was read */
	char **operands;                   /* of the command */
	size_t operand_count;
};

/*
 * Prints `word` as a candidate if it begins with `typed`. `before` is the part of the user's word
 * in front of `typed`, which stays.
 */
void offer(const char *typed, const char *before, const char *word, const char *text);

bool is_named(const struct line *l, const char *word);

/* Offers what the place has of that kind: completion_registry.c, and k2k-fleetctl's own. */
void offer_known(const struct line *l, enum value_kind kind, const char *typed, const char *before);

#endif
