/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * storm_broker.c - a broker of crash_storm: two threads on one handle, each with records of its own
 *
 * These errors are found at once, not only by recounting: an answer about another registration than
 * the one asked about (each has a rate of its own, which the verdict shows), a rejection that its
 * own numbers do not justify, a grant above the limit, a "full" while less than the limit was held
 * or requested, a cost that falls.
 */
#include "storm.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct worker {
	uint32_t number, participant;
	struct storm_task *task;
	/* after so many loops the process closes its handle; 0: it is only killed */
	uint32_t leaves_after;
	uint64_t cost_seen[STABLE][ENGAGEMENTS];
	bool filled;
};

static struct k2k_registry *reg;
static _Atomic bool leaving;

static bool is_stable(uint32_t account)
{
	return account < STABLE;
}

/* A stable tenant or, half of the time, another one. */
static uint32_t choose_account(struct worker *w)
{
	uint32_t account = NO_ACCOUNT;

	if (storm_random(&w->task->random, 2))
		account = atomic_load(
			&storm->places[storm_random(&w->task->random, PLACES)].account);
	return account == NO_ACCOUNT ? (uint32_t)storm_random(&w->task->random, STABLE) : account;
}

static bool allowed(const struct worker *w, enum storm_op op, uint32_t account, int code,
                    const int *codes)
{
	if (code == 0)
		return true;
	/* a stable tenant is always registered */
	if (code == K2K_ENOTENANT && !is_stable(account))
		return true;
	for (; *codes; codes++)
		if (*codes == code)
			return true;
	storm_violation("broker %u: %s of tenant %" PRIu64 " answered %s (%s)", w->participant,
	                storm_op_name(op), storm->accounts[account].id, k2k_errname(code),
	                k2k_error_detail()->text);
	return false;
}

/* ---- messages ------------------------------------------------------------------- */

/* The account of a verdict, which its limit shows. NO_ACCOUNT: it is none of the possible ones. */
static uint32_t account_of(uint32_t asked, const struct k2k_verdict *verdict)
{
	uint64_t account = verdict->limit - RATE_BASE;

	if (is_stable(asked)) {
		bool changes = asked >= STABLE - STABLE_UPDATED;
		uint64_t first = storm_stable_first_rate(asked);

		return verdict->limit == first ||
		                       (changes && verdict->limit == storm_stable_most_rate(asked))
		               ? asked
		               : NO_ACCOUNT;
	}
	if (account < STABLE || account >= ACCOUNTS ||
	    storm->accounts[account].id != storm->accounts[asked].id)
		return NO_ACCOUNT;
	return (uint32_t)account;
}

static void note_window(const struct worker *w, uint32_t account, const struct k2k_verdict *verdict,
                        uint64_t n)
{
	struct storm_window *window = storm_window_of(w->number, account, verdict->window);

	if (!window)
		return;
	/* in this order: if it is killed between them the sum is too low, which is no violation */
	if (window->most_limit < verdict->limit)
		window->most_limit = (uint32_t)verdict->limit;
	if (window->most_used < verdict->used)
		window->most_used = (uint32_t)verdict->used;
	atomic_signal_fence(memory_order_seq_cst);
	window->sum += (uint32_t)n;
}

static void admit(struct worker *w)
{
	static const int codes[] = { K2K_ERATE, K2K_EBUDGET, 0 };
	struct storm_task *task = w->task;
	struct k2k_verdict v = K2K_VERDICT_INIT;
	uint32_t asked = choose_account(w), account;
	struct k2k_audit_tag tag = { 1, storm_random(&task->random, 4) };
	uint64_t most = is_stable(asked) ? 1 + storm_stable_first_rate(asked) / 100
	                                 : RATE_BASE / 16;
	uint64_t n = 1 + storm_random(&task->random, most);
	struct storm_call call;
	int code;

	storm_begin(task, OP_ADMIT, asked, 0, n);
	call = storm_call_begin(task, w->participant, OP_ADMIT);
	code = k2k_message_admit(reg, storm->accounts[asked].id, tag, n, &v);
	if (code != 0 && code != K2K_ERATE) {
		storm_told(task, NULL, 0);
		storm_call_end(&call, code);
		if (allowed(w, OP_ADMIT, asked, code, codes) && code == K2K_EBUDGET &&
		    v.used < v.limit)
			storm_violation("broker %u: K2K_EBUDGET with %" PRIu64 " of %" PRIu64
			                " used",
			                w->participant, v.used, v.limit);
		return;
	}
	account = account_of(asked, &v);
	if (account == NO_ACCOUNT) {
		storm_told(task, NULL, 0);
		storm_violation("broker %u: an admission of tenant %" PRIu64
		                " (account %u) was decided under the limit %" PRIu64
		                ", which it never had",
		                w->participant, storm->accounts[asked].id, asked, v.limit);
	} else if (code == 0) {
		storm_told(task, &storm->entries[w->number][account].admitted, n);
		note_window(w, account, &v, n);
		if (v.used > v.limit)
			storm_violation("broker %u: admitted %" PRIu64 " of %" PRIu64,
			                w->participant, v.used, v.limit);
	} else {
		storm_told(task, &storm->entries[w->number][account].rejected, 1);
		if (v.used + n <= v.limit)
			storm_violation("broker %u: K2K_ERATE for %" PRIu64 " with %" PRIu64
			                " of %" PRIu64 " used",
			                w->participant, n, v.used, v.limit);
	}
	storm_call_end(&call, code);
}

static void record(struct worker *w)
{
	static const int codes[] = { 0 };
	struct storm_task *task = w->task;
	uint32_t account = choose_account(w);
	struct storm_call call;
	int code;

	/* not of these: nothing would be left for admissions */
	if (is_stable(account) && storm_stable_first_rate(account) < 1000)
		return;
	storm_begin(task, OP_RECORD, account, 0, 1);
	call = storm_call_begin(task, w->participant, OP_RECORD);
	code = k2k_message_record(reg, storm->accounts[account].id);
	if (code)
		storm_told(task, NULL, 0);
	else if (storm_id_is_reused(account))
		storm_told(task,
		           &task->by_place[storm_place_of_id(storm->accounts[account].id)].recorded,
		           1);
	else
		storm_told(task, &storm->entries[w->number][account].admitted, 1);
	storm_call_end(&call, code);
	allowed(w, OP_RECORD, account, code, codes);
}

static void check(struct worker *w)
{
	static const int codes[] = { K2K_ERATE, K2K_EBUDGET, 0 };
	uint32_t account = choose_account(w);
	struct k2k_verdict v = K2K_VERDICT_INIT;
	struct storm_call call = storm_call_begin(w->task, w->participant, OP_CHECK);
	int code = k2k_quota_check(reg, storm->accounts[account].id, (struct k2k_audit_tag){ 1, 0 },
	                           1, &v);

	storm_call_end(&call, code);
	if (allowed(w, OP_CHECK, account, code, codes) && (code == 0 || code == K2K_ERATE) &&
	    account_of(account, &v) == NO_ACCOUNT)
		storm_violation("broker %u: a check of tenant %" PRIu64
		                " was decided under the limit %" PRIu64 ", which it never had",
		                w->participant, storm->accounts[account].id, v.limit);
}

/* ---- costs ---------------------------------------------------------------------- */

static uint64_t *where_booked(struct worker *w, uint32_t account, uint32_t engagement, int code)
{
	struct storm_entry *entry = &storm->entries[w->number][account];

	if (storm_id_is_reused(account)) {
		struct storm_by_place *place =
			&w->task->by_place[storm_place_of_id(storm->accounts[account].id)];

		return code == 0           ? &place->cost
		       : code == K2K_EGONE ? &place->gone
		                           : &place->unbooked;
	}
	if (code == K2K_EGONE)
		return &entry->gone;
	if (code == K2K_EUNBOOKED)
		return &entry->unbooked;
	return engagement >= 1 && engagement <= ENGAGEMENTS ? &entry->cost[engagement - 1]
	                                                    : &entry->cost_other;
}

static void track(struct worker *w)
{
	static const int codes[] = { K2K_EUNBOOKED, K2K_EGONE, 0 };
	struct storm_task *task = w->task;
	uint32_t account = choose_account(w);
	uint32_t engagement = (uint32_t)(1 + storm_random(&task->random, ENGAGEMENTS));
	uint64_t ns = 1 + storm_random(&task->random, 1000);
	struct storm_call call;
	int code;

	/* one of many engagements: it usually needs a new record, and fills the ledger */
	if (storm_random(&task->random, 8) == 0 && !is_stable(account))
		engagement = (uint32_t)(100 + storm_random(&task->random, 300));
	storm_begin(task, OP_TRACK, account, engagement, ns);
	call = storm_call_begin(task, w->participant, OP_TRACK);
	code = k2k_usage_track(reg, storm->accounts[account].id,
	                       (struct k2k_audit_tag){ 1, engagement }, ns);
	if (code == 0 || code == K2K_EUNBOOKED || code == K2K_EGONE)
		storm_told(task, where_booked(w, account, engagement, code), ns);
	else
		storm_told(task, NULL, 0);
	storm_call_end(&call, code);
	allowed(w, OP_TRACK, account, code, codes);
}

/* A cost is at least what was booked by us, and never falls. */
static void read_cost(struct worker *w)
{
	static const int codes[] = { 0 };
	uint32_t account = (uint32_t)storm_random(&w->task->random, STABLE);
	uint32_t engagement = (uint32_t)storm_random(&w->task->random, ENGAGEMENTS);
	uint64_t told = storm->entries[w->number][account].cost[engagement], ns = 0;
	uint64_t *seen = &w->cost_seen[account][engagement];
	struct storm_call call = storm_call_begin(w->task, w->participant, OP_READ);
	int code = k2k_usage_engagement_for(reg, storm->accounts[account].id,
	                                    (struct k2k_audit_tag){ 1, engagement + 1 }, &ns);

	storm_call_end(&call, code);
	if (!allowed(w, OP_READ, account, code, codes))
		return;
	if (ns < told || ns < *seen)
		storm_violation("broker %u: the cost of tenant %" PRIu64 " is %" PRIu64
		                ", after %" PRIu64 " were booked, %" PRIu64 " by this thread",
		                w->participant, storm->accounts[account].id, ns, *seen, told);
	*seen = ns;
}

/* A copy of a tenant is of one registration, with limits of one quota. */
static void read_tenant(struct worker *w)
{
	static const int codes[] = { 0 };
	uint32_t account = choose_account(w);
	struct k2k_tenant_info info = { .size = sizeof info };
	struct storm_call call = storm_call_begin(w->task, w->participant, OP_READ);
	int code = k2k_tenant_get(reg, storm->accounts[account].id, &info);
	struct k2k_verdict v = { .limit = info.max_messages_per_sec };

	storm_call_end(&call, code);
	if (!allowed(w, OP_READ, account, code, codes) || code)
		return;
	if (info.id != storm->accounts[account].id || account_of(account, &v) == NO_ACCOUNT ||
	    info.max_gpu_memory_bytes != (uint64_t)info.max_concurrent_kernels * BYTES_A_KERNEL)
		storm_violation("broker %u: tenant %" PRIu64 " reads as tenant %" PRIu64
		                ", rate %" PRIu64 ", kernels %u, memory %" PRIu64,
		                w->participant, storm->accounts[account].id, info.id,
		                info.max_messages_per_sec, info.max_concurrent_kernels,
		                info.max_gpu_memory_bytes);
}

/* ---- leases ------------------------------------------------------------------------ */

/*
 * After a grant, when our own bound is raised: was there a moment when more than the limit was
 * held? Brokers that were dying at any time between the first read and the second do not count.
 */
static void check_least(struct worker *w, uint32_t stable, int resource)
{
	struct storm_bounds *bounds = &storm->bounds[stable][resource];
	uint32_t deaths[BROKERS];
	uint64_t first[WORKERS], sum = 0;

	for (int p = 0; p < BROKERS; p++)
		deaths[p] = atomic_load(&storm->participants[p].deaths);
	for (int i = 0; i < WORKERS; i++)
		first[i] = atomic_load(&bounds->least[i]);
	for (int i = 0; i < WORKERS; i++)
		if (atomic_load(&bounds->least[i]) != first[i])
			return;
	for (uint32_t i = 0; i < WORKERS; i++) {
		uint32_t before = deaths[i / THREADS];

		if (before % 2 == 0 &&
		    atomic_load(&storm->participants[i / THREADS].deaths) == before)
			sum += STORM_AMOUNT(first[i]);
	}
	w->task->snapshots++;
	if (sum > storm_stable_limit(stable, resource))
		storm_violation("broker %u: after its grant %" PRIu64 " %s of tenant %" PRIu64
		                " are held, of %" PRIu64,
		                w->participant, sum, resource ? "bytes" : "kernels",
		                storm->accounts[stable].id, storm_stable_limit(stable, resource));
}

struct most {
	uint64_t words[WORKERS];
};

static struct most look_at_most(uint32_t stable, int resource)
{
	struct most most;

	for (int i = 0; i < WORKERS; i++)
		most.words[i] = atomic_load(&storm->bounds[stable][resource].most[i]);
	return most;
}

/*
 * After "full" there must have been a moment when it was full. It is a violation if no broker began
 * or ended anything meanwhile, and there was room.
 */
static void check_full(struct worker *w, uint32_t stable, int resource, const struct most *before)
{
	struct most after = look_at_most(stable, resource);
	uint64_t sum = 0;

	if (memcmp(&after, before, sizeof after) != 0)
		return;
	/* our own bound includes what we asked for */
	for (int i = 0; i < WORKERS; i++)
		sum += STORM_AMOUNT(after.words[i]);
	w->task->full_answers_proved++;
	if (sum <= storm_stable_limit(stable, resource))
		storm_violation(
			"broker %u: tenant %" PRIu64
			" was answered full: all hold and ask for %" PRIu64 " %s, of %" PRIu64,
			w->participant, storm->accounts[stable].id, sum,
			resource ? "bytes" : "kernels", storm_stable_limit(stable, resource));
}

static void raise_bound(_Atomic uint64_t *word, int64_t by)
{
	storm_set_bound(word, (uint64_t)((int64_t)STORM_AMOUNT(atomic_load(word)) + by));
}

static int acquire_call(uint64_t id, int resource, uint64_t amount, struct k2k_lease *lease,
                        struct k2k_verdict *v)
{
	return resource ? k2k_gpu_memory_acquire(reg, id, amount, lease, v)
	                : k2k_kernel_acquire(reg, id, lease, v);
}

/* 0, or the code of the refusal. */
static int acquire(struct worker *w, uint32_t account, int resource, uint64_t amount,
                   struct storm_lease *slot)
{
	static const int codes[] = { K2K_EKERNELS, K2K_EGPUMEM, K2K_EBUSY, 0 };
	enum storm_op op = resource ? OP_MEMORY : OP_KERNEL;
	struct storm_bounds *bounds = is_stable(account) ? &storm->bounds[account][resource] : NULL;
	struct k2k_verdict v = K2K_VERDICT_INIT;
	struct k2k_lease lease = K2K_LEASE_INIT;
	struct storm_call call;
	struct most before;
	int code;

	if (bounds) {
		raise_bound(&bounds->most[w->number], (int64_t)amount);
		before = look_at_most(account, resource);
	}
	call = storm_call_begin(w->task, w->participant, op);
	code = acquire_call(storm->accounts[account].id, resource, amount, &lease, &v);
	storm_call_end(&call, code);
	allowed(w, op, account, code, codes);
	if (code) {
		if (bounds && code == (resource ? K2K_EGPUMEM : K2K_EKERNELS))
			check_full(w, account, resource, &before);
		if (bounds)
			raise_bound(&bounds->most[w->number], -(int64_t)amount);
		return code;
	}
	if (v.used > v.limit)
		storm_violation("broker %u: granted %" PRIu64 " of %" PRIu64, w->participant,
		                v.used, v.limit);
	if (bounds) {
		raise_bound(&bounds->least[w->number], (int64_t)amount);
		check_least(w, account, resource);
	}
	if (slot) {
		slot->lease = lease;
		slot->account = account;
		atomic_store(&slot->held, 1);
	}
	if (!is_stable(account) && !storm_id_is_reused(account)) {
		uint64_t *generation = &storm->entries[w->number][account].generation;

		if (*generation && *generation != lease.generation)
			storm_violation("broker %u: leases of one registration of tenant %" PRIu64
			                " have generations %" PRIu64 " and %" PRIu64,
			                w->participant, lease.id, *generation, lease.generation);
		*generation = lease.generation;
	}
	return 0;
}

static void release(struct worker *w, struct storm_lease *slot)
{
	int resource = slot->lease.flags == K2K_LEASE_GPU_MEMORY;
	enum storm_op op = resource ? OP_MEMORY_RELEASE : OP_KERNEL_RELEASE;
	uint64_t amount = slot->lease.amount;
	struct storm_bounds *bounds = is_stable(slot->account)
	                                      ? &storm->bounds[slot->account][resource]
	                                      : NULL;
	struct storm_call call;
	int code;

	atomic_store(&slot->held, 0);
	if (bounds)
		raise_bound(&bounds->least[w->number], -(int64_t)amount);
	call = storm_call_begin(w->task, w->participant, op);
	code = resource ? k2k_gpu_memory_release(reg, &slot->lease)
	                : k2k_kernel_release(reg, &slot->lease);
	storm_call_end(&call, code);
	if (bounds)
		raise_bound(&bounds->most[w->number], -(int64_t)amount);
	if (code && !(code == K2K_ESTALE && !is_stable(slot->account)))
		storm_violation("broker %u: a lease of tenant %" PRIu64 " generation %" PRIu64
		                " was given back: %s",
		                w->participant, slot->lease.id, slot->lease.generation,
		                k2k_errname(code));
}

/* Takes a lease or releases one. */
static void lease(struct worker *w)
{
	struct storm_lease *slot = &w->task->leases[storm_random(&w->task->random, LEASES)];
	int resource = (int)storm_random(&w->task->random, RESOURCES);
	uint32_t account = choose_account(w);
	uint64_t amount = 1;

	if (atomic_load(&slot->held)) {
		release(w, slot);
		return;
	}
	if (resource)
		amount = 1 + storm_random(&w->task->random,
		                          is_stable(account) ? storm_stable_limit(account, 1) / 3
		                                             : BYTES_A_KERNEL);
	acquire(w, account, resource, amount, slot);
}

/*
 * Takes everything of the stable tenants, together with the other tasks. Their requests may take
 * room for a moment: so it tries again.
 */
static void fill(struct worker *w)
{
	static const uint64_t bytes[] = { 1000, 100, 10, 1 };

	for (uint32_t i = 0; i < STABLE; i++) {
		for (int code = 0; code == 0 || code == K2K_EBUSY;)
			code = acquire(w, i, 0, 1, NULL);
		for (size_t j = 0; j < sizeof bytes / sizeof bytes[0]; j++)
			for (int code = 0; code == 0 || code == K2K_EBUSY;)
				code = acquire(w, i, 1, bytes[j], NULL);
	}
	w->filled = true;
}

/* ---- the thread ------------------------------------------------------------------------ */

static void work(struct worker *w)
{
	uint64_t dice = storm_random(&w->task->random, 100);

	if (dice < 45)
		admit(w);
	else if (dice < 50)
		record(w);
	else if (dice < 53)
		check(w);
	else if (dice < 68)
		track(w);
	else if (dice < 94)
		lease(w);
	else if (dice < 97)
		read_cost(w);
	else
		read_tenant(w);
	/*
	 * rarely: so a kill usually hits a call, not this wait
	 */
	if (storm_random(&w->task->random, 300) == 0)
		sched_yield();
	if (storm_random(&w->task->random, 2000) == 0)
		storm_sleep_ns(storm_random(&w->task->random, 400000));
}

static void *run(void *argument)
{
	struct worker *w = argument;

	for (uint32_t loops = 1; !atomic_load(&leaving); loops++) {
		uint32_t phase = atomic_load(&storm->phase);

		if (phase == PHASE_RUN) {
			work(w);
			if (w->leaves_after && loops >= w->leaves_after)
				atomic_store(&leaving, true);
			continue;
		}
		if (phase == PHASE_FILL && !w->filled)
			fill(w);
		atomic_store(&w->task->phase, phase);
		atomic_fetch_add(&w->task->beat, 1);
		storm_sleep_ns(STORM_MS);
	}
	return NULL;
}

/* Closing gives everything back: before it begins, `least` becomes 0. */
static _Noreturn void leave(uint32_t participant)
{
	struct storm_call call;
	int code;

	for (uint32_t i = 0; i < STABLE * RESOURCES; i++)
		for (uint32_t t = 0; t < THREADS; t++)
			storm_set_bound(&storm->bounds[i / RESOURCES][i % RESOURCES]
			                         .least[participant * THREADS + t],
			                0);
	call = storm_call_begin(&storm->tasks[participant * THREADS], participant, OP_CLOSE);
	code = k2k_registry_close(&reg);
	storm_call_end(&call, code);
	if (code)
		storm_violation("broker %u: close: %s", participant, k2k_errname(code));
	_exit(0);
}

void storm_broker(uint32_t participant)
{
	static struct worker workers[THREADS];
	pthread_t threads[THREADS];
	struct storm_call call;
	int code;

	for (uint32_t t = 0; t < THREADS; t++) {
		struct worker *w = &workers[t];

		w->number = participant * THREADS + t;
		w->participant = participant;
		w->task = &storm->tasks[w->number];
		if (storm_random(&w->task->random, 8) == 0)
			w->leaves_after = (uint32_t)storm_random(&w->task->random, 20000);
	}
	/* brokers never wait: without this, administrators would not be scheduled */
	setpriority(PRIO_PROCESS, 0, BROKER_NICE);
	call = storm_call_begin(workers[0].task, participant, OP_OPEN);
	code = k2k_registry_open(storm->name, K2K_ROLE_BROKER, NULL, &reg);
	storm_call_end(&call, code);
	if (code) {
		storm_violation("broker %u: open: %s (%s)", participant, k2k_errname(code),
		                k2k_error_detail()->text);
		_exit(0);
	}
	for (uint32_t t = 1; t < THREADS; t++)
		if (pthread_create(&threads[t], NULL, run, &workers[t]) != 0) {
			storm_violation("broker %u: no thread", participant);
			_exit(0);
		}
	run(&workers[0]);
	for (uint32_t t = 1; t < THREADS; t++)
		pthread_join(threads[t], NULL);
	leave(participant);
}
