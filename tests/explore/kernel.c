/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kernel.c - programs of the directory of kernels (lib/kernel.h): reserve, publish, park, drop,
 * sweep, look.
 *
 * N1: at most one LIVE record of a name has a living owner. N3: what a look returns was true at an
 * instant of it. All that an owner publishes is one mark, which says the name, the owner and the
 * number of the publication: so a copy that mixes two states is noticed by itself.
 */
#include "directory.h"

/* The first two have one hash; the third is in another bucket. */
enum { A, B, C, NAMES };
static const char *const texts[NAMES] = { "a", "b", "longer name" };
static struct k2k_kernel_name names[NAMES];

/* by thread: how its add ended, and what its look returned */
static int added[EXPLORE_THREADS];

static uint64_t mark(int name, int owner, int number)
{
	return (uint64_t)((name + 1) * 100 + owner * 10 + number);
}

/* ---- steps ------------------------------------------------------------------------------- */

static struct k2k_kernel_of of_mark(uint64_t is)
{
	return (struct k2k_kernel_of){ .generation = is,
		                       .tag = { is, is },
		                       .address.words = { is, is } };
}

static int add(int thread, int name, int number)
{
	const struct k2k_kernel_of of = of_mark(mark(name, thread, number));

	return directory_add(thread, &names[name], &of);
}

/* The number of the publication that the copy has; -1: nobody has it, or is about to. */
static int number_of(int name, const struct k2k_kernel_copy *copy)
{
	uint64_t is = copy->of.generation;
	int owner = (int)(is / 10 % 10);

	if (k2k_kernel_state(copy->word) != K2K_KERNEL_LIVE)
		return -1;
	explore_assert(is / 100 == (uint64_t)name + 1);
	explore_assert(copy->of.tag.org_id == is && copy->of.tag.engagement_id == is);
	explore_assert(copy->of.address.words[0] == is && copy->of.address.words[1] == is);
	explore_assert(copy->incarnation == world_incarnation(owner));
	explore_assert(copy->broker == (uint32_t)owner);
	return (int)(is % 100);
}

/* The same of a name; -2: absent. */
static int look(int name)
{
	struct k2k_kernel_copy copy = { .index = 0 };
	int code = k2k_kernel_look(&world_map, &names[name], &copy);

	explore_assert(code == 0 || code == K2K_HASH_ABSENT);
	return code ? -2 : number_of(name, &copy);
}

static void look_at_a(void)
{
	explore_outcome("%d", look(A));
}

/* What a list does with each record. */
static void copy_record(void)
{
	uint64_t words[K2K_KERNEL_NAME_WORDS];
	struct k2k_kernel_copy copy;

	if (!k2k_kernel_copy_at(&world_map, 0, words, &copy))
		return;
	for (int i = 0; i < NAMES; i++)
		if (words[0] == names[i].words[0])
			number_of(i, &copy);
}

static uint32_t record_of(int name)
{
	return directory_record(&names[name]);
}

static void move_twice(void)
{
	const struct k2k_kernel_of first = of_mark(mark(A, 0, 1)), second = of_mark(mark(A, 0, 2));
	uint32_t index = record_of(A);

	directory_move(0, index, &first);
	directory_move(0, index, &second);
}

static void drop(int thread, int name)
{
	directory_drop(thread, &names[name]);
}

/* ---- the beginning ----------------------------------------------------------------------- */

static void begin(uint32_t records)
{
	world_begin(&(struct world_sizes){ .slots = 4, .kernels = records });
	for (int i = 0; i < EXPLORE_THREADS; i++) {
		world_broker(i);
		added[i] = -1;
	}
	for (int i = 0; i < NAMES; i++)
		explore_assert(k2k_kernel_name(&world_map, texts[i], &names[i]));
	explore_assert(names[A].bucket == names[B].bucket && names[A].bucket != names[C].bucket);
}

static void setup_empty(void)
{
	begin(2);
}

static void setup_added(void)
{
	begin(1);
	explore_assert(add(0, A, 0) == 0);
}

static void setup_room(void)
{
	begin(2);
	explore_assert(add(0, A, 0) == 0);
}

static void setup_dead(void)
{
	begin(2);
	explore_assert(add(DIRECTORY_DEAD, A, 0) == 0);
}

/* The record of B leads to that of A. */
static void setup_chain(void)
{
	begin(2);
	explore_assert(add(0, A, 0) == 0 && add(0, B, 0) == 0);
}

static void setup_two(void)
{
	begin(2);
	explore_assert(add(1, A, 0) == 0 && add(0, B, 0) == 0);
}

/* ---- the end ----------------------------------------------------------------------------- */

static unsigned int state_of(uint32_t index)
{
	return k2k_entry_state(k2k_load_relaxed(&world_map.kernels[index].entry.state));
}

/* A name has at most one record, whose owner lives; a sweep frees all others. */
static void check_records(void)
{
	uint64_t words[K2K_KERNEL_NAME_WORDS];
	const struct k2k_kernel_user user = directory_user(2);
	int live[NAMES] = { 0 };

	k2k_kernel_sweep(&user);
	for (int i = 0; i < NAMES; i++)
		if (look(i) != -2)
			explore_assert(state_of(record_of(i)) != K2K_ENTRY_FREE);
	for (uint32_t i = 0; i < world_map.sizes.kernels; i++) {
		struct k2k_kernel_copy copy;
		int owner = -1;

		if (state_of(i) == K2K_ENTRY_FREE)
			continue;
		/* that of an heir may still be CLAIMED by the dead one that had linked it */
		explore_assert(state_of(i) == K2K_ENTRY_LIVE || state_of(i) == K2K_ENTRY_CLAIMED);
		explore_assert(k2k_kernel_copy_at(&world_map, i, words, &copy));
		for (int j = 0; j < NAMES; j++)
			if (words[0] == names[j].words[0]) {
				owner = number_of(j, &copy) / 10;
				explore_assert(owner >= 0 && record_of(j) == i && !live[j]++);
			}
		explore_assert(owner >= 0 && explore_end_of(owner) != EXPLORE_DEAD);
	}
}

/* Of those that add, one has it; if it dies, the other one. */
static void check_added(void)
{
	int is = look(A);

	for (int i = 0; i < 2; i++) {
		if (added[i] == 0)
			explore_assert(is / 10 == i || added[!i] == 0);
		if (added[i] == K2K_EEXIST)
			explore_assert(is / 10 == !i);
	}
	check_records();
	explore_outcome("%d", is);
}

/* ---- find -------------------------------------------------------------------------------- */

static void add_a(void)
{
	added[explore_self()] = add(explore_self(), A, 1);
	explore_assert(added[explore_self()] == 0 || added[explore_self()] == K2K_EEXIST);
}

/* The record is used for another name: of the same bucket, or of another one. */
static void use_for_b(void)
{
	drop(0, A);
	explore_assert(add(0, B, 1) == 0);
}

static void use_for_c(void)
{
	drop(0, A);
	explore_assert(add(0, C, 1) == 0);
}

/* And then for the first name again. */
static void use_again(void)
{
	use_for_b();
	drop(0, B);
	explore_assert(add(0, A, 2) == 0);
}

static void add_b_beside(void)
{
	explore_assert(add(0, B, 1) == 0);
}

static void look_at_b(void)
{
	explore_outcome("%d", look(B));
}

static void use_b_for_c(void)
{
	drop(0, B);
	explore_assert(add(0, C, 1) == 0);
}

PROGRAM(kernel_find_added, .what = "a name is found beside its add whole, or not at all",
        .setup = setup_empty, .threads = { add_a, look_at_a }, .check = check_records,
        .outcomes = { "-2", "-1", "1" })
PROGRAM(kernel_find_moved, .what = "a name is found beside two moves, under one tenant",
        .setup = setup_added, .threads = { move_twice, look_at_a }, .check = check_records,
        .outcomes = { "0", "1", "2" })
PROGRAM(kernel_find_taken_over, .what = "a dead one's name is found as its own or as the heir's",
        .setup = setup_dead, .threads = { add_a, look_at_a }, .check = check_records,
        .outcomes = { "30", "-1", "1" })
PROGRAM(kernel_find_reused, .what = "a name is not found in a record that another name has",
        .setup = setup_added, .threads = { use_for_b, look_at_a }, .check = check_records,
        .outcomes = { "0", "-1", "-2" })
PROGRAM(kernel_find_again, .what = "of a name that comes back a look has the one or the other",
        .setup = setup_added, .threads = { use_again, look_at_a }, .check = check_records,
        .outcomes = { "0", "-1", "-2", "2" })
PROGRAM(kernel_find_other, .what = "a name in a used record is found whole, or not at all",
        .setup = setup_added, .threads = { use_for_b, look_at_b }, .check = check_records,
        .outcomes = { "-2", "-1", "1" })
PROGRAM(kernel_find_behind, .what = "a name is found though another is put before it",
        .setup = setup_room, .threads = { add_b_beside, look_at_a }, .check = check_records,
        .outcomes = { "0" })
PROGRAM(kernel_walk, .what = "a name is found though the record before it becomes another's",
        .setup = setup_chain, .threads = { use_b_for_c, look_at_a }, .check = check_records,
        .outcomes = { "0" })
PROGRAM(kernel_copy, .what = "a list has a record as it was in one of its uses",
        .setup = setup_added, .threads = { use_for_b, copy_record }, .check = check_records)
FULL_PROGRAM(kernel_find_reused_far, .what = "the same for a name of another bucket",
             .setup = setup_added, .threads = { use_for_c, look_at_a }, .check = check_records,
             .outcomes = { "0", "-1", "-2" })

/* ---- add and remove ---------------------------------------------------------------------- */

/* What it has stored in both sets must not come behind what the next one stores. */
static void remove_a(void)
{
	move_twice();
	drop(0, A);
}

static void remove_b(void)
{
	drop(0, B);
}

static void remove_a_of_1(void)
{
	drop(1, A);
}

static void add_other(int name)
{
	added[1] = add(1, name, 1);
	explore_assert(added[1] == 0 || added[1] == K2K_EFULL);
}

static void add_b(void)
{
	add_other(B);
}

static void add_c(void)
{
	add_other(C);
}

static void sweep(void)
{
	const struct k2k_kernel_user user = directory_user(explore_self());

	k2k_kernel_sweep(&user);
}

static void check_removed(void)
{
	explore_assert(added[1] == 0 ? look(A) == 11 : added[1] == K2K_EEXIST);
	check_records();
	explore_outcome("%d", added[1] == 0);
}

/* Who adds another name finds the one record free, or full. */
static void check_other(void)
{
	explore_assert(look(A) < 0);
	explore_assert(added[1] == K2K_EFULL || look(B) == 11 || look(C) == 11);
	check_records();
	explore_outcome("%d", added[1] == 0);
}

/* Full, if the sweep has the record for a moment. */
static void try_for_c(void)
{
	drop(0, A);
	added[0] = add(0, C, 1);
	explore_assert(added[0] == 0 || added[0] == K2K_EFULL);
}

static void check_used(void)
{
	explore_assert(look(C) == (added[0] ? -2 : 1));
	check_records();
	explore_outcome("%d", added[0] == 0);
}

PROGRAM(kernel_two, .what = "of two that add a name one has it", .setup = setup_empty,
        .threads = { add_a, add_a }, .check = check_added, .outcomes = { "1", "11" })
PROGRAM(kernel_two_heirs, .what = "of two that take over a dead one's name one has it",
        .setup = setup_dead, .threads = { add_a, add_a }, .check = check_added,
        .outcomes = { "1", "11" })
PROGRAM(kernel_remove, .what = "a name is removed beside an add of the same", .setup = setup_added,
        .threads = { remove_a, add_a }, .check = check_removed, .outcomes = { "0", "1" })
PROGRAM(kernel_remove_reused,
        .what = "a record that is removed is swept, and used again, by another",
        .setup = setup_added, .threads = { remove_a, add_b }, .check = check_other,
        .outcomes = { "0", "1" })
PROGRAM(kernel_remove_reused_far, .what = "the same for a name of another bucket",
        .setup = setup_added, .threads = { remove_a, add_c }, .check = check_other,
        .outcomes = { "0", "1" })
PROGRAM(kernel_remove_two, .what = "two remove names of one bucket", .setup = setup_two,
        .threads = { remove_b, remove_a_of_1 }, .check = check_records)
PROGRAM(kernel_sweep, .what = "a sweep beside an heir takes nothing from it", .setup = setup_dead,
        .threads = { add_a, sweep }, .check = check_added, .outcomes = { "1" })
PROGRAM(kernel_sweep_reused, .what = "a sweep takes nothing from a record's next use",
        .setup = setup_added, .threads = { try_for_c, sweep }, .check = check_used,
        .outcomes = { "0", "1" })
PROGRAM(kernel_sweep_added, .what = "a sweep beside an add takes nothing from it",
        .setup = setup_empty, .threads = { add_a, sweep }, .check = check_added,
        .outcomes = { "1" })

/* ---- deaths ------------------------------------------------------------------------------ */

PROGRAM(kernel_dead, .what = "who dies in an add has the name, or another has it",
        .setup = setup_empty, .threads = { add_a, add_a }, .mortal = 1, .deaths = 1,
        .check = check_added)
PROGRAM(kernel_dead_heir, .what = "the same for who takes it over", .setup = setup_dead,
        .threads = { add_a, add_a }, .mortal = 1, .deaths = 1, .check = check_added)
PROGRAM(kernel_dead_remove, .what = "who dies in a remove leaves the name to another",
        .setup = setup_added, .threads = { remove_a, add_a }, .mortal = 1, .deaths = 1,
        .check = check_removed)
PROGRAM(kernel_dead_find, .what = "a name is found beside an add that dies whole, or not at all",
        .setup = setup_dead, .threads = { add_a, look_at_a }, .mortal = 1, .deaths = 1,
        .check = check_records)
PROGRAM(kernel_dead_walk, .what = "a name is found though a remove before it dies",
        .setup = setup_chain, .threads = { remove_b, look_at_a }, .mortal = 1, .deaths = 1,
        .check = check_records, .outcomes = { "0" })
PROGRAM(kernel_dead_sweep, .what = "a sweep and an add beside an add that dies",
        .setup = setup_empty, .threads = { add_a, sweep, add_a }, .mortal = 1, .deaths = 1,
        .check = check_records)
FULL_PROGRAM(kernel_three, .what = "a remove, an add of the same name, and a look",
             .setup = setup_added, .threads = { remove_a, add_a, look_at_a },
             .check = check_records)
