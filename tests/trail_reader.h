/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* trail_reader.h - reads the audit trail, and compares it with what the callers know they did. */
#ifndef K2K_TESTS_TRAIL_READER_H
#define K2K_TESTS_TRAIL_READER_H

#include "harness.h"
#include "k2k/registry.h"

enum { READER_RECORDS = 2048 };

struct reader {
	struct k2k_registry *reg;
	struct k2k_audit_cursor cursor;
	struct k2k_audit_position further[K2K_AUDIT_FURTHER_RINGS_MAX];
	struct k2k_audit_record records[READER_RECORDS];
	size_t count;
};

HARNESS_USED static struct k2k_audit_stats stats_of(struct k2k_registry *reg)
{
	struct k2k_audit_stats stats = { .size = sizeof stats };

	assert_int_equal(k2k_audit_stats(reg, &stats), 0);
	return stats;
}

HARNESS_USED static void reader_open(struct reader *r, struct k2k_registry *reg)
{
	memset(r, 0, sizeof *r);
	r->reg = reg;
	r->cursor = (struct k2k_audit_cursor)K2K_AUDIT_CURSOR_INIT;
	r->cursor.further = r->further;
	r->cursor.further_count = K2K_AUDIT_FURTHER_RINGS_MAX;
}

/* Reads all that is there now. */
HARNESS_USED static void reader_take(struct reader *r, uint32_t flags)
{
	r->records[0].size = sizeof r->records[0];
	assert_int_equal(
		k2k_audit_read(r->reg, &r->cursor, flags, r->records, READER_RECORDS, &r->count),
		0);
}

/* Reads everything, once no event is open or being written any more. Keeps what it read. */
HARNESS_USED static void reader_take_all(struct reader *r)
{
	size_t have = 0, got;

	do {
		struct k2k_audit_record *at = &r->records[have];

		assert_true(have < READER_RECORDS);
		at->size = sizeof *at;
		assert_int_equal(
			k2k_audit_read(r->reg, &r->cursor, 0, at, READER_RECORDS - have, &got), 0);
		have += got;
		if (!got && r->cursor.waiting)
			assert_int_equal(k2k_audit_wait(r->reg, &r->cursor, 5000000), 0);
	} while (got || r->cursor.waiting);
	r->count = have;
}

/* Returns the `number`th event (from 0) of a kind; null if there are fewer. */
HARNESS_USED static const struct k2k_audit_record *reader_find(const struct reader *r,
                                                               uint32_t kind, size_t number)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->records[i].kind == kind && !(r->records[i].flags & K2K_AUDIT_LOST) &&
		    number-- == 0)
			return &r->records[i];
	return NULL;
}

HARNESS_USED static const struct k2k_audit_record *reader_need(const struct reader *r,
                                                               uint32_t kind, size_t number)
{
	const struct k2k_audit_record *record = reader_find(r, kind, number);

	if (!record)
		fail_msg("no event %zu of kind %s among %zu", number, k2k_audit_kind_name(kind),
		         r->count);
	return record;
}

HARNESS_USED static uint64_t reader_lost(const struct reader *r)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < r->count; i++)
		if (r->records[i].flags & K2K_AUDIT_LOST)
			sum += r->records[i].count;
	return sum;
}

#endif
