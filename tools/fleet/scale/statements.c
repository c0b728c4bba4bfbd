/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* statements.c - counts the statements of all agents, and how long each took */
#include "scale.h"
#include "common/clock.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { VOID_TYPE = 2278 }; /* pg_type.oid: one empty row */

#undef db_call
#undef db_open
PGresult *db_call(struct db *db, const char *sql, int count, const char *const *values);
int db_open(struct db *db, const char *conninfo, const char *program, uint64_t timeout_ns);

struct statements statements;

/* Those of below 32 us have a bucket each; above, 16 to 31 of a power of two are left of it. */
static size_t bucket_of(uint64_t us)
{
	unsigned power = us < 32 ? 0 : 59 - (unsigned)__builtin_clzll(us);
	size_t bucket = power * 16 + (us >> power);

	return bucket < DURATIONS ? bucket : DURATIONS - 1;
}

/* The middle of a bucket, in us. */
static double middle_of(size_t bucket)
{
	size_t power = bucket < 32 ? 0 : bucket / 16 - 1;

	return ((double)(bucket - power * 16) + 0.5) * (double)(UINT64_C(1) << power);
}

void durations_reset(struct durations *d)
{
	for (size_t i = 0; i < DURATIONS; i++)
		d->count[i] = 0;
}

void durations_add(struct durations *d, uint64_t ns)
{
	/* relaxed: a counter, which is read when all is quiet */
	atomic_fetch_add_explicit(&d->count[bucket_of(ns / 1000)], 1, memory_order_relaxed);
}

uint64_t durations_count(const struct durations *d)
{
	uint64_t count = 0;

	for (size_t i = 0; i < DURATIONS; i++)
		count += d->count[i];
	return count;
}

double durations_quantile(const struct durations *d, unsigned of_1000)
{
	uint64_t rank = (durations_count(d) * of_1000 + 999) / 1000, seen = 0;
	size_t i = 0;

	while (i < DURATIONS - 1 && (seen += d->count[i]) < rank)
		i++;
	return middle_of(i) / 1000;
}

void statements_reset(void)
{
	statements.failures = 0;
	for (size_t k = 0; k < KINDS; k++) {
		statements.kinds[k].rows = 0;
		durations_reset(&statements.kinds[k].took);
	}
}

/* By the name of the function that is called. */
static struct kind *kind_of(const char *name, size_t length)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	size_t k = 0;

	pthread_mutex_lock(&lock);
	while (k < statements.count && (strlen(statements.kinds[k].name) != length ||
	                                memcmp(statements.kinds[k].name, name, length) != 0))
		k++;
	if (k == statements.count && k < KINDS - 1) {
		snprintf(statements.kinds[k].name, sizeof(statements.kinds[k].name), "%.*s",
		         (int)length, name);
		statements.count++;
	}
	pthread_mutex_unlock(&lock);
	return &statements.kinds[k];
}

PGresult *scale_db_call(struct db *db, const char *sql, int count, const char *const *values)
{
	static const char schema[] = "k2k_fleet.";
	const char *name = strstr(sql, schema);
	uint64_t begin = clock_monotonic_ns();
	PGresult *result = db_call(db, sql, count, values);
	struct kind *kind;

	if (!result)
		statements.failures++;
	if (!name || !result)
		return result;
	name += strlen(schema);
	kind = kind_of(name, strcspn(name, "("));
	durations_add(&kind->took, clock_monotonic_ns() - begin);
	if (PQnfields(result) && PQftype(result, 0) != VOID_TYPE)
		kind->rows += (uint64_t)PQntuples(result);
	return result;
}

int scale_db_open(struct db *db, const char *conninfo, const char *program, uint64_t timeout_ns)
{
	static const char name[] = "(connect)";
	uint64_t begin = clock_monotonic_ns();
	int code = db_open(db, conninfo, program, timeout_ns);

	if (code)
		statements.failures++;
	else
		durations_add(&kind_of(name, strlen(name))->took, clock_monotonic_ns() - begin);
	return code;
}
