/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bench.h - what all parts of k2k-bench share
 *
 * A case measures one or more rows. All cases are prepared first; then they take turns, round after
 * round, so that a disturbance of the machine affects all of them. A row's figure is the median of
 * its rounds.
 *
 * Processes: main() supervises, and removes all registries at the end, however the run ends. Its
 * child measures. The child's children are the workers.
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

/* What a row is compared with. */
enum against {
	AGAINST_NOTHING,
	AGAINST_FETCH_ADD,
	AGAINST_FETCH_ADD_TWO,
	AGAINST_LFHT,
	/* the case computes the ratio, with what it measures beside the row */
	AGAINST_ALONE,     /* the same call by one process */
	AGAINST_TABLE,     /* the same job done by a hash table in the process */
	AGAINST_ADMIT_120, /* an admit, and 120 ns */
};

enum goal {
	GOAL_NONE,
	GOAL_RATIO_AT_MOST,  /* ratio: the row's time divided by the floor's */
	GOAL_RATIO_AT_LEAST, /* ratio: the row's speed divided by the floor's, or by one process' */
	GOAL_VALUE_AT_MOST,
};

struct row_spec {
	const char *name; /* a floor's key in JSON has "_ns" appended */
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
	unsigned int most_rounds; /* 0: all */
	bool floors;              /* always measured */
	bool big;                 /* only with --big */
	bool (*possible)(void);   /* else its rows are left out; may be null */
	void *state;
	/* starts workers, before this process opens a registry; may be null */
	void (*start)(void *state);
	void (*open)(void *state);                          /* may be null */
	void (*round)(void *state, struct sample *samples); /* one sample a row */
};

#define ROWS(array) array, sizeof(array) / sizeof((array)[0])

enum { ROW_TEXT = 96 };

/* A measured row. */
struct row {
	const struct row_spec *spec;
	char name[ROW_TEXT], text[ROW_TEXT], against[ROW_TEXT]; /* as shown() */
	bool floor;
	enum goal goal;          /* none if --quick shrank the row */
	double *values, *ratios; /* sorted at the end */
	size_t count;
	double median, low, high, ratio; /* low, high: quartiles; ratio < 0: none */
};

/* Each file's cases; run.c lists them all. */
extern const struct bench_case floor_case, urcu_case, lease_case, definition_case, sum_case,
	register_case, memory_case, list_case, audit_case, tail_case, pair_case, load_case,
	attach_case, new_engagement_case, hot_case, random_1k_case, random_100k_case,
	random_1m_case, hot_1m_case, sum_1m_case, list_1m_case, register_1m_case, names_1k_case,
	names_100k_case, redis_case;
extern const struct bench_case *const all_cases[];
extern const size_t all_case_count;

/* ---- fail.c: a message, and exit status 1 -------------------------------------- */

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A call of the library failed. */
_Noreturn void die_of(int code, const char *what);

/* ---- time.c ------------------------------------------------------------------ */

/*
 * How often the kernel preempted this thread. A sample in which it did is repeated, up to TRIES
 * samples in all.
 */
uint64_t switches_count(void);
enum { TRIES = 4 };
/* CLOCK_MONOTONIC_RAW, which NTP does not slew */
uint64_t now_ns(void);
int compare_doubles(const void *a, const void *b);
int compare_u64(const void *a, const void *b);
/* The quantile of sorted values; `part` from 0 to 1. */
double quantile(const double *sorted, size_t count, double part);
double quantile_u64(const uint64_t *sorted, size_t count, double part);

/* Runs `calls` calls; the first sample finds how many are long enough. */
struct loop {
	void (*run)(void *state, uint64_t calls);
	void *state;
	uint64_t calls;
};
/* Nanoseconds per call. */
double time_loop(struct loop *loop);

/* Keeps the compiler from removing the value. */
#define USE(value) __asm__ volatile("" : : "r"(value) : "memory")

/* ---- registries.c -------------------------------------------------------------- */

/* Keeps the names of all registries of this run in memory that the supervisor shares. */
void registries_prepare(void);
/* A name for a registry; it is noted before the registry exists. */
void registry_name(char name[K2K_NAME_MAX + 1], const char *what);
void registries_destroy(void);

/* The i-th tenant id; ids are spread over all 64 bits. */
k2k_tenant_id tenant_id(uint64_t i);
/* So high that nothing is refused, though every limit is finite and checked. */
extern const struct k2k_quota high_quota;

struct k2k_registry *create_registry(char name[K2K_NAME_MAX + 1], const char *what,
                                     uint64_t tenants, uint64_t engagements);
void register_tenants(struct k2k_registry *admin, uint64_t tenants);
struct k2k_registry *open_broker(const char *name);

/* A registry with many tenants, created at first use, and their ids in random order. */
struct population {
	const char *what;
	uint64_t tenants, engagements; /* engagements: per tenant */
	char name[K2K_NAME_MAX + 1];
	struct k2k_registry *admin, *broker;
	uint64_t *ids;
	double register_ns; /* time that registering all of them took */
};
extern struct population population_1k, population_100k, population_1m;
void population_need(struct population *p);
uint64_t *ids_in_random_order(uint64_t count);
uint64_t *numbers_in_random_order(uint64_t count); /* from 0 to count - 1 */
int run_pid(void);                                 /* that is in the names */

/* ---- messages.c ------------------------------------------------------------------ */

/* The tenants of a loop of calls, in turn. */
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

/* ---- names.c, name_table.c, redis.c: names of kernels, and messages between them ------------ */

/*
 * Kernels of tenants that have ten each. Each sends to the next one of its tenant. `order` has the
 * numbers of those that a loop takes in turn.
 */
struct kernels {
	uint64_t count;
	char (*names)[32];
	uint64_t *order;
	uint64_t order_count, at;
};
enum { KERNELS_A_TENANT = 10 };

void kernels_make(struct kernels *kernels, uint64_t count); /* all, in random order */
static inline uint64_t kernels_next(struct kernels *kernels)
{
	uint64_t i = kernels->order[kernels->at];

	kernels->at = kernels->at + 1 == kernels->order_count ? 0 : kernels->at + 1;
	return i;
}
static inline uint64_t kernel_partner(uint64_t i)
{
	return i - i % KERNELS_A_TENANT + (i + 1) % KERNELS_A_TENANT;
}

/* A hash table of kernels in private memory. */
struct name_table {
	struct cds_lfht *table;
	struct name_entry *entries;
	struct kernels *kernels; /* of a loop */
};
void name_table_fill(struct name_table *table, const struct kernels *kernels);
/* Loops over a struct name_table: one finds a name; one two, and counts a message. */
void loop_table_find(void *table, uint64_t calls);
void loop_table_route(void *table, uint64_t calls);

void redis_clean_up(void);

/* ---- workers.c: processes that work together ------------------------------------------ */

struct workers {
	unsigned int size;
	void (*work)(void *context, unsigned int worker, unsigned int order);
	/* a worker sees it as it was at workers_start(), except shared memory */
	void *context;
	struct worker_orders *orders; /* shared */
};
void workers_start(struct workers *workers);
/* The first `members` workers call work(order). workers_wait() waits until they are done. */
void workers_run(struct workers *workers, unsigned int members, unsigned int order);
void workers_wait(struct workers *workers, unsigned int members);
void workers_stop_all(void); /* kills all of them, and waits */
void *shared_memory(size_t bytes);
/* Ends the calling process when its parent ends. */
void end_with_parent(int parent);

/* A barrier: each of `parties` processes waits for the others. */
struct meeting {
	_Atomic uint32_t arrived, round;
};
void meet(struct meeting *meeting, uint32_t parties);
/* Pins the calling process to the n-th of its processors, if it has that many. */
void pin_to(unsigned int n);
unsigned int processors(void);

/* list.c: k2k-tenantctl beside this program, installed or built; else in PATH. */
const char *find_tool(void);

/* ---- run.c, output.c ----------------------------------------------------------------- */

/* Measures what the options ask for. Returns all rows, floors first. */
struct row *measure(size_t *count);
bool row_is_wanted(const struct row_spec *spec);
void print_table(const struct row *rows, size_t count);
void print_json(const struct row *rows, size_t count);
/*
 * With --quick, 10,000 tenants take the place of 100,000: writes that into a row's name or text.
 * Returns whether it changed it.
 */
bool shown(char to[ROW_TEXT], const char *from);
/* 100,000; with --quick, 10,000. */
uint64_t many(void);
/* 1: met, 0: not met, -1: there is no target. */
int row_met(const struct row *row);

#endif
