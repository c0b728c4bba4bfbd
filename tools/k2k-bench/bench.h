/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bench.h - what all parts of k2k-bench share.
 *
 * A case measures one or several rows at once. All cases are prepared first;
 * then they take turns, round after round, so that what disturbs the machine
 * for a while falls on all of them. A row's figure is the median of its rounds.
 *
 * The processes: main() supervises, and removes all registries at the end,
 * however that comes; its child measures; that one's children are the crews.
 */
#ifndef K2K_BENCH_H
#define K2K_BENCH_H

#include <k2k/registry.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_NAME "k2k-bench"

struct options {
	bool quick, big, json;
	const char *only; /* null: all rows */
	unsigned int rounds;
	uint64_t sample_ns; /* a timed loop takes at least this long */
};
extern struct options options;

/* ---- rows ------------------------------------------------------------------ */

enum unit { UNIT_NS, UNIT_BYTES, UNIT_PER_S };

/* What a row's ratio is to. */
enum against {
	AGAINST_NOTHING,
	AGAINST_FETCH_ADD,
	AGAINST_FETCH_ADD_TWO,
	AGAINST_LFHT,
	AGAINST_ALONE, /* the same by one process: the case gives the ratio itself */
};

enum goal {
	GOAL_NONE,
	GOAL_RATIO_AT_MOST,  /* ratio: the row's time by the floor's */
	GOAL_RATIO_AT_LEAST, /* ratio: the row's speed by the floor's, or by that alone */
	GOAL_VALUE_AT_MOST,
};

struct row_spec {
	const char *name; /* a floor's key in JSON has "_ns" behind it */
	const char *text;
	enum unit unit;
	enum against against;
	enum goal goal;
	double target;
};

struct sample {
	double value, ratio;
};

struct bench_case {
	const struct row_spec *rows;
	size_t row_count;
	unsigned int most_rounds; /* 0: as many as there are */
	bool floors;              /* always measured */
	bool big;                 /* with --big alone */
	void *state;
	/* forks, before anybody has opened a registry; may be null */
	void (*hire)(void *state);
	void (*open)(void *state);                          /* may be null */
	void (*round)(void *state, struct sample *samples); /* one sample a row */
};

#define ROWS(array) array, sizeof(array) / sizeof((array)[0])

enum { ROW_TEXT = 96 };

/* A row as measured. */
struct row {
	const struct row_spec *spec;
	char name[ROW_TEXT], text[ROW_TEXT], against[ROW_TEXT]; /* as shown() */
	bool floor;
	enum goal goal;          /* none where the row is shrunk */
	double *values, *ratios; /* sorted at the end */
	size_t count;
	double median, low, high, ratio; /* low, high: quartiles. ratio < 0: none */
};

/* Each file's cases; run.c lists them all. */
extern const struct bench_case floor_case, urcu_case, lease_case, definition_case, sum_case,
	register_case, memory_case, list_case, audit_case, tail_case, pair_case, load_case,
	attach_case, new_engagement_case, hot_case, random_1k_case, random_100k_case,
	random_1m_case, hot_1m_case, sum_1m_case, list_1m_case, register_1m_case;
extern const struct bench_case *const all_cases[];
extern const size_t all_case_count;

/* ---- fail.c: a message, and exit code 1 -------------------------------------- */

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A call of the library failed. */
_Noreturn void die_of(int code, const char *what);

/* ---- time.c ------------------------------------------------------------------ */

/*
 * How often the kernel took the processor away from this thread. A sample in which it did is taken
 * again: TRIES in all.
 */
uint64_t switches_count(void);
enum { TRIES = 4 };
/* CLOCK_MONOTONIC_RAW: as the processor counts, not slewed by NTP */
uint64_t now_ns(void);
int compare_doubles(const void *a, const void *b);
int compare_u64(const void *a, const void *b);
/* Of sorted values; part from 0 to 1. */
double quantile(const double *sorted, size_t count, double part);
double quantile_u64(const uint64_t *sorted, size_t count, double part);

/* A loop that runs `calls` calls; how many make up a sample is found out at the first one. */
struct loop {
	void (*run)(void *state, uint64_t calls);
	void *state;
	uint64_t calls;
};
/* Nanoseconds a call. */
double time_loop(struct loop *loop);

/* Lets the compiler think that the value is used. */
#define USE(value) __asm__ volatile("" : : "r"(value) : "memory")

/* ---- registries.c -------------------------------------------------------------- */

/* The names of all registries of this run, in memory that the supervisor sees. */
void registries_prepare(void);
/* A name for one of them, noted before it exists. */
void registry_name(char name[K2K_NAME_MAX + 1], const char *what);
void registries_destroy(void);

/* The i-th id of any population: ids are spread over all 64 bits. */
k2k_tenant_id tenant_id(uint64_t i);
/* So high that nothing here is refused, but no limit is the special one. */
extern const struct k2k_quota high_quota;

struct k2k_registry *create_registry(char name[K2K_NAME_MAX + 1], const char *what,
                                     uint64_t tenants, uint64_t engagements);
void register_tenants(struct k2k_registry *admin, uint64_t tenants);
struct k2k_registry *open_broker(const char *name);

/* A registry of many tenants, made at first use, and their ids in random order. */
struct population {
	const char *what;
	uint64_t tenants, engagements; /* engagements: of each tenant, from 1 */
	char name[K2K_NAME_MAX + 1];
	struct k2k_registry *admin, *broker;
	uint64_t *ids;
	double register_ns; /* what registering all of them took */
};
extern struct population population_1k, population_100k, population_1m;
void population_need(struct population *p);
uint64_t *ids_in_random_order(uint64_t count);

/* ---- messages.c ------------------------------------------------------------------ */

/* Whom a loop of calls is for: ids in turn. */
struct target {
	struct k2k_registry *reg;
	const uint64_t *ids;
	uint64_t count, at;
};
enum op {
	OP_CHECK,
	OP_RECORD,
	OP_ADMIT,
	OP_TRACK,
	OP_ADMIT_64,
	OP_ADMIT_VERDICT,
	OP_GET,
	OP_COUNT
};
/* Loops over a struct target. */
extern void (*const op_loops[OP_COUNT])(void *target, uint64_t calls);

/* ---- crew.c: processes that work on order ------------------------------------------ */

struct crew {
	unsigned int size;
	void (*work)(void *context, unsigned int worker, unsigned int order);
	/* as it was at crew_hire(), but for what is shared memory in it */
	void *context;
	struct crew_desk *desks; /* shared */
};
void crew_hire(struct crew *crew);
/* Workers below `members` do work(order). crew_wait() returns when they have. */
void crew_order(struct crew *crew, unsigned int members, unsigned int order);
void crew_wait(struct crew *crew, unsigned int members);
void crews_dismiss(void); /* kills and waits for all of them */
void *shared_memory(size_t bytes);
/* So that no child outlives this process. */
void end_with_parent(int parent);

/* `parties` processes meet here, again and again. */
struct meeting {
	_Atomic uint32_t arrived, round;
};
void meet(struct meeting *meeting, uint32_t parties);
/* The calling process on the n-th of its processors, if it has that many. */
void pin_to(unsigned int n);
unsigned int processors(void);

/* k2k-tenantctl beside this program, as installed, or as built; else in PATH. By list.c. */
const char *find_tool(void);

/* ---- run.c, output.c ----------------------------------------------------------------- */

/* Measures what options ask for; all rows, floors first. */
struct row *measure(size_t *count);
bool row_is_wanted(const struct row_spec *spec);
void print_table(const struct row *rows, size_t count);
void print_json(const struct row *rows, size_t count);
/*
 * --quick takes 10,000 where 100,000 is said: this says so in a row's name and text. Returns
 *  whether it did.
 */
bool shown(char to[ROW_TEXT], const char *from);
/* 100,000, or what --quick takes for it. */
uint64_t many(void);
/* 1 met, 0 not met, -1 there is no target. */
int row_met(const struct row *row);

#endif
