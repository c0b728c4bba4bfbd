/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * scan.h - where a log stands, read off the log itself
 *
 * There is no file of state that could disagree with the log: its first line
 * says where the reader of the rings stood then, and each event's line, which one it took.
 */
#ifndef K2K_AUDITD_SCAN_H
#define K2K_AUDITD_SCAN_H

#include "common/audit_chain.h"
#include "common/audit_event.h"

struct scan {
	bool ours;      /* there is at least one line of our form */
	uint64_t lines; /* complete ones */
	uint64_t first_seq, first_at_ns;
	uint64_t seq; /* of the newest */
	uint8_t mac[CHAIN_MAC_BYTES];
	bool named; /* its first line is there, and names the key */
	char key[CHAIN_KEY_NAME];
	/* the first that does not follow from the one before it; 0: none */
	uint64_t bad_line;
	struct position at, first_at; /* behind the newest line, and behind the first */
	uint64_t size;                /* bytes of complete lines */
};
/* 0, or an errno. */
int scan_file(const char *file, const struct chain_key *key, struct scan *scan);

/* The number of the first line, 0 where there is none. */
uint64_t scan_first(const char *file);

/* What a line tells about the position: its members from "kind" on. */
void scan_advance(struct position *at, const char *members, size_t size);
void scan_advance_line(struct position *at, const char *text, const struct chain_line *line);

#endif
