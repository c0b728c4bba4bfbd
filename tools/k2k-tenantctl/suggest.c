/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "suggest.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define WORD_MAX 40

/*
 * The distance of Damerau and Levenshtein (optimal string alignment): how many letters to change,
 * add, leave out, or swap with the next one, to turn one word into the other.
 */
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
	/* the beginning of a known word is closer than any misspelling */
	d = typed >= 2 && !strncmp(guess->typed, known, typed) ? 0 : distance(guess->typed, known);
	if (d > most || d >= strlen(known) || (guess->best && d >= guess->distance))
		return;
	guess->best = known;
	guess->distance = d;
}

void word_list_add(struct word_list *list, const char *word)
{
	size_t used = strlen(list->text);
	bool last = ++list->count == list->total;

	snprintf(list->text + used, sizeof(list->text) - used, "%s%s%s%s",
	         list->count == 1 ? ""
	         : last           ? " "
	                          : ", ",
	         list->count > 1 && last ? list->last : "", list->count > 1 && last ? " " : "",
	         word);
}
