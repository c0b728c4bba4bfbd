/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * storm_admin.c - an administrator of crash_storm: registers and deregisters tenants in its places
 *
 * It records in a place what it is about to ask. The next administrator of the same places begins
 * where its killed predecessor was: the call under way has happened in all its parts, or not at
 * all.
 */
#include "storm.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct admin {
	uint32_t number, participant;
	struct storm_task *task;
	uint64_t pause_until_ns;
};

static struct k2k_registry *reg;

static const char *last_text(void)
{
	return k2k_error_detail()->text;
}

/*
 * An error names the process that holds an administrator up. It names nobody only if the wait ended
 * at the deadline, or if others wait for final totals.
 */
static void check_busy(struct admin *a, enum storm_op op)
{
	const struct k2k_error_detail *detail = k2k_error_detail();

	if (detail->code != K2K_EBUSY ||
	    (detail->pid ? !storm_is_participant(detail->pid) : storm_must_name(detail)))
		storm_violation("administrator %u: %s: K2K_EBUSY names process %" PRIu64 ": %s",
		                a->number, storm_op_name(op), detail->pid, detail->text);
	else if (!detail->pid)
		a->task->named_nobody++;
	else if (storm_is_stopped(detail->pid))
		a->task->named_stopped++;
	else
		a->task->named_others++;
}

static int ended(struct admin *a, const struct storm_call *call, int code)
{
	storm_call_end(call, code);
	if (code == K2K_EBUSY)
		check_busy(a, call->op);
	return code;
}

/* ---- what a place is ----------------------------------------------------------- */

static void quota_of(const struct storm_place *place, uint32_t kernels, uint64_t budget_ns,
                     struct k2k_budget budgets[2], struct k2k_quota *quota)
{
	*quota = (struct k2k_quota)K2K_QUOTA_STANDARD;
	quota->max_messages_per_sec = RATE_BASE + place->now;
	quota->max_concurrent_kernels = kernels;
	quota->max_gpu_memory_bytes = (uint64_t)kernels * BYTES_A_KERNEL;
	/* the last one of the same engagement overrides the first; the second has no budget */
	budgets[0] = (struct k2k_budget){ 1, budget_ns };
	budgets[1] = (struct k2k_budget){ 2, K2K_UNLIMITED };
	quota->budget_count = 2;
	quota->budgets = budgets;
}

static uint64_t budget_of(uint64_t id)
{
	struct k2k_budget_info budgets[4] = { { .size = sizeof budgets[0] } };
	size_t count = 0;
	int code = k2k_budget_list(reg, id, budgets, 4, &count);

	if (code || count > 1 || (count == 1 && budgets[0].engagement_id != 1)) {
		storm_violation("budgets of tenant %" PRIu64 ": %s, %zu of them", id,
		                k2k_errname(code), count);
		return 0;
	}
	return count ? budgets[0].budget_ns : K2K_UNLIMITED;
}

/* The registration must be as recorded; if an answer was lost, one of two. */
static void check_place(struct admin *a, struct storm_place *place, bool uncertain)
{
	struct storm_account *account = &storm->accounts[place->now];
	struct k2k_tenant_info info = { .size = sizeof info };
	struct storm_call call = storm_call_begin(a->task, a->participant, OP_READ);
	int code = k2k_tenant_get(reg, account->id, &info);
	uint64_t budget_ns = code ? 0 : budget_of(account->id);
	bool kernels_new = info.max_concurrent_kernels == place->kernels_asked,
	     budget_new = budget_ns == place->budget_asked_ns;

	storm_call_end(&call, code);
	if (code) {
		storm_violation("administrator %u: tenant %" PRIu64
		                ", which is registered, reads as %s",
		                a->number, account->id, k2k_errname(code));
		return;
	}
	if ((!kernels_new && !(uncertain && info.max_concurrent_kernels == place->kernels)) ||
	    (!budget_new && !(uncertain && budget_ns == place->budget_ns)) ||
	    info.max_gpu_memory_bytes != (uint64_t)info.max_concurrent_kernels * BYTES_A_KERNEL ||
	    info.max_messages_per_sec != RATE_BASE + place->now || info.id != account->id ||
	    info.budget_count != (budget_ns != K2K_UNLIMITED))
		storm_violation(
			"administrator %u: tenant %" PRIu64 " has rate %" PRIu64
			", %u kernels, %" PRIu64 " bytes, %u budgets, one of %" PRIu64
			"; asked for %u, %u kernels, budget %" PRIu64 " (before: %u, %" PRIu64 ")",
			a->number, account->id, info.max_messages_per_sec,
			info.max_concurrent_kernels, info.max_gpu_memory_bytes, info.budget_count,
			budget_ns, RATE_BASE + place->now, place->kernels_asked,
			place->budget_asked_ns, place->kernels, place->budget_ns);
	/* a change is there in all its parts or not at all */
	if (uncertain && atomic_load(&place->state) == PLACE_UPDATING &&
	    place->kernels != place->kernels_asked && place->budget_ns != place->budget_asked_ns &&
	    kernels_new != budget_new)
		storm_violation("administrator %u: half of an update of tenant %" PRIu64
		                " was made",
		                a->number, account->id);
	if (account->generation && account->generation != info.generation)
		storm_violation("administrator %u: tenant %" PRIu64 " was generation %" PRIu64
		                " and is %" PRIu64,
		                a->number, account->id, account->generation, info.generation);
	account->generation = info.generation;
	place->kernels = place->kernels_asked = info.max_concurrent_kernels;
	place->budget_ns = place->budget_asked_ns = budget_ns;
	atomic_store(&place->state, PLACE_REGISTERED);
}

static void emptied(struct storm_place *place, enum storm_account_state what)
{
	atomic_store(&storm->accounts[place->now].state, what);
	atomic_store(&place->state, PLACE_EMPTY);
}

/* ---- changes ---------------------------------------------------------------------- */

static void register_place(struct admin *a, struct storm_place *place, bool again)
{
	struct storm_account *account = &storm->accounts[place->now];
	struct k2k_budget budgets[2];
	struct k2k_quota quota;
	struct storm_call call;
	int code;

	quota_of(place, place->kernels_asked, place->budget_asked_ns, budgets, &quota);
	call = storm_call_begin(a->task, a->participant, OP_REGISTER);
	code = ended(a, &call, k2k_tenant_register(reg, account->id, &quota));
	if (code == K2K_EEXIST && again) {
		account->found_after_kill = 1;
		code = 0;
	}
	if (code == 0) {
		atomic_store(&account->state, ACCOUNT_REGISTERED);
		check_place(a, place, false);
		place->leave_at_ns = storm_now_ns() +
		                     storm_random(&a->task->random,
		                                  storm_random(&a->task->random, 10)
		                                          ? 10 * STORM_MS
		                                          : 3 * STORM_NS);
		atomic_store(&place->account, place->now);
		return;
	}
	if (code == K2K_EBUSY && again)
		return; /* still unknown: tried again later */
	if (code != K2K_EBUSY &&
	    !(code == K2K_EFULL && strcmp(k2k_error_detail()->object, "engagements") == 0))
		storm_violation("administrator %u: register of tenant %" PRIu64 ": %s: %s",
		                a->number, account->id, k2k_errname(code), last_text());
	/* the whole call must be refused */
	int registered = -1;
	int read = k2k_tenant_is_registered(reg, account->id, &registered);
	if (read || registered)
		storm_violation("administrator %u: a refused register of tenant %" PRIu64
		                " left it there",
		                a->number, account->id);
	emptied(place, ACCOUNT_NEVER);
}

static void register_new(struct admin *a, struct storm_place *place)
{
	uint32_t index = (uint32_t)(place - storm->places), number = a->task->accounts_used;
	struct storm_account *account;

	if (number >= ACCOUNTS_EACH || storm_now_ns() < a->pause_until_ns)
		return;
	a->pause_until_ns = storm_now_ns() +
	                    storm_random(&a->task->random, 2 * storm->pause_ns + 1);
	a->task->accounts_used++; /* even if the call fails */
	place->now = STABLE + a->number * ACCOUNTS_EACH + number;
	account = &storm->accounts[place->now];
	account->id = index < PLACES_REUSED ? FIRST_REUSED_ID + index : FIRST_FRESH_ID + place->now;
	account->place = index;
	place->kernels = place->kernels_asked = (uint32_t)(1 + storm_random(&a->task->random, 6));
	place->budget_ns = place->budget_asked_ns = storm_random(&a->task->random, 2)
	                                                    ? storm_random(&a->task->random, 20000)
	                                                    : K2K_UNLIMITED;
	atomic_store(&account->state, ACCOUNT_ASKED);
	atomic_store(&place->state, PLACE_REGISTERING);
	register_place(a, place, false);
}

static void update(struct admin *a, struct storm_place *place)
{
	struct storm_account *account = &storm->accounts[place->now];
	struct k2k_budget budgets[2];
	struct k2k_quota quota;
	struct storm_call call;
	int code;

	place->kernels_asked = (uint32_t)(1 + storm_random(&a->task->random, 6));
	place->budget_asked_ns = storm_random(&a->task->random, 3)
	                                 ? storm_random(&a->task->random, 20000)
	                                 : K2K_UNLIMITED;
	quota_of(place, place->kernels_asked, place->budget_asked_ns, budgets, &quota);
	atomic_store(&place->state, PLACE_UPDATING);
	call = storm_call_begin(a->task, a->participant, OP_UPDATE);
	code = ended(
		a, &call,
		k2k_tenant_update(reg, account->id, &quota,
	                          K2K_UPDATE_KERNELS | K2K_UPDATE_GPU_MEMORY | K2K_UPDATE_BUDGETS));
	if (code == K2K_EBUSY ||
	    (code == K2K_EFULL && strcmp(k2k_error_detail()->object, "engagements") == 0)) {
		/* refused: it changed nothing */
		place->kernels_asked = place->kernels;
		place->budget_asked_ns = place->budget_ns;
	} else if (code) {
		storm_violation("administrator %u: update of tenant %" PRIu64 ": %s: %s", a->number,
		                account->id, k2k_errname(code), last_text());
	}
	check_place(a, place, false);
}

static void change_budget(struct admin *a, struct storm_place *place)
{
	struct storm_account *account = &storm->accounts[place->now];
	struct storm_call call;
	int code;

	/* a predecessor that was killed just before it asked may have left another number */
	place->kernels_asked = place->kernels;
	place->budget_asked_ns = place->budget_ns != K2K_UNLIMITED &&
	                                         storm_random(&a->task->random, 2)
	                                 ? K2K_UNLIMITED
	                                 : storm_random(&a->task->random, 20000);
	atomic_store(&place->state, PLACE_BUDGET);
	call = storm_call_begin(a->task, a->participant, OP_BUDGET);
	code = place->budget_asked_ns == K2K_UNLIMITED
	               ? k2k_budget_unset(reg, account->id, 1)
	               : k2k_budget_set(reg, account->id, 1, place->budget_asked_ns);
	code = ended(a, &call, code);
	if (code == K2K_EBUSY ||
	    (code == K2K_EFULL && strcmp(k2k_error_detail()->object, "engagements") == 0))
		place->budget_asked_ns = place->budget_ns;
	else if (code)
		storm_violation("administrator %u: budget of tenant %" PRIu64 ": %s: %s", a->number,
		                account->id, k2k_errname(code), last_text());
	check_place(a, place, false);
}

static void deregister(struct admin *a, struct storm_place *place, bool again)
{
	struct storm_account *account = &storm->accounts[place->now];
	struct k2k_tenant_totals totals = { .size = sizeof totals };
	bool with_totals = !atomic_load(&storm->only_short) && storm_random(&a->task->random, 2);
	struct storm_call call;
	int code;

	atomic_store(&place->state, PLACE_LEAVING);
	call = storm_call_begin(a->task, a->participant, OP_DEREGISTER);
	code = ended(a, &call,
	             k2k_tenant_deregister(reg, account->id, with_totals ? &totals : NULL));
	if (code == K2K_EBUSY)
		return; /* it changed nothing: tried again later */
	if (code && !(again && code == K2K_ENOTENANT))
		storm_violation("administrator %u: deregister of tenant %" PRIu64 ": %s: %s",
		                a->number, account->id, k2k_errname(code), last_text());
	if (!code && with_totals) {
		if (totals.generation != account->generation || totals.id != account->id)
			storm_violation("administrator %u: tenant %" PRIu64 " generation %" PRIu64
			                " left as tenant %" PRIu64 " generation %" PRIu64,
			                a->number, account->id, account->generation, totals.id,
			                totals.generation);
		account->admitted = totals.admitted_total;
		account->rejected = totals.rejected_total.rate;
		account->gpu_ns = totals.gpu_ns_total;
		account->unattributed_ns = totals.unattributed_ns;
		atomic_store(&account->totals, totals.final ? 2 : 1);
	}
	emptied(place, ACCOUNT_GONE);
}

/* ---- other things that administrators do --------------------------------------------- */

/* Changes the rate of a stable tenant of this administrator between two values. */
static void change_rate(struct admin *a)
{
	uint32_t i = STABLE - 1 - a->number -
	             ADMINS * (uint32_t)storm_random(&a->task->random, STABLE_UPDATED / ADMINS);
	struct k2k_quota quota = K2K_QUOTA_STANDARD;
	struct k2k_tenant_info info = { .size = sizeof info };
	uint64_t before = storm->stable_rate[i], asked;
	struct storm_call call;
	int code;

	asked = storm_random(&a->task->random, 2) ? storm_stable_first_rate(i)
	                                          : storm_stable_most_rate(i);
	quota.max_messages_per_sec = storm->stable_rate_asked[i] = asked;
	call = storm_call_begin(a->task, a->participant, OP_UPDATE);
	code = ended(a, &call,
	             k2k_tenant_update(reg, storm->accounts[i].id, &quota, K2K_UPDATE_RATE));
	if (code == K2K_EBUSY)
		asked = before;
	else if (code)
		storm_violation("administrator %u: update of tenant %" PRIu64 ": %s: %s", a->number,
		                storm->accounts[i].id, k2k_errname(code), last_text());
	code = k2k_tenant_get(reg, storm->accounts[i].id, &info);
	if (code || info.max_messages_per_sec != asked)
		storm_violation("administrator %u: tenant %" PRIu64 " was set to %" PRIu64
		                " messages a second, and has %" PRIu64,
		                a->number, storm->accounts[i].id, asked, info.max_messages_per_sec);
	storm->stable_rate[i] = storm->stable_rate_asked[i] = asked;
}

/*
 * Both administrators race for one id. Registrations and deregistrations that succeed are counted:
 * they must alternate.
 */
static void contest(struct admin *a)
{
	bool in = storm_random(&a->task->random, 2);
	enum storm_op op = in ? OP_REGISTER : OP_DEREGISTER;
	struct storm_call call;
	int code;

	storm_begin(a->task, op, NO_ACCOUNT, 0, 1);
	call = storm_call_begin(a->task, a->participant, op);
	code = in ? k2k_tenant_register(reg, CONTESTED_ID, NULL)
	          : k2k_tenant_deregister(reg, CONTESTED_ID, NULL);
	storm_told(a->task,
	           code ? NULL
	           : in ? &a->task->contested_registered
	                : &a->task->contested_deregistered,
	           1);
	ended(a, &call, code);
	if (code && code != (in ? K2K_EEXIST : K2K_ENOTENANT) && code != K2K_EBUSY)
		storm_violation("administrator %u: %s of the contested tenant: %s: %s", a->number,
		                storm_op_name(op), k2k_errname(code), last_text());
}

static void be_refused(struct admin *a)
{
	uint64_t id = storm->accounts[storm_random(&a->task->random, STABLE)].id;
	struct storm_call call = storm_call_begin(a->task, a->participant, OP_REGISTER);
	int code = ended(a, &call, k2k_tenant_register(reg, id, NULL));

	if (code != K2K_EEXIST && code != K2K_EBUSY)
		storm_violation("administrator %u: a second register of tenant %" PRIu64 ": %s",
		                a->number, id, k2k_errname(code));
}

/*
 * Makes a change: even a refused one finishes what a killed administrator left half done. False: it
 * was held up.
 */
static bool finish_others(struct admin *a)
{
	struct storm_call call = storm_call_begin(a->task, a->participant, OP_DEREGISTER);
	int code = ended(a, &call, k2k_tenant_deregister(reg, UNKNOWN_ID, NULL));

	if (code != K2K_ENOTENANT && code != K2K_EBUSY)
		storm_violation("administrator %u: deregister of an unknown tenant: %s: %s",
		                a->number, k2k_errname(code), last_text());
	return code != K2K_EBUSY;
}

/* Rare: it clears the slots of dead brokers, which living ones should take over instead. */
static void repair(struct admin *a)
{
	struct k2k_repair_info info = { .size = sizeof info };
	struct storm_call call = storm_call_begin(a->task, a->participant, OP_REPAIR);
	int code = ended(a, &call, k2k_registry_repair(reg, &info));

	if (code && code != K2K_EBUSY)
		storm_violation("administrator %u: repair: %s: %s", a->number, k2k_errname(code),
		                last_text());
}

/* ---- the process ---------------------------------------------------------------------- */

/* A place whose call was under way when its administrator was killed, or was held up. */
static bool resolve(struct admin *a, struct storm_place *place)
{
	switch (atomic_load(&place->state)) {
	case PLACE_REGISTERING: register_place(a, place, true); return true;
	case PLACE_LEAVING: deregister(a, place, true); return true;
	case PLACE_UPDATING:
	case PLACE_BUDGET:
		/* it was made or not */
		if (finish_others(a))
			check_place(a, place, true);
		return true;
	default: return false;
	}
}

static void work(struct admin *a)
{
	uint64_t dice = storm_random(&a->task->random, 100);
	struct storm_place *place =
		&storm->places[a->number +
	                       ADMINS * storm_random(&a->task->random, PLACES / ADMINS)];

	if (dice < (atomic_load(&storm->only_short) ? 30 : 4)) {
		change_rate(a);
	} else if (dice < 8) {
		contest(a);
	} else if (dice < 9) {
		be_refused(a);
	} else if (dice < 10) {
		if (storm_random(&a->task->random, 20) == 0)
			repair(a);
	} else if (!resolve(a, place)) {
		if (atomic_load(&place->state) == PLACE_EMPTY)
			register_new(a, place);
		else if (storm_now_ns() >= place->leave_at_ns || atomic_load(&storm->only_short))
			deregister(a, place, false);
		else if (dice < 13)
			update(a, place);
		else if (dice < 16)
			change_budget(a, place);
		else
			storm_sleep_ns(storm_random(&a->task->random, 100000));
	}
	atomic_fetch_add(&a->task->beat, 1);
	sched_yield();
}

/* Finishes a predecessor's change of a rate. */
static void find_rates(struct admin *a)
{
	while (!finish_others(a))
		;
	for (uint32_t i = STABLE - STABLE_UPDATED; i < STABLE; i++) {
		struct k2k_tenant_info info = { .size = sizeof info };
		int code;

		if ((STABLE - 1 - i) % ADMINS != a->number)
			continue;
		code = k2k_tenant_get(reg, storm->accounts[i].id, &info);
		if (code || (info.max_messages_per_sec != storm->stable_rate[i] &&
		             info.max_messages_per_sec != storm->stable_rate_asked[i]))
			storm_violation("administrator %u: tenant %" PRIu64
			                " has a rate of %" PRIu64 ", neither %" PRIu64
			                " nor %" PRIu64,
			                a->number, storm->accounts[i].id, info.max_messages_per_sec,
			                storm->stable_rate[i], storm->stable_rate_asked[i]);
		storm->stable_rate[i] = storm->stable_rate_asked[i] = info.max_messages_per_sec;
	}
}

void storm_admin(uint32_t participant)
{
	struct k2k_open_options options = K2K_OPEN_OPTIONS_INIT;
	struct admin a = { .number = participant - BROKERS,
		           .participant = participant,
		           .task = &storm->tasks[WORKERS + participant - BROKERS] };
	struct storm_call call = storm_call_begin(a.task, participant, OP_OPEN);
	int code;

	options.flags = K2K_OPEN_TIMEOUT;
	options.timeout_ns = ADMIN_TIMEOUT_MS * STORM_MS;
	code = k2k_registry_open(storm->name, K2K_ROLE_ADMIN, &options, &reg);
	storm_call_end(&call, code);
	if (code) {
		storm_violation("administrator %u: open: %s (%s)", a.number, k2k_errname(code),
		                last_text());
		_exit(0);
	}
	find_rates(&a);
	for (;;) {
		uint32_t phase = atomic_load(&storm->phase);

		if (phase == PHASE_RUN) {
			work(&a);
			continue;
		}
		for (uint32_t i = a.number; i < PLACES; i += ADMINS)
			while (resolve(&a, &storm->places[i]) && !atomic_load(&storm->violations))
				;
		atomic_store(&a.task->phase, phase);
		atomic_fetch_add(&a.task->beat, 1);
		storm_sleep_ns(STORM_MS);
	}
}
