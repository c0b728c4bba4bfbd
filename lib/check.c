/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * check.c (F7) - checks the invariants that are visible from outside; and repairs.
 *
 * An administrator checks under the writer's lock, so definitions don't change. What brokers write
 * changes all the time, and to a reader without the lock anything may change. So a finding counts
 * only if each further round finds it too. verify.h says what is checked and what is not a finding.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "change.h"
#include "deaths.h"
#include "reap.h"
#include "sweep.h"
#include "verify.h"

#define ROUNDS 5
#define PAUSE_NS UINT64_C(15000000) /* the pauses of all rounds together stay below 100 ms */

static void check_header(struct k2k_verify *verify, const char *object, const void *mapped,
                         const struct k2k_shm_header *header)
{
	if (memcmp(mapped, header, sizeof(*header)) != 0)
		k2k_verify_report(
			verify, "layout", object,
			"the header has changed since this handle was opened: no process can "
			"open the registry any more");
}

static void check_all(struct k2k_verify *verify)
{
	enum k2k_operation intent = k2k_writer_intent(verify->map);

	verify->count = 0;
	check_header(verify, "defs", verify->map->defs, verify->defs_header);
	check_header(verify, "live", verify->map->live, verify->live_header);
	if (intent != K2K_OP_NONE)
		k2k_verify_report(
			verify, "intent", "writer",
			"operation %s was interrupted: the next change completes or undoes "
			"it, and so does repair",
			k2k_writer_operation_name(intent));
	k2k_verify_definitions(verify);
	k2k_verify_live(verify);
	k2k_verify_kernels(verify);
	k2k_verify_trail(verify);
}

/*
 * Keeps the findings that both rounds have. They are compared by their texts, which therefore
 * contain no number that changes by itself.
 */
static void intersect(struct k2k_verify *verify, const struct k2k_verify *again)
{
	size_t kept = 0;

	for (size_t i = 0; i < verify->count; i++)
		for (size_t j = 0; j < again->count; j++)
			if (strcmp(verify->list[i].text, again->list[j].text) == 0 &&
			    strcmp(verify->list[i].object, again->list[j].object) == 0) {
				verify->list[kept++] = verify->list[i];
				break;
			}
	verify->count = kept;
}

static int check_until_stable(struct k2k_verify *verify)
{
	struct k2k_verify *again = malloc(sizeof(*again));

	if (!again)
		return k2k_fail_errno(K2K_ENOMEM, ENOMEM, "check", "no memory");
	*again = *verify;
	check_all(verify);
	for (int i = 0; verify->count && i < ROUNDS; i++) {
		k2k_clock_sleep_ns(PAUSE_NS);
		check_all(again);
		intersect(verify, again);
	}
	free(again);
	return 0;
}

static int check_as_reader(struct k2k_registry *reg, struct k2k_verify *verify)
{
	int code = k2k_enter(reg, K2K_GATE_ANY);

	if (code)
		return code;
	code = check_until_stable(verify);
	k2k_read_unlock();
	return code;
}

static int check_as_admin(struct k2k_registry *reg, struct k2k_verify *verify)
{
	int code = k2k_change_begin(reg, K2K_OP_CHECK, k2k_deadline(reg));

	if (code)
		return code;
	code = check_until_stable(verify);
	k2k_change_leave(reg);
	return code;
}

static void give_findings(struct k2k_finding *list, size_t capacity,
                          const struct k2k_finding *found, size_t count)
{
	uint32_t stride = K2K_STRIDE(list, capacity);

	for (size_t i = 0; i < count && i < capacity; i++)
		K2K_GIVE_ELEMENT(list, stride, i, &found[i]);
}

int k2k_registry_check(struct k2k_registry *reg, struct k2k_finding *list, size_t capacity,
                       size_t *count)
{
	K2K_UNCANCELLED;
	struct k2k_verify *verify;
	int code;

	if (!reg)
		return k2k_fail_argument("registry", "null");
	code = K2K_CHECK_LIST(list, capacity, count, 0);
	/* Before malloc(), whose lock may stay locked in a child made without fork handlers. */
	if (!code)
		code = k2k_gate(reg, K2K_GATE_ANY);
	if (code)
		return code;
	verify = malloc(sizeof(*verify));
	if (!verify)
		return k2k_fail_errno(K2K_ENOMEM, ENOMEM, "check", "no memory");
	verify->map = &reg->map;
	verify->clock = &reg->clock;
	verify->liveness = &reg->liveness;
	verify->defs_header = &reg->defs.header;
	verify->live_header = &reg->live.header;
	verify->alone = reg->role == K2K_GATE_ADMIN;
	verify->count = 0;
	code = verify->alone ? check_as_admin(reg, verify) : check_as_reader(reg, verify);
	if (!code) {
		give_findings(list, capacity, verify->list, verify->count);
		*count = verify->count;
	}
	free(verify);
	return code;
}

/* ---- repair ------------------------------------------------------------------------------- */

static void clear_dead_slots(struct k2k_registry *reg, struct k2k_mended *mended)
{
	for (uint32_t i = 0; i < reg->map.sizes.slots; i++) {
		/* observe[slot-owner]: all that it stored before it died */
		uint64_t owner = k2k_load_acquire(&reg->map.slots[i].owner);

		/* publish[slot-owner]: nothing; only if the owner is still the dead one */
		if (owner != 0 && !k2k_liveness_alive(&reg->liveness, owner) &&
		    k2k_cas_acq_rel(&reg->map.slots[i].owner, &owner, 0))
			mended->brokers++;
	}
}

struct sweeping {
	struct k2k_registry *reg;
	uint64_t files;
};

static int sweep_on_agent(void *context)
{
	struct sweeping *sweeping = context;

	k2k_sweep(&sweeping->reg->agent, sweeping->reg->name, &sweeping->files);
	return 0;
}

static uint64_t sweep_files(struct k2k_registry *reg)
{
	struct sweeping sweeping = { reg, 0 };

	k2k_agent_run(&reg->agent, sweep_on_agent, &sweeping);
	return sweeping.files;
}

/* Keeps the list for k2k_repair_list(). The handle's mutex protects it. */
static void keep_cuts(struct k2k_registry *reg, const struct k2k_verify *verify)
{
	struct k2k_finding *list = malloc(sizeof(*list) * (verify->count + 1));

	k2k_assert_locked(&reg->mutex);
	free(reg->cuts);
	reg->cuts = list;
	reg->cut_count = list ? verify->count : 0;
	if (list)
		memcpy(list, verify->list, sizeof(*list) * verify->count);
}

static int repair(struct k2k_registry *reg, struct k2k_mended *mended)
{
	int code;

	k2k_writer_begin(&reg->writer, K2K_OP_REPAIR);
	k2k_report_deaths(reg);
	clear_dead_slots(reg, mended);
	code = k2k_recover(reg, mended);
	if (!code) {
		k2k_writer_begin(&reg->writer, K2K_OP_REPAIR);
		code = k2k_reap(reg, mended);
	}
	if (code)
		return code;
	k2k_report_repair(reg, mended);
	k2k_writer_end(&reg->writer);
	return 0;
}

static void fill_info(struct k2k_repair_info *info, const struct k2k_mended *mended, uint64_t files)
{
	const struct k2k_mend_counts *damage = &mended->damage;
	struct k2k_repair_info all = {
		.tenants = mended->tenants,
		.budgets = mended->budgets,
		.engagements = mended->engagements,
		.leases = mended->leases,
		.brokers = mended->brokers,
		.files = files,
		.damaged = damage->links + damage->records + damage->words + damage->rings +
		           damage->merged + damage->leases,
		.cut_gpu_ns = damage->cut_ns,
		.unattributed_ns = damage->unattributed_ns,
		.cut_leases = damage->leases,
	};

	K2K_GIVE_STRUCT(info, &all);
}

int k2k_registry_repair(struct k2k_registry *reg, struct k2k_repair_info *info)
{
	K2K_UNCANCELLED;
	struct k2k_mended mended = { .verify = NULL };
	uint64_t files = 0;
	int code = reg ? K2K_CHECK_STRUCT(info, 0) : k2k_fail_argument("registry", "null");

	if (code)
		return code;
	mended.verify = calloc(1, sizeof(*mended.verify));
	if (!mended.verify)
		return k2k_fail_errno(K2K_ENOMEM, ENOMEM, "repair", "no memory");
	/* K2K_OP_CHECK, because this call, not k2k_change_begin(), counts what recovery does */
	code = k2k_change_begin(reg, K2K_OP_CHECK, k2k_deadline(reg));
	if (!code) {
		code = repair(reg, &mended);
		keep_cuts(reg, mended.verify);
		if (!code)
			files = sweep_files(reg);
		k2k_change_leave(reg);
	}
	free(mended.verify);
	if (!code)
		fill_info(info, &mended, files);
	return code;
}

int k2k_repair_list(struct k2k_registry *reg, struct k2k_finding *list, size_t capacity,
                    size_t *count)
{
	K2K_UNCANCELLED;
	int code = reg ? K2K_CHECK_LIST(list, capacity, count, 0)
	               : k2k_fail_argument("registry", "null");

	if (!code)
		/* called only because it takes the handle's mutex */
		code = k2k_change_begin(reg, K2K_OP_CHECK, k2k_deadline(reg));
	if (code)
		return code;
	*count = reg->cut_count;
	give_findings(list, capacity, reg->cuts, reg->cut_count);
	k2k_change_leave(reg);
	return 0;
}
