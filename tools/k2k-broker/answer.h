/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* answer.h - does what a line asks for, and writes the answer */
#ifndef K2K_BROKER_ANSWER_H
#define K2K_BROKER_ANSWER_H

#include "broker.h"
#include "line.h"

#include <stdbool.h>
#include <stdio.h>

struct answer_counts {
	uint64_t lines, malformed;
};

/*
 * Takes the next line of the input, does what it asks for, and writes the answer to `out` (null: no
 * answer). False if there is no complete line.
 */
bool answer_line(struct line_input *input, int at_end, struct broker *broker,
                 struct broker_inbox *inbox, struct answer_counts *counts, FILE *out);

/* Writes the line that delivers a message to a connection. */
void answer_write_message(FILE *out, const struct broker_message *message);
/* Writes all counts as one line. */
void answer_write_totals(FILE *out, const struct broker *broker,
                         const struct answer_counts *counts);

#endif
