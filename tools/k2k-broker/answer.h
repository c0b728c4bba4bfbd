/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * answer.h - lines that come in, done and answered by lines that go out
 */
#ifndef K2K_BROKER_ANSWER_H
#define K2K_BROKER_ANSWER_H

#include "broker.h"
#include "line.h"
#include "common/text.h"

#include <stddef.h>

/* ---- from line to answer ------------------------------------------------------------ */

struct answer_counts {
	uint64_t lines, malformed;
};

/*
 * Does what all complete lines of the input ask, and adds the answers to out (null:
 * no answers), until out has `enough` bytes. Returns 1 where it stopped because of that.
 */
int answer_lines(struct line_input *input, int at_end, struct broker *broker,
                 struct broker_inbox *inbox, struct answer_counts *counts, struct text *out,
                 size_t enough);

/* The line by which a message arrives at a connection. */
void answer_add_message(struct text *out, const struct broker_message *message);
/* All counts as one line. */
void answer_add_totals(struct text *out, const struct broker *broker,
                       const struct answer_counts *counts);

#endif
