/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * scan.h - reads off a log which events it has
 *
 * No separate state file can disagree with the log: its first line has the position in the rings at
 * which it begins, and each line of an event has that event's ring and sequence.
 */
#ifndef K2K_AUDITD_SCAN_H
#define K2K_AUDITD_SCAN_H

#include "common/audit_chain.h"
#include "common/audit_event.h"

struct scan {
	bool ours;      /* it has at least one line of an audit log */
	uint64_t lines; /* complete lines */
	uint64_t first_seq, first_at_ns;
	uint64_t seq; /* of the newest line */
	uint8_t mac[CHAIN_MAC_BYTES];
	bool named; /* the first line is there, and names the key or says that there is none */
	char key[CHAIN_KEY_NAME];
	/* the first line that does not follow from the one before it; 0: none */
	uint64_t bad_line;
	struct position at, first_at; /* after the newest line, and after the first */
	uint64_t size;                /* bytes of complete lines */
};
/* Returns 0 or an errno. */
int scan_file(const char *file, const struct chain_key *key, struct scan *scan);

/* The number of the first line; 0: there is none. */
uint64_t scan_first(const char *file);

/* Moves the position past a line, by its members from "kind" on. */
void scan_advance(struct position *at, const char *members, size_t size);
void scan_advance_line(struct position *at, const char *text, const struct chain_line *line);

#endif
