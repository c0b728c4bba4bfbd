/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * explore.h - what a program of the explorer is written with. How the explorer works: search.c.
 *
 * A program is one PROGRAM() in a file of this folder: a setup, two to four threads, a check.
 * `explore NAME` runs it in every way that C11 allows.
 *
 *   static EXPLORE_SHARED k2k_u32 word;
 *   static void setup(void) { word = 0; }
 *   static void one(void) { k2k_store_release(&word, 1); }
 *   static void two(void) { explore_outcome("%u", k2k_load_acquire(&word)); }
 *   PROGRAM(example, .what = "a store is seen or not", .setup = setup, .threads = { one, two },
 *           .outcomes = { "0", "1" })
 *
 * setup() builds all that is shared, in memory whose addresses stay. Both setup() and check() run
 * alone: their accesses go straight to memory, and check() finds the last value of each word.
 * Before the next execution each word that was changed through base.h has its former value again;
 * what is not atomic setup() itself must set each time.
 */
#ifndef K2K_EXPLORE_H
#define K2K_EXPLORE_H

#include "base.h"
#include "thread.h"

#define EXPLORE_THREADS 4
/*
 * Of a static variable: all processes have the same one. Others each process has for itself, as in
 * reality.
 */
#define EXPLORE_SHARED __attribute__((section("explore_shared")))
#define EXPLORE_OUTCOMES 16

struct explore_program {
	const char *name, *what;
	void (*setup)(void);
	void (*threads[EXPLORE_THREADS])(void);
	void (*check)(void); /* after each execution; a dead thread may have ended anywhere */
	/*
	 * Which process a thread is of: 0 for its own, else a number that threads share. A static
	 * variable that base.h accesses is one for each process; check() finds it as setup() left
	 * it, unless there is one process only.
	 */
	int process[EXPLORE_THREADS];
	/*
	 * Threads (bit i: thread i) whose process may die, of which it is the only one, and which
	 * may stand still for ever.
	 */
	unsigned int mortal, stopping;
	unsigned int deaths, stops; /* how many of each in one execution, at most */
	unsigned int
		steps; /* of one thread, at most; 0: 4000. Longer executions are cut, and counted */
	unsigned int stale;    /* reads of an old store in a row: memory.h; 0: MEMORY_STALE_READS */
	unsigned int variants; /* how many programs it stands for: explore_variant() */
	bool full;             /* FULL_PROGRAM: takes minutes, not in CI */
	bool may_wait;         /* a thread that waits for what never comes is no fault */
	/* What explore_outcome() may say in all: exactly this is demanded. None: anything. */
	const char *outcomes[EXPLORE_OUTCOMES];
	struct explore_program *next; /* the explorer's */
};

#define PROGRAM(program, ...)                                                                \
	static struct explore_program program_##program = { .name = #program, __VA_ARGS__ }; \
	__attribute__((constructor)) static void add_##program(void)                         \
	{                                                                                    \
		explore_add(&program_##program);                                             \
	}
/* One that takes minutes: no test of ctest, but run by scripts/explore --full. */
#define FULL_PROGRAM(program, ...) PROGRAM(program, .full = true, __VA_ARGS__)
void explore_add(struct explore_program *program);

/* A fault: prints the interleaving, and the string that replays it. Does not return. */
void explore_fail(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4), noreturn));
#define explore_assert(condition) \
	((condition) ? (void)0 : explore_fail(__FILE__, __LINE__, "%s does not hold", #condition))

/*
 * In a thread or in check(): adds to what this execution came to. The texts of an execution, sorted
 * by thread and with check()'s last, joined by a space, are one outcome.
 */
void explore_outcome(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* In check(): how a thread ended. */
enum explore_end {
	EXPLORE_WAITING,
	EXPLORE_FINISHED,
	EXPLORE_DEAD,
	EXPLORE_STOPPED,
};
enum explore_end explore_end_of(int thread);
/* The thread that runs; -1 in setup() and check(). */
int explore_self(void);
/* Which of the program's variants is run: --compare runs each, from 0 on; else 0. */
unsigned int explore_variant(void);

/* A step: asks whether the process of `thread` lives. No barrier, as in lib/lock.h. */
bool explore_is_alive(int thread);
/* A step: a full fence of each thread of this process, as membarrier(2) is. */
void explore_fence_process(void);

/* In setup(), once: memory that each process has for itself, besides static variables. */
void explore_make_private(const void *p, size_t bytes);
/* In setup(): what it has stored so far stays, and is not taken back before the next execution. */
void explore_keep(void);

#endif
