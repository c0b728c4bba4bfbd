/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* suggest.h - what a user may have meant by a word that is not known */
#ifndef K2K_TENANTCTL_SUGGEST_H
#define K2K_TENANTCTL_SUGGEST_H

#include <stddef.h>

/* Start with { typed, NULL, 0 }, offer each known word, then read `best`: null if none is close. */
struct guess {
	const char *typed, *best;
	size_t distance;
};
void guess_offer(struct guess *guess, const char *known);

/* The known words as a message lists them: "table, json or csv". */
struct word_list {
	char text[720];
	const char *last; /* "or", "and" */
	size_t count, total;
};
void word_list_add(struct word_list *list, const char *word);

#endif
