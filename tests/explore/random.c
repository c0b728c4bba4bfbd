/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * random.c - programs that are made by chance, for `explore --compare random`: the reduction
 * (search.c) has to come to the same executions as a search without it.
 *
 * Each variant has two to four threads of a few steps on two words, and may have deaths, threads
 * that stand still, and a process of several threads. A step may be left out if what the thread has
 * read last was 0.
 */
#include "explore.h"

#define STEPS 5

enum kind {
	LOAD_RELAXED,
	LOAD_ACQUIRE,
	STORE_RELAXED,
	STORE_RELEASE,
	ADD_RELAXED,
	ADD_ACQ_REL,
	CAS,
	FENCE_ACQUIRE,
	FENCE_RELEASE,
	FENCE_SEQ_CST,
	QUESTION,
	BARRIER,
};
/* what makes a difference beyond any word comes twice */
static const enum kind kinds[] = { LOAD_RELAXED,  LOAD_ACQUIRE,  STORE_RELAXED, STORE_RELEASE,
	                           ADD_RELAXED,   ADD_ACQ_REL,   CAS,           FENCE_ACQUIRE,
	                           FENCE_RELEASE, FENCE_SEQ_CST, FENCE_SEQ_CST, QUESTION,
	                           QUESTION,      BARRIER,       BARRIER };

static struct made_step {
	enum kind kind;
	unsigned int word, value, wanted;
	int asked;
	bool if_read;
} made[EXPLORE_THREADS][STEPS];
static unsigned int lengths[EXPLORE_THREADS];
static uint64_t state;
static EXPLORE_SHARED k2k_u32 words[2];

static unsigned int draw(unsigned int below)
{
	state = k2k_mix64(state + UINT64_C(0x9e3779b97f4a7c15));
	return (unsigned int)(state >> 33) % below;
}

static uint32_t make_step(const struct made_step *step, uint32_t found)
{
	k2k_u32 *word = &words[step->word];
	uint32_t expected = step->wanted;

	switch (step->kind) {
	case LOAD_RELAXED: return k2k_load_relaxed(word);
	case LOAD_ACQUIRE: return k2k_load_acquire(word);
	case STORE_RELAXED: k2k_store_relaxed(word, step->value); break;
	case STORE_RELEASE: k2k_store_release(word, step->value); break;
	case ADD_RELAXED: return k2k_add_relaxed(word, step->value);
	case ADD_ACQ_REL: return k2k_add_acq_rel(word, step->value);
	case CAS: return k2k_cas_acq_rel(word, &expected, step->value);
	case FENCE_ACQUIRE: k2k_fence_acquire(); break;
	case FENCE_RELEASE: k2k_fence_release(); break;
	case FENCE_SEQ_CST: k2k_fence_seq_cst(); break;
	case QUESTION: return explore_is_alive(step->asked);
	default: explore_fence_process(); break;
	}
	return found;
}

static void run_made(void)
{
	int self = explore_self();
	uint32_t found = 0;

	for (unsigned int i = 0; i < lengths[self]; i++)
		if (found || !made[self][i].if_read)
			found = make_step(&made[self][i], found);
}

static void setup(void);

PROGRAM(random, .what = "programs that are made by chance: --compare", .setup = setup,
        .threads = { run_made, run_made, run_made, run_made }, .variants = 200, .deaths = 1,
        .stops = 1)

/* Every third has other values in each store; in the others many are equal. */
static void setup(void)
{
	int count;

	words[0] = words[1] = 0;
	state = explore_variant();
	count = 2 + (int)draw(3);
	program_random.mortal = 1u << draw((unsigned int)count);
	program_random.stopping = draw(4) ? 0 : 1u << draw((unsigned int)count);
	for (int thread = 0; thread < EXPLORE_THREADS; thread++) {
		bool mortal = program_random.mortal >> thread & 1;

		program_random.process[thread] = draw(2) && !mortal;
		lengths[thread] = thread < count ? 1 + draw(7 - (unsigned int)count) : 0;
		for (unsigned int i = 0; i < lengths[thread]; i++)
			made[thread][i] = (struct made_step){
				.kind = kinds[draw(sizeof(kinds) / sizeof(kinds[0]))],
				.word = draw(2),
				.value = explore_variant() % 3 ? 1 + draw(2)
				                               : 1u << (5 * thread + (int)i),
				.wanted = draw(2),
				.asked = (int)draw((unsigned int)count),
				.if_read = !draw(4),
			};
	}
}
