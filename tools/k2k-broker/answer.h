/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* answer.h - does what a line asks for, and writes the answer */
#ifndef K2K_BROKER_ANSWER_H
#define K2K_BROKER_ANSWER_H

#include "clients.h"
#include "line.h"

#include <stdbool.h>
#include <stdio.h>

/* What all connections share. */
struct answers {
	struct broker *broker;
	struct clients *clients;
	/* repeated: requests that got the answer of an earlier one */
	uint64_t lines, malformed, repeated;
};

/* A connection, or a stream: one sequence of lines. */
struct session {
	struct line_input input;
	struct broker_inbox *inbox;
	struct broker_holder own; /* what it reserves, unless it has named its client */
	struct client *client;    /* null: it has not */
	bool begun;               /* a request was understood, so it can't name one any more */
};

/* The caller sets `deliver` of the inbox. */
void session_begin(struct session *session, struct broker_inbox *inbox);
/* Removes its kernels and cancels what it reserved. It may be called again. */
void session_end(struct session *session, struct answers *answers);

/*
 * Takes the next line of the session, does what it asks for, and writes the answer to `out` (null:
 * no answer). False if there is no complete line.
 */
bool answer_line(struct session *session, int at_end, struct answers *answers, FILE *out);

/* Writes the line that delivers a message to a connection. */
void answer_write_message(FILE *out, const struct broker_message *message);
/* Writes all counts as one line. */
void answer_write_totals(FILE *out, const struct answers *answers);

#endif
