/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_between_calls.c - like process_between.c: windows, budgets, an update in progress,
 * brokers that attach and close, a handle that is closed.
 */
#include "between.h"

#include "agent.h"
#include "rate.h"

/* ---- windows ---- */

static void admit_one(struct k2k_registry *reg, struct shared *answer)
{
	answer->verdict = (struct k2k_verdict)K2K_VERDICT_INIT;
	answer->code = k2k_message_admit(reg, 1, (struct k2k_audit_tag){ 0, 0 }, 1,
	                                 &answer->verdict);
}

static void next_second(struct k2k_registry *by, uint64_t n)
{
	(void)by;
	(void)n;
	shared->clock_ns += SECOND;
}

/* Acts as a broker that counts two more in the old window, and then begins the new one. */
static void count_and_begin_window(struct k2k_registry *by, uint64_t n)
{
	struct k2k_shm_cell *cell = &by->map.cells[0];

	(void)n;
	if (k2k_rate_second(cell->window) == shared->clock_ns / SECOND)
		return;
	cell->admitted += 2;
	cell->window = k2k_rate_pack_second(shared->clock_ns / SECOND, 1);
	cell->ceiling = cell->admitted;
}

static void one_was_admitted(uint64_t n)
{
	if (shared->code != 0)
		fail_msg("after %" PRIu64 " instructions: refused (%d) where %" PRIu64
		         " of 10 were used",
		         n, shared->code, shared->verdict.used);
	assert_true(shared->verdict.used <= 3);
}

TEST(a_window_that_another_begins_has_room)
{
	begin_sized(2, 4, false);
	register_tenant(admin, 1, 10, 4);
	interrupt(&(struct scene){ K2K_ROLE_BROKER, admit_one, next_second, count_and_begin_window,
	                           one_was_admitted });
}

/* ---- budgets ---- */

static void admit_engaged(struct k2k_registry *reg, struct shared *answer)
{
	answer->code = k2k_message_admit(reg, 1, (struct k2k_audit_tag){ 0, 7 }, 1, NULL);
}

/* Sets another budget that is used up as well. */
static void replace_budget(struct k2k_registry *by, uint64_t n)
{
	(void)by;
	assert_int_equal(k2k_budget_set(admin, 1, 7, n % 5), 0);
}

static void budget_was_used_up(uint64_t n)
{
	if (shared->code != K2K_EBUDGET)
		fail_msg("after %" PRIu64 " instructions: %s, but each budget was used up", n,
		         k2k_errname(shared->code));
}

TEST(a_budget_that_is_replaced_by_another_stops_messages_all_the_time)
{
	begin_sized(2, 4, true);
	register_tenant(admin, 1, K2K_UNLIMITED, 4);
	assert_int_equal(k2k_usage_track(other, 1, (struct k2k_audit_tag){ 0, 7 }, 9), 0);
	assert_int_equal(k2k_budget_set(admin, 1, 7, 5), 0);
	interrupt(&(struct scene){ K2K_ROLE_BROKER, admit_engaged, NULL, replace_budget,
	                           budget_was_used_up });
}

/* ---- an administrator's unfinished change ---- */

/* New values are 1000 + n, so that they differ from what an earlier update left in memory. */
static void limits_of_ten(struct k2k_registry *by, uint64_t n)
{
	shared->number = 1000 + n;
	assert_int_equal(k2k_tenant_deregister(by, 1, NULL), 0);
	register_tenant(by, 1, 10, 10);
}

/* Sets the first budget of this registration, which is used up. */
static void update_all(struct k2k_registry *reg, struct shared *answer)
{
	struct k2k_budget budget = { 7, 0 };
	struct k2k_quota quota = { .size = sizeof quota,
		                   .max_messages_per_sec = answer->number,
		                   .max_gpu_memory_bytes = answer->number,
		                   .max_concurrent_kernels = (uint32_t)answer->number,
		                   .budget_count = 1,
		                   .budgets = &budget };

	answer->code = k2k_tenant_update(reg, 1, &quota,
	                                 K2K_UPDATE_RATE | K2K_UPDATE_GPU_MEMORY |
	                                         K2K_UPDATE_KERNELS | K2K_UPDATE_BUDGETS);
}

static bool in_force; /* another process has seen the update */

static void look_at_all(struct k2k_registry *by, uint64_t n)
{
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	int code = k2k_message_admit(other, 1, (struct k2k_audit_tag){ 0, 7 }, 1, &verdict);
	struct k2k_tenant_info info = tenant_info(by, 1);

	in_force = code == K2K_EBUDGET;
	if (code != K2K_EBUDGET && (code != 0 || verdict.limit != 10))
		fail_msg("at change %" PRIu64 ": %s under a rate of %" PRIu64
		         ", without its budget",
		         n, k2k_errname(code), verdict.limit);
	assert_int_equal(info.max_messages_per_sec, in_force ? shared->number : 10);
	assert_int_equal(info.max_gpu_memory_bytes, in_force ? shared->number : K2K_UNLIMITED);
	assert_int_equal(info.max_concurrent_kernels, in_force ? shared->number : 10);
}

static void all_is_in_force(uint64_t n)
{
	assert_int_equal(shared->code, 0);
	look_at_all(admin, n);
	assert_true(in_force);
}

TEST(an_update_that_is_half_done_is_not_seen_and_all_of_it_at_once)
{
	begin_sized(4, 4, true);
	register_tenant(admin, 1, 10, 10);
	interrupt_at(admin,
	             &(struct scene){ K2K_ROLE_ADMIN, update_all, limits_of_ten, look_at_all,
	                              all_is_in_force },
	             defs_changed);
	end();
}

/* ---- brokers that attach and close ---- */

/* As defs_changed, for the broker slots. */
static bool slots_changed(void *context)
{
	static struct k2k_shm_slot seen[K2K_SLOTS_DEFAULT];
	bool changed = memcmp(seen, admin->map.slots, sizeof seen) != 0;

	(void)context;
	memcpy(seen, admin->map.slots, sizeof seen);
	return changed;
}

static void attach_and_detach(struct k2k_registry *reg, struct shared *answer)
{
	struct k2k_registry *second;

	(void)reg;
	k2k_agent_in_caller = true; /* all of it runs in the thread that is stopped */
	answer->code = k2k_registry_open(name, K2K_ROLE_BROKER, NULL, &second);
	if (!answer->code)
		answer->code = k2k_registry_close(&second);
}

static void no_owner_is_dead(struct k2k_registry *by, uint64_t n)
{
	for (uint32_t i = 0; i < K2K_SLOTS_DEFAULT; i++) {
		uint64_t owner = by->map.slots[i].owner;

		if (owner && !k2k_liveness_alive(&by->liveness, owner))
			fail_msg("at change %" PRIu64 ": slot %u is a dead one's", n, i);
	}
}

static void it_came_and_went(uint64_t n)
{
	assert_int_equal(shared->code, 0);
	no_owner_is_dead(admin, n);
}

TEST(a_broker_that_comes_or_goes_is_never_found_dead)
{
	begin_sized(1, 1, false);
	interrupt_at(admin,
	             &(struct scene){ K2K_ROLE_OBSERVER, attach_and_detach, NULL, no_owner_is_dead,
	                              it_came_and_went },
	             slots_changed);
	end();
}

/* ---- close ---- */

enum request { NOTHING, OPEN, CLOSE };

/* A thread of the victim that opens and closes the handle on which the victim makes its calls. */
static struct doorman {
	atomic_int asked, done;
	struct k2k_registry *reg;
} * doorman;

static void *stand_at_the_door(void *unused)
{
	for (;;) {
		/* Close clears this copy: calls on a closed handle return an error. */
		struct k2k_registry *closed = doorman->reg;
		int asked = atomic_load(&doorman->asked);

		if (asked == atomic_load(&doorman->done)) {
			sched_yield();
			continue;
		}
		if (asked == OPEN)
			doorman->reg = open_as(name, K2K_ROLE_BROKER);
		else
			assert_int_equal(k2k_registry_close(&closed), 0);
		atomic_store(&doorman->done, asked);
	}
	return unused;
}

static bool do_within(enum request request, uint64_t ns)
{
	uint64_t until = now_ns() + ns;

	atomic_store(&doorman->asked, (int)request);
	while (atomic_load(&doorman->done) != (int)request && now_ns() < until)
		sched_yield();
	return atomic_load(&doorman->done) == (int)request;
}

static void open_again(struct k2k_registry *by, uint64_t n)
{
	(void)by;
	(void)n;
	assert_true(do_within(CLOSE, PATIENCE_S * SECOND) && do_within(OPEN, PATIENCE_S * SECOND));
}

/* Gives the close four milliseconds: it can't end before the call does. */
static void close_meanwhile(struct k2k_registry *by, uint64_t n)
{
	(void)by;
	(void)n;
	do_within(CLOSE, 4000000);
}

static void acquire_behind_the_door(struct k2k_registry *reg, struct shared *answer)
{
	struct k2k_registry *handle = doorman->reg;
	pthread_t thread;

	(void)reg;
	if (!handle) {                       /* its first call */
		k2k_agent_in_caller = false; /* the calls come from another thread than the open */
		assert_int_equal(pthread_create(&thread, NULL, stand_at_the_door, NULL), 0);
		doorman->done = CLOSE;
		doorman->asked = OPEN;
		while (atomic_load(&doorman->done) != OPEN)
			sched_yield();
		handle = doorman->reg;
	}
	answer->code = k2k_kernel_acquire(handle, 1, NULL, NULL);
}

static void done_or_closed(uint64_t n)
{
	(void)n;
	assert_true(shared->code == 0 || shared->code == K2K_EINVAL);
}

/* Opening and closing take long, so only each fifth point is tried. */
static bool each_fifth(void *context)
{
	static unsigned int count;

	(void)context;
	return ++count % 5 == 0;
}

TEST(a_close_waits_for_a_call_that_another_thread_has_begun)
{
	doorman = shared_bytes(sizeof *doorman);
	begin_sized(1, 1, false);
	register_tenant(admin, 1, K2K_UNLIMITED, UINT32_MAX);
	interrupt_at(admin,
	             &(struct scene){ K2K_ROLE_OBSERVER, acquire_behind_the_door, open_again,
	                              close_meanwhile, done_or_closed },
	             each_fifth);
	end();
}
