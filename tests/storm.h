/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * storm.h - what the parts of crash_storm share
 *
 * - storm.c is the supervisor: it starts, kills, stops and continues the others, and notices hangs.
 * - storm_record.c has the records, and the random numbers.
 * - storm_broker.c is a broker of two threads.
 * - storm_admin.c is an administrator.
 * - storm_recount.c recounts everything at the end.
 *
 * A thread that calls the library is a task. It records each answer in memory that only it writes
 * and that the supervisor has mapped too, so a kill loses nothing that was stored. A call is
 * recorded in three steps:
 *
 * 1. It stores what it is about to ask, then state PENDING.
 * 2. It stores which sum the answer is added to and the old sum, then state TOLD.
 * 3. It stores the new sum, then state IDLE.
 *
 * If it is killed after step 1, the call is uncertain. If it is killed after step 2, the answer is
 * known; the supervisor does step 3, also if it was done already. A killed thread has executed all
 * instructions up to some point, so the order of the compiler is the only order that matters.
 */
#ifndef K2K_TESTS_STORM_H
#define K2K_TESTS_STORM_H

#include <k2k/registry.h>

#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define STORM_NS UINT64_C(1000000000)
#define STORM_MS UINT64_C(1000000)

enum {
	BROKERS = 8,
	THREADS = 2,
	WORKERS = BROKERS * THREADS,
	ADMINS = 2,
	PARTICIPANTS = BROKERS + ADMINS,
	TASKS = WORKERS + ADMINS,

	TENANTS_MAX = 64,   /* of the registry: slots are used again and again */
	STABLE = 24,        /* registered all the time */
	STABLE_UPDATED = 6, /* the last of them: their rate changes */
	/* ids under which tenants come and go; one administrator changes each place */
	PLACES = 24,
	PLACES_REUSED = 8, /* the first of them: they use the same id each time */
	/* an account is one registration of one tenant; stable tenants come first */
	ACCOUNTS = 1 << 17,
	ACCOUNTS_EACH = (ACCOUNTS - STABLE) / ADMINS,
	ENGAGEMENTS = 2,       /* 1 and 2 have a sum of their own */
	ENGAGEMENTS_MAX = 420, /* of the registry: sometimes it is full */

	NO_ACCOUNT = ACCOUNTS,
	/* the last ones that a task saw, for an account that is not stable */
	WINDOWS = 4,
	LEASES = 24, /* a task holds at most so many */
	RESOURCES = 2,

	/* an account that is not stable has this rate + its number: a verdict shows the account */
	RATE_BASE = 1 << 20,
	BYTES_A_KERNEL = 1000, /* in each quota: both limits change together */
	FIRST_REUSED_ID = 500,
	FIRST_FRESH_ID = 1000,
	CONTESTED_ID = 600, /* both administrators race for it */
	PROBE_ID = 700,     /* the supervisor registers it */
	UNKNOWN_ID = 800,   /* never registered */

	BROKER_NICE = 8,
	ADMIN_TIMEOUT_MS = 150,
	HANG_S = 10,
	BUCKETS = 40, /* of a histogram of times: powers of two of ns */
};

enum storm_phase {
	PHASE_RUN = 0,
	PHASE_PARK, /* end the call, keep all leases */
	PHASE_FILL, /* take every kernel slot and byte of the stable tenants */
};

enum storm_op {
	OP_NONE,
	OP_OPEN,
	OP_CLOSE,
	OP_ADMIT,
	OP_RECORD,
	OP_CHECK,
	OP_TRACK,
	OP_READ,
	OP_KERNEL,
	OP_MEMORY,
	OP_KERNEL_RELEASE,
	OP_MEMORY_RELEASE,
	OP_REGISTER,
	OP_UPDATE,
	OP_BUDGET,
	OP_DEREGISTER,
	OP_REPAIR,
	OPS,
};

enum storm_state { STATE_IDLE, STATE_PENDING, STATE_TOLD };

struct storm_window {
	uint32_t second;    /* since the storm began, + 1; 0: unused */
	uint32_t sum;       /* of the messages whose verdict named this second */
	uint32_t most_used; /* in those verdicts */
	uint32_t most_limit;
};

/* What the answers to one task said about one account. */
struct storm_entry {
	uint64_t admitted;
	uint64_t rejected; /* K2K_ERATE */
	uint64_t cost[ENGAGEMENTS];
	uint64_t cost_other;
	uint64_t gone, unbooked;
	uint64_t generation; /* in its leases */
	struct storm_window windows[WINDOWS];
};

/* Answers that do not show the registration: summed by the id of the place. */
struct storm_by_place {
	uint64_t cost, gone, unbooked, recorded, rejected;
};

struct storm_lease {
	struct k2k_lease lease;
	uint32_t account;
	_Atomic uint32_t held; /* 1 from the answer that grants it to the request to release it */
};

struct storm_time {
	uint64_t most_ns, most_at_ns;
	uint64_t count[BUCKETS];
};

struct storm_task {
	_Atomic uint64_t beat;
	_Atomic uint32_t op; /* enum storm_op: the call under way */
	_Atomic uint64_t since_ns;
	_Atomic uint32_t phase; /* that it has reached */
	/* the call under way */
	_Atomic uint32_t state; /* enum storm_state */
	uint32_t account;       /* asked about; for a reused id: the place's account at that time */
	uint32_t asked;         /* enum storm_op */
	uint32_t engagement;
	uint64_t amount;
	uint64_t *counts; /* the sum that the answer is added to, or null */
	uint64_t before;
	/* answers to all incarnations */
	uint64_t calls[OPS], refused[OPS], busy[OPS];
	uint64_t snapshots, full_answers_proved;
	uint64_t named_stopped, named_others, named_nobody; /* by K2K_EBUSY */
	uint64_t contested_registered, contested_deregistered;
	uint32_t accounts_used; /* by an administrator */
	struct storm_time times[OPS];
	struct storm_lease leases[LEASES];
	struct storm_by_place by_place[PLACES];
	uint64_t random;
};

/*
 * Bounds of what a task holds of a stable tenant, with a version in the upper bits: two equal reads
 * of all bounds prove that all had these values at one moment. `least` is raised after a grant and
 * lowered before the release; `most` is raised before the request and lowered after the release.
 */
#define STORM_AMOUNT_BITS 40
#define STORM_AMOUNT(word) ((word) & ((UINT64_C(1) << STORM_AMOUNT_BITS) - 1))
struct storm_bounds {
	_Atomic uint64_t least[WORKERS], most[WORKERS];
};

enum storm_place_state {
	PLACE_EMPTY,
	PLACE_REGISTERING,
	PLACE_REGISTERED,
	PLACE_UPDATING,
	PLACE_BUDGET,
	PLACE_LEAVING
};

struct storm_place {
	_Atomic uint32_t account; /* for brokers; it may have ended */
	_Atomic uint32_t state;   /* enum storm_place_state */
	uint32_t now;             /* the account that `state` describes */
	uint32_t kernels, kernels_asked;
	uint64_t budget_ns, budget_asked_ns; /* of engagement 1; K2K_UNLIMITED: none */
	uint64_t leave_at_ns;
};

enum storm_account_state {
	ACCOUNT_UNUSED,
	ACCOUNT_ASKED,
	ACCOUNT_REGISTERED,
	ACCOUNT_GONE,
	ACCOUNT_NEVER
};

struct storm_account {
	uint64_t id;
	uint32_t place;
	_Atomic uint32_t state; /* enum storm_account_state */
	uint64_t generation;
	uint64_t admitted, rejected, gpu_ns, unattributed_ns; /* the totals from deregister */
	_Atomic uint32_t totals;   /* 0: unknown; 1: not final; 2: final */
	uint32_t found_after_kill; /* registered by a call whose answer a kill took */
};

struct storm_participant {
	_Atomic pid_t pid;
	/* odd from before the SIGKILL until all its slots are dead */
	_Atomic uint32_t deaths;
	_Atomic uint32_t stops; /* odd while it is stopped */
	uint32_t incarnations;
};

struct storm {
	char name[64];
	uint64_t seed, begun_ns, begun_second, seconds, supervisor;
	uint64_t pause_ns;           /* of an administrator after a registration */
	_Atomic uint32_t phase;      /* enum storm_phase */
	_Atomic uint32_t only_short; /* no change may wait for final totals */
	_Atomic uint32_t violations;
	char texts[8][400];
	struct storm_participant participants[PARTICIPANTS];
	struct storm_task tasks[TASKS];
	struct storm_bounds bounds[STABLE][RESOURCES];
	uint64_t stable_rate[STABLE], stable_rate_asked[STABLE];
	_Atomic uint8_t pids[(1 << 22) / 8]; /* a bit for each pid that a participant had */
	struct storm_place places[PLACES];
	struct storm_account accounts[ACCOUNTS];
	struct storm_entry entries[WORKERS][ACCOUNTS];
};
extern struct storm *storm;
extern struct storm_window *storm_stable_windows; /* [WORKERS][STABLE][seconds] */

/* ---- storm_record.c --------------------------------------------------------- */

uint64_t storm_now_ns(void);
void storm_sleep_ns(uint64_t ns);
uint64_t storm_random(uint64_t *state, uint64_t below);
void storm_violation(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *storm_op_name(unsigned int op);

void storm_map(uint64_t seconds);
void storm_begin(struct storm_task *task, enum storm_op op, uint32_t account, uint32_t engagement,
                 uint64_t amount);
void storm_told(struct storm_task *task, uint64_t *counts, uint64_t amount);

/* Around each call: for the watchdog, and for the time that it took without stops. */
struct storm_call {
	struct storm_task *task;
	uint32_t participant, stops;
	enum storm_op op;
	uint64_t begun_ns;
};
struct storm_call storm_call_begin(struct storm_task *task, uint32_t participant, enum storm_op op);
void storm_call_end(const struct storm_call *call, int code);

struct storm_window *storm_window_of(uint32_t worker, uint32_t account, uint64_t second);
uint64_t storm_stable_limit(uint32_t stable, int resource);
uint64_t storm_stable_first_rate(uint32_t stable);
uint64_t storm_stable_most_rate(uint32_t stable);
bool storm_id_is_reused(uint32_t account);
uint32_t storm_place_of_id(uint64_t id);
void storm_set_bound(_Atomic uint64_t *word, uint64_t amount);
void storm_add_pid(pid_t pid);
bool storm_is_participant(uint64_t pid); /* now or earlier, or the supervisor */
bool storm_is_stopped(uint64_t pid);
/* an administrator has the writer's lock */
bool storm_must_name(const struct k2k_error_detail *detail);
void storm_check_clean(struct k2k_registry *reg, const char *when);

/* ---- the parts ----------------------------------------------------------------- */

void storm_broker(uint32_t participant) __attribute__((noreturn));
void storm_admin(uint32_t participant) __attribute__((noreturn));

/* The process is dead and so are its slots: settles its call under way. */
void storm_settle(uint32_t participant);
/* All participants are parked and keep their leases. */
void storm_recount_leases(struct k2k_registry *admin);
/* All participants have taken everything that was free. */
void storm_recount_filled(struct k2k_registry *admin);
/* All participants are dead. Deregisters all tenants. */
void storm_recount(struct k2k_registry *admin);
uint64_t storm_uncertain_calls(void); /* whose answers would have been recounted */
uint64_t storm_killed_in(unsigned int op);

#endif
