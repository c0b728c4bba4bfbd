/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * audit_chain.h - the format of an audit log: a chain of lines in which every change is noticed
 *
 * A line is one JSON object:
 *
 *   {"seq":"12","at_ns":"...","kind":"rate",...,"mac":"<64 hexadecimal digits>"}
 *
 * seq numbers the lines from 1, over all files; at_ns is when the line was written (since 1970).
 * mac is BLAKE2b-256 with the key and the personal string "k2k-audit-line/1", over the 32 bytes of
 * the previous line's mac (for the first line of all: 32 zero bytes) and the line's own bytes up to
 * the comma before "mac". So without the key no line can be changed, removed, added or moved.
 *
 * The first line of each file has the kind "log.opened". "prev" is the previous line's mac, so that
 * a file can be verified alone. "key" names the key: the first 8 bytes of BLAKE2b-128 of no bytes,
 * personal string "k2k-audit-key/1"; null means no key, and then anybody who may write the file can
 * replace it. "oldest" is the number of the first line of the oldest file that is kept.
 *
 * If lines are cut off at the end, the rest is a valid chain. So beside the log is its head: one
 * line, which is replaced after the lines are on the disk:
 *
 *   {"count":"12","last":"<mac of line 12>","at_ns":"...","interval_ns":"...","mac":"..."}
 *
 * Its mac has the personal string "k2k-audit-head/1" and no previous mac. Lines may be newer than
 * the head by interval_ns. The files can't show that a log was cut and an older head put beside it:
 * copy heads to another machine.
 */
#ifndef K2K_COMMON_AUDIT_CHAIN_H
#define K2K_COMMON_AUDIT_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHAIN_MAC_BYTES 32
#define CHAIN_KEY_BYTES 32
#define CHAIN_KEY_NAME 17 /* room for "key": 16 digits and the end */
#define CHAIN_MAC_TEXT 65
#define CHAIN_TAIL 75        /* bytes of ,"mac":"..."} */
#define CHAIN_LINE_MAX 16384 /* with its newline; a longer line is not a line of a log */

struct chain_key {
	size_t size; /* 0: none */
	uint8_t bytes[CHAIN_KEY_BYTES];
};

/* Call it before anything else here. Returns 0 or -1. */
int chain_init(void);

enum { CHAIN_KEY_SYSTEM = -1, CHAIN_KEY_RIGHTS = -2, CHAIN_KEY_FORM = -3 };
/*
 * Reads 32 bytes, or 64 hexadecimal digits, from a file that only its owner can read. Returns 0, or
 * one of these and the reason in `why`.
 */
int chain_read_key(const char *file, struct chain_key *key, char *why, size_t room);
/* The value of "key"; "" without a key. */
void chain_key_name(const struct chain_key *key, char name[CHAIN_KEY_NAME]);

struct chain_line {
	uint64_t seq, at_ns;
	const char *kind;            /* not terminated */
	size_t kind_size, body_size; /* body: the bytes that the mac covers */
	uint8_t mac[CHAIN_MAC_BYTES];
};
/* `size` is without the newline. False unless it has exactly the format above. */
bool chain_parse(const char *text, size_t size, struct chain_line *line);
bool chain_is_kind(const struct chain_line *line, const char *kind);

void chain_mac(const struct chain_key *key, const uint8_t before[CHAIN_MAC_BYTES], const char *body,
               size_t size, uint8_t mac[CHAIN_MAC_BYTES]);
/* Whether the line has the right mac for one that follows the line with the mac `before`. */
bool chain_follows(const struct chain_key *key, const uint8_t before[CHAIN_MAC_BYTES],
                   const char *text, const struct chain_line *line);
/* Writes ,"mac":"..."} and a terminator after the body. */
void chain_write_tail(char *to, const uint8_t mac[CHAIN_MAC_BYTES]);

void chain_mac_text(const uint8_t mac[CHAIN_MAC_BYTES], char text[CHAIN_MAC_TEXT]);
/* Reads the 64 digits at `text`. */
bool chain_mac_parse(const char *text, size_t size, uint8_t mac[CHAIN_MAC_BYTES]);

/* ---- lines of a file ---------------------------------------------------------- */

struct chain_reader {
	int fd;
	char *bytes;
	size_t start, end, room;
	uint64_t offset; /* in the file, of bytes[start] */
	uint64_t number; /* of the last line that was returned, from 1 */
	bool at_end;
};
/* Returns 0 or an errno. */
int chain_reader_open(struct chain_reader *reader, const char *file);
void chain_reader_close(struct chain_reader *reader);

enum chain_read { CHAIN_LINE, CHAIN_HALF, CHAIN_END, CHAIN_FAILED };
/*
 * The next line without its newline, valid until the next call; of a line that is too long only its
 * first CHAIN_LINE_MAX bytes. CHAIN_HALF: the last line, without a newline. CHAIN_FAILED: see
 * errno.
 */
enum chain_read chain_reader_next(struct chain_reader *reader, const char **text, size_t *size);

/* ---- the head --------------------------------------------------------------- */

struct chain_head {
	uint64_t count, at_ns, interval_ns;
	uint8_t last[CHAIN_MAC_BYTES];
};

enum chain_head_state {
	CHAIN_HEAD_GOOD,
	CHAIN_HEAD_MISSING,
	CHAIN_HEAD_UNREADABLE, /* errno */
	CHAIN_HEAD_BAD,        /* changed, or made with another key */
};
enum chain_head_state chain_read_head(const char *file, const struct chain_key *key,
                                      struct chain_head *head);
/* The new head is on the disk afterwards, or the old one. Returns 0 or an errno. */
int chain_write_head(const char *file, const struct chain_key *key, const struct chain_head *head);

/* ---- the first line of a file -------------------------------------------------- */

/* The members of a "log.opened" line; to be freed. */
struct chain_opened {
	uint8_t prev[CHAIN_MAC_BYTES];
	uint64_t oldest; /* number of the first line of the oldest file that is kept */
	char key[CHAIN_KEY_NAME];
	void *json; /* the whole line, a json_object */
};
bool chain_parse_opened(const char *text, size_t size, const struct chain_line *line,
                        struct chain_opened *opened);
void chain_free_opened(struct chain_opened *opened);

#endif
