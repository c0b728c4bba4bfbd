/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * storm_recount.c - compares the answers that crash_storm's participants got with the registry
 *
 * "Told" is the sum of the answers that tasks recorded.
 *
 * 1. Messages of an account: told <= admitted <= told + uncertain. If several registrations had one
 *    id, the verdict shows which it was. A killed call is uncertain for each of them, and so is a
 *    call without a verdict (record).
 * 2. A window: the sum of the messages whose verdicts named it <= the largest `used` of those
 *    verdicts <= the largest limit. This is exact although a message may name a second and take
 *    room in the next: an admission that named second s has taken a piece of
 *    [base of s, base of s + limit), and no two pieces overlap (lib/rate.h, 6).
 * 3. Costs of an account and engagement: told OK <= cost <= told OK + gone + uncertain. What was
 *    answered K2K_EUNBOOKED is in the unattributed total. Both together are <= told OK + unbooked +
 *    gone + uncertain.
 * 4. Totals from deregister: the same for all engagements; the lower bounds only if they are final.
 * 5. No generation was given twice.
 */
#include "storm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the calls of killed tasks leave uncertain. */
static uint64_t uncertain_messages[ACCOUNTS], uncertain_rejections[ACCOUNTS],
	uncertain_ns[ACCOUNTS];
static uint64_t uncertain_stable_ns[STABLE][ENGAGEMENTS];
static uint64_t uncertain_messages_of_place[PLACES_REUSED],
	uncertain_rejections_of_place[PLACES_REUSED], uncertain_ns_of_place[PLACES_REUSED];
static uint64_t uncertain_contests, uncertain_calls;
static uint64_t killed_in[OPS];
static uint64_t windows, full_windows;

uint64_t storm_uncertain_calls(void)
{
	return uncertain_calls;
}

uint64_t storm_killed_in(unsigned int op)
{
	return killed_in[op];
}

static void leave_open(const struct storm_task *task)
{
	bool reused = task->account < ACCOUNTS && storm_id_is_reused(task->account);
	uint32_t place = reused ? storm_place_of_id(storm->accounts[task->account].id) : 0;

	uncertain_calls++;
	switch (task->asked) {
	case OP_ADMIT: /* admitted or rejected */
		*(reused ? &uncertain_rejections_of_place[place]
		         : &uncertain_rejections[task->account]) += 1;
		/* fall through */
	case OP_RECORD:
		*(reused ? &uncertain_messages_of_place[place]
		         : &uncertain_messages[task->account]) += task->amount;
		break;
	case OP_TRACK:
		*(reused ? &uncertain_ns_of_place[place]
		         : &uncertain_ns[task->account]) += task->amount;
		if (task->account < STABLE)
			uncertain_stable_ns[task->account][task->engagement - 1] += task->amount;
		break;
	default: uncertain_contests++;
	}
}

static void settle_task(struct storm_task *task)
{
	uint32_t state = atomic_load(&task->state);

	if (state == STATE_TOLD && task->counts)
		*task->counts = task->before + task->amount;
	else if (state == STATE_PENDING)
		leave_open(task);
	atomic_store(&task->state, STATE_IDLE);
	killed_in[atomic_exchange(&task->op, OP_NONE)]++;
	for (int i = 0; i < LEASES; i++)
		atomic_store(&task->leases[i].held, 0);
}

void storm_settle(uint32_t participant)
{
	if (participant >= BROKERS) {
		settle_task(&storm->tasks[WORKERS + participant - BROKERS]);
		return;
	}
	for (uint32_t w = participant * THREADS; w < (participant + 1) * THREADS; w++) {
		settle_task(&storm->tasks[w]);
		for (uint32_t i = 0; i < STABLE * RESOURCES; i++) {
			storm_set_bound(&storm->bounds[i / RESOURCES][i % RESOURCES].least[w], 0);
			storm_set_bound(&storm->bounds[i / RESOURCES][i % RESOURCES].most[w], 0);
		}
	}
}

/* ---- leases ------------------------------------------------------------------------ */

/*
 * What process `pid` holds of a registration of a tenant, as the registry lists it; generation 0:
 * of any registration.
 */
static void listed(struct k2k_registry *admin, uint64_t id, uint64_t pid, uint64_t generation,
                   uint64_t held[RESOURCES])
{
	struct k2k_lease_info list[K2K_BROKERS_MAX] = { { .size = sizeof list[0] } };
	size_t count = 0;
	int code = k2k_lease_list(admin, id, list, K2K_BROKERS_MAX, &count);

	held[0] = held[1] = 0;
	if (code && code != K2K_ENOTENANT)
		storm_violation("leases of tenant %" PRIu64 ": %s", id, k2k_errname(code));
	for (size_t i = 0; !code && i < count; i++) {
		if ((pid && list[i].pid != pid) || (generation && list[i].generation != generation))
			continue;
		held[0] += list[i].kernels;
		held[1] += list[i].gpu_memory_bytes;
	}
}

/* Sums of what one process has recorded as held of a registration. */
static void recorded(uint32_t participant, uint64_t id, uint64_t generation,
                     uint64_t held[RESOURCES])
{
	held[0] = held[1] = 0;
	for (uint32_t w = participant * THREADS; w < (participant + 1) * THREADS; w++)
		for (int i = 0; i < LEASES; i++) {
			const struct storm_lease *slot = &storm->tasks[w].leases[i];

			if (atomic_load(&slot->held) && slot->lease.id == id &&
			    slot->lease.generation == generation)
				held[slot->lease.flags == K2K_LEASE_GPU_MEMORY] +=
					slot->lease.amount;
		}
}

static void compare_leases(struct k2k_registry *admin, uint32_t account)
{
	uint64_t id = storm->accounts[account].id, generation = storm->accounts[account].generation;
	uint64_t all[RESOURCES], sum[RESOURCES] = { 0, 0 };

	for (uint32_t p = 0; p < BROKERS; p++) {
		uint64_t theirs[RESOURCES], ours[RESOURCES];

		listed(admin, id, (uint64_t)atomic_load(&storm->participants[p].pid), generation,
		       ours);
		recorded(p, id, generation, theirs);
		if (ours[0] != theirs[0] || ours[1] != theirs[1])
			storm_violation("broker %u holds %" PRIu64 " kernels and %" PRIu64
			                " bytes of tenant %" PRIu64
			                ", and the registry says %" PRIu64 " and %" PRIu64,
			                p, theirs[0], theirs[1], id, ours[0], ours[1]);
		sum[0] += theirs[0];
		sum[1] += theirs[1];
	}
	listed(admin, id, 0, 0, all);
	if (all[0] != sum[0] || all[1] != sum[1])
		storm_violation("tenant %" PRIu64 ": all hold %" PRIu64 " kernels and %" PRIu64
		                " bytes, and the registry says %" PRIu64 " and %" PRIu64,
		                id, sum[0], sum[1], all[0], all[1]);
}

void storm_recount_leases(struct k2k_registry *admin)
{
	for (uint32_t i = 0; i < STABLE; i++)
		compare_leases(admin, i);
	for (uint32_t i = 0; i < PLACES; i++)
		if (atomic_load(&storm->places[i].state) == PLACE_REGISTERED)
			compare_leases(admin, storm->places[i].now);
}

void storm_recount_filled(struct k2k_registry *admin)
{
	for (uint32_t i = 0; i < STABLE; i++) {
		uint64_t held[RESOURCES];

		listed(admin, storm->accounts[i].id, 0, 0, held);
		for (int r = 0; r < RESOURCES; r++)
			if (held[r] != storm_stable_limit(i, r))
				storm_violation("tenant %" PRIu64
				                ": all took what there was, and hold %" PRIu64
				                " %s of %" PRIu64,
				                storm->accounts[i].id, held[r],
				                r ? "bytes" : "kernels", storm_stable_limit(i, r));
	}
}

/* ---- messages ------------------------------------------------------------------------ */

static void recount_window(uint32_t account, uint64_t number, uint64_t most_limit)
{
	uint64_t sum = 0, used = 0, limit = 0;

	for (uint32_t w = 0; w < WORKERS; w++) {
		const struct storm_window *window;

		if (account < STABLE)
			window = &storm_stable_windows[(w * STABLE + account) *
			                                       (storm->seconds + 2) +
			                               number];
		else
			window = &storm->entries[w][account].windows[number % WINDOWS];
		if (window->second != number)
			continue;
		sum += window->sum;
		used = window->most_used > used ? window->most_used : used;
		limit = window->most_limit > limit ? window->most_limit : limit;
	}
	windows += sum != 0;
	full_windows += sum != 0 && sum == limit;
	if (sum > used || used > limit || limit > most_limit)
		storm_violation("tenant %" PRIu64 ", window %" PRIu64 ": %" PRIu64
		                " messages were admitted; the verdicts say at most %" PRIu64
		                " of %" PRIu64 "; the limit was at most %" PRIu64,
		                storm->accounts[account].id, storm->begun_second + number - 1, sum,
		                used, limit, most_limit);
}

static void recount_windows(uint32_t account)
{
	if (account < STABLE) {
		for (uint64_t number = 1; number < storm->seconds + 2; number++)
			recount_window(account, number, storm_stable_most_rate(account));
		return;
	}
	for (uint32_t slot = 0; slot < WINDOWS; slot++) {
		uint64_t done = 0;

		for (uint32_t w = 0; w < WORKERS; w++) {
			uint64_t number = storm->entries[w][account].windows[slot].second;

			/*
			 * a window that only some tasks recorded is recounted when one of them is
			 * read, unless it is older
			 */
			if (number > done) {
				recount_window(account, number, RATE_BASE + account);
				done = number;
			}
		}
	}
}

struct told {
	uint64_t admitted, rejected, cost[ENGAGEMENTS], cost_all, gone, unbooked;
	/* it can't be more than these */
	uint64_t most_admitted, most_rejected, uncertain_ns;
};

static struct told told_of(uint32_t account)
{
	bool reused = storm_id_is_reused(account);
	uint32_t place = reused ? storm_place_of_id(storm->accounts[account].id) : 0;
	struct told told = { .admitted = 0 };

	for (uint32_t w = 0; w < WORKERS; w++) {
		const struct storm_entry *entry = &storm->entries[w][account];

		told.admitted += entry->admitted;
		told.rejected += entry->rejected;
		told.cost_all += entry->cost_other;
		for (int e = 0; e < ENGAGEMENTS; e++) {
			told.cost[e] += entry->cost[e];
			told.cost_all += entry->cost[e];
		}
		told.gone += entry->gone;
		told.unbooked += entry->unbooked;
		if (reused)
			told.most_admitted += storm->tasks[w].by_place[place].recorded;
	}
	told.most_admitted += told.admitted + uncertain_messages[account] +
	                      (reused ? uncertain_messages_of_place[place] : 0);
	told.most_rejected = told.rejected + uncertain_rejections[account] +
	                     (reused ? uncertain_rejections_of_place[place] : 0);
	told.uncertain_ns = uncertain_ns[account];
	return told;
}

static void is_between(const char *what, const struct storm_account *account, uint64_t found,
                       uint64_t least, uint64_t most)
{
	if (found < least || found > most)
		storm_violation("tenant %" PRIu64 " generation %" PRIu64 ": %s is %" PRIu64
		                ", and told were %" PRIu64 " to %" PRIu64,
		                account->id, account->generation, what, found, least, most);
}

/* The registry's numbers of one registration that has ended or is not used at the moment. */
static void recount_numbers(uint32_t number, bool final, uint64_t admitted, uint64_t rejected,
                            uint64_t gpu_ns, uint64_t unattributed_ns)
{
	const struct storm_account *account = &storm->accounts[number];
	struct told told = told_of(number);

	is_between("the total of messages", account, admitted, final ? told.admitted : 0,
	           told.most_admitted);
	is_between("the total of rejections", account, rejected, final ? told.rejected : 0,
	           told.most_rejected);
	if (storm_id_is_reused(number))
		return; /* its costs are recounted for all its registrations together */
	is_between("GPU time", account, gpu_ns, final ? told.cost_all : 0,
	           told.cost_all + told.gone + told.uncertain_ns);
	is_between("unattributed GPU time", account, unattributed_ns, final ? told.unbooked : 0,
	           told.unbooked + told.gone + told.uncertain_ns);
	is_between("all GPU time", account, gpu_ns + unattributed_ns,
	           final ? told.cost_all + told.unbooked : 0,
	           told.cost_all + told.unbooked + told.gone + told.uncertain_ns);
}

/* No broker is attached any more: deregister has final totals at once. */
static void recount_registered(struct k2k_registry *admin, uint32_t number)
{
	struct storm_account *account = &storm->accounts[number];
	struct k2k_tenant_totals totals = { .size = sizeof totals };
	struct k2k_tenant_info info = { .size = sizeof info };
	struct told told = told_of(number);
	int code = k2k_tenant_get(admin, account->id, &info);

	for (uint32_t e = 0; !code && e < ENGAGEMENTS && !storm_id_is_reused(number); e++) {
		uint64_t ns = 0;

		code = k2k_usage_engagement_for(admin, account->id,
		                                (struct k2k_audit_tag){ 1, e + 1 }, &ns);
		is_between(e ? "the cost of engagement 2" : "the cost of engagement 1", account, ns,
		           told.cost[e],
		           told.cost[e] + told.gone +
		                   (number < STABLE ? uncertain_stable_ns[number][e]
		                                    : told.uncertain_ns));
	}
	if (!code)
		code = k2k_tenant_deregister(admin, account->id, &totals);
	if (code) {
		storm_violation("tenant %" PRIu64 " generation %" PRIu64
		                ", which is registered: %s (%s)",
		                account->id, account->generation, k2k_errname(code),
		                k2k_error_detail()->text);
		return;
	}
	if (!totals.final || totals.generation != info.generation ||
	    totals.admitted_total != info.admitted_total ||
	    totals.unattributed_ns != info.unattributed_ns || totals.kernels ||
	    totals.gpu_memory_bytes)
		storm_violation("tenant %" PRIu64 " was quiet, and its totals are other numbers",
		                account->id);
	if (account->generation != totals.generation)
		storm_violation("tenant %" PRIu64 " was generation %" PRIu64
		                ", and left as %" PRIu64,
		                account->id, account->generation, totals.generation);
	account->admitted = totals.admitted_total;
	account->rejected = totals.rejected_total.rate;
	account->gpu_ns = totals.gpu_ns_total;
	account->unattributed_ns = totals.unattributed_ns;
	atomic_store(&account->totals, 2);
}

/* ---- registrations -------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void recount_generations(struct k2k_registry *admin)
{
	struct k2k_registry_info info = { .size = sizeof info };
	static uint64_t generations[ACCOUNTS];
	size_t count = 0;

	for (uint32_t i = 0; i < ACCOUNTS; i++) {
		const struct storm_account *account = &storm->accounts[i];

		if (account->generation)
			generations[count++] = account->generation;
		for (uint32_t w = 0; w < WORKERS; w++) {
			uint64_t seen = storm->entries[w][i].generation;

			if (seen && account->generation && seen != account->generation)
				storm_violation("tenant %" PRIu64 " is generation %" PRIu64
				                ", and gave leases of generation %" PRIu64,
				                account->id, account->generation, seen);
		}
	}
	qsort(generations, count, sizeof generations[0], by_number);
	for (size_t i = 1; i < count; i++)
		if (generations[i] == generations[i - 1])
			storm_violation("generation %" PRIu64 " was given twice", generations[i]);
	if (k2k_registry_info(admin, &info) != 0 ||
	    (count && generations[count - 1] > info.generation))
		storm_violation("the newest generation is %" PRIu64 ", and %" PRIu64 " was given",
		                info.generation, generations[count - 1]);
}

static void recount_contest(struct k2k_registry *admin)
{
	int64_t balance = 0;
	int registered = -1;

	for (uint32_t t = WORKERS; t < TASKS; t++)
		balance += (int64_t)storm->tasks[t].contested_registered -
		           (int64_t)storm->tasks[t].contested_deregistered;
	if (k2k_tenant_is_registered(admin, CONTESTED_ID, &registered) != 0 ||
	    (balance - registered) > (int64_t)uncertain_contests ||
	    (registered - balance) > (int64_t)uncertain_contests)
		storm_violation("the contested tenant: %" PRId64
		                " registrations more than deregistrations were told, %" PRIu64
		                " are uncertain, registered: %d",
		                balance, uncertain_contests, registered);
	if (registered == 1 && k2k_tenant_deregister(admin, CONTESTED_ID, NULL) != 0)
		storm_violation("the contested tenant can't be deregistered");
}

/* Every listed id is registered here, and every id that is registered here is listed. */
static void recount_ids(struct k2k_registry *admin)
{
	k2k_tenant_id ids[TENANTS_MAX];
	size_t count = 0, expected = STABLE;
	int contested = 0;

	if (k2k_tenant_ids(admin, ids, TENANTS_MAX, &count) != 0 ||
	    k2k_tenant_is_registered(admin, CONTESTED_ID, &contested) != 0)
		storm_violation("tenant_ids: %s", k2k_error_detail()->text);
	for (uint32_t i = 0; i < PLACES; i++) {
		const struct storm_place *place = &storm->places[i];
		int registered = 0;

		if (atomic_load(&place->state) != PLACE_REGISTERED)
			continue;
		expected++;
		if (k2k_tenant_is_registered(admin, storm->accounts[place->now].id, &registered) !=
		            0 ||
		    !registered)
			storm_violation("tenant %" PRIu64 " is told to be registered, and is not",
			                storm->accounts[place->now].id);
	}
	if (count != expected + (size_t)contested)
		storm_violation("%zu tenants are registered, and told were %zu", count,
		                expected + (size_t)contested);
}

/* ---- all of it -------------------------------------------------------------------------- */

static void recount_reused_costs(uint32_t place)
{
	uint64_t cost = 0, unbooked = 0, gone = uncertain_ns_of_place[place], found = 0,
		 unattributed = 0;
	bool all_final = true;

	for (uint32_t t = 0; t < TASKS; t++) {
		cost += storm->tasks[t].by_place[place].cost;
		unbooked += storm->tasks[t].by_place[place].unbooked;
		gone += storm->tasks[t].by_place[place].gone;
	}
	for (uint32_t i = STABLE; i < ACCOUNTS; i++) {
		const struct storm_account *account = &storm->accounts[i];
		uint32_t state = atomic_load(&account->state);

		if (account->place != place ||
		    (state != ACCOUNT_REGISTERED && state != ACCOUNT_GONE))
			continue;
		found += account->gpu_ns;
		unattributed += account->unattributed_ns;
		all_final = all_final && atomic_load(&account->totals) == 2;
	}
	if (found > cost + gone || unattributed > unbooked + gone ||
	    found + unattributed > cost + unbooked + gone ||
	    (all_final && (found < cost || unattributed < unbooked)))
		storm_violation("tenant %u, all its registrations: GPU time %" PRIu64
		                ", unattributed %" PRIu64 "; told were %" PRIu64 " and %" PRIu64
		                ", open are %" PRIu64,
		                FIRST_REUSED_ID + place, found, unattributed, cost, unbooked, gone);
}

void storm_recount(struct k2k_registry *admin)
{
	uint32_t final = 0, not_final = 0, not_told = 0;

	recount_ids(admin);
	recount_contest(admin);
	for (uint32_t i = 0; i < STABLE; i++)
		recount_registered(admin, i);
	for (uint32_t i = 0; i < PLACES; i++)
		if (atomic_load(&storm->places[i].state) == PLACE_REGISTERED)
			recount_registered(admin, storm->places[i].now);
	for (uint32_t i = 0; i < ACCOUNTS; i++) {
		const struct storm_account *account = &storm->accounts[i];
		uint32_t totals = atomic_load(&account->totals),
			 state = atomic_load(&account->state);

		if (state == ACCOUNT_UNUSED)
			continue;
		if (totals)
			recount_numbers(i, totals == 2, account->admitted, account->rejected,
			                account->gpu_ns, account->unattributed_ns);
		if (state == ACCOUNT_NEVER) /* it counted nothing */
			recount_numbers(i, true, 0, 0, 0, 0);
		recount_windows(i);
		final += totals == 2;
		not_final += totals == 1;
		not_told += totals == 0 && state == ACCOUNT_GONE;
	}
	for (uint32_t i = 0; i < PLACES_REUSED; i++)
		recount_reused_costs(i);
	recount_generations(admin);
	printf("recounted: %u registrations with final totals, %u with totals that were not final, "
	       "%u without; %" PRIu64 " windows, %" PRIu64 " of them to their limit\n",
	       final, not_final, not_told, windows, full_windows);
}
