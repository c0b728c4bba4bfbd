/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * check.c (F7) - the invariants that can be seen from outside; and repair.
 *
 * An administrator looks under the writer's lock: definitions hold still. What
 * brokers write moves all the time: a finding there, and any finding of a reader
 * without the lock, counts only if all further looks find the same. What is
 * looked at, and what is no finding, is in verify.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "change.h"
#include "deaths.h"
#include "reap.h"
#include "sweep.h"
#include "verify.h"

#define LOOKS 5
#define PAUSE_NS UINT64_C(15000000) /* all of them together stay below 100 ms */

static void look_at_header(struct k2k_look *look, const char *object, const void *mapped,
                           const struct k2k_shm_header *header)
{
	if (memcmp(mapped, header, sizeof(*header)) != 0)
		k2k_look_find(look, "layout", object,
		              "the header is not as it was at attach: nobody can attach any more");
}

static void look_at_all(struct k2k_look *look)
{
	enum k2k_operation intent = k2k_writer_intent(look->map);

	look->count = 0;
	look_at_header(look, "defs", look->map->defs, look->defs_header);
	look_at_header(look, "live", look->map->live, look->live_header);
	if (intent != K2K_OP_NONE)
		k2k_look_find(look, "intent", "writer",
		              "an operation has not ended (%s): any change finishes it, or repair",
		              k2k_writer_operation_name(intent));
	k2k_look_at_definitions(look);
	k2k_look_at_live(look);
	k2k_look_at_trail(look);
}

/* Keeps what both looks found. A text holds no number that moves by itself. */
static void intersect(struct k2k_look *f, const struct k2k_look *again)
{
	size_t kept = 0;

	for (size_t i = 0; i < f->count; i++)
		for (size_t j = 0; j < again->count; j++)
			if (strcmp(f->list[i].text, again->list[j].text) == 0 &&
			    strcmp(f->list[i].object, again->list[j].object) == 0) {
				f->list[kept++] = f->list[i];
				break;
			}
	f->count = kept;
}

static int look_until_stable(struct k2k_look *f)
{
	struct k2k_look *again = malloc(sizeof(*again));

	if (!again)
		return k2k_fail_errno(K2K_ENOMEM, ENOMEM, "check", "no memory");
	*again = *f;
	look_at_all(f);
	for (int i = 0; f->count && i < LOOKS; i++) {
		k2k_clock_sleep_ns(PAUSE_NS);
		look_at_all(again);
		intersect(f, again);
	}
	free(again);
	return 0;
}

static int check_as_reader(struct k2k_registry *reg, struct k2k_look *f)
{
	int code = k2k_enter(reg, K2K_GATE_ANY);

	if (code)
		return code;
	code = look_until_stable(f);
	k2k_read_unlock();
	return code;
}

static int check_as_admin(struct k2k_registry *reg, struct k2k_look *f)
{
	int code = k2k_change_begin(reg, K2K_OP_CHECK, k2k_deadline(reg));

	if (code)
		return code;
	code = look_until_stable(f);
	k2k_change_leave(reg);
	return code;
}

int k2k_registry_check(struct k2k_registry *reg, struct k2k_finding *list, size_t capacity,
                       size_t *count)
{
	K2K_UNCANCELLED;
	struct k2k_look *f;
	int code;

	if (!reg)
		return k2k_fail_argument("registry", "null");
	code = K2K_CHECK_LIST(list, capacity, count);
	/*
	 * before malloc(), whose lock may be held for ever in a child that was made without fork
	 * handlers
	 */
	if (!code)
		code = k2k_gate(reg, K2K_GATE_ANY);
	if (code)
		return code;
	f = malloc(sizeof(*f));
	if (!f)
		return k2k_fail_errno(K2K_ENOMEM, ENOMEM, "check", "no memory");
	f->map = &reg->map;
	f->clock = &reg->clock;
	f->liveness = &reg->liveness;
	f->defs_header = &reg->defs.header;
	f->live_header = &reg->live.header;
	f->alone = reg->role == K2K_GATE_ADMIN;
	f->count = 0;
	code = f->alone ? check_as_admin(reg, f) : check_as_reader(reg, f);
	if (!code) {
		size_t stride = capacity ? list->size : 0;

		*count = f->count;
		for (size_t i = 0; i < f->count && i < capacity; i++) {
			struct k2k_finding *out = k2k_element(list, stride, i);

			*out = f->list[i];
			out->size = (uint32_t)stride;
		}
	}
	free(f);
	return code;
}

/* ---- repair ------------------------------------------------------------------------------- */

static void clear_dead_slots(struct k2k_registry *reg, struct k2k_mended *mended)
{
	for (uint32_t i = 0; i < K2K_SLOTS; i++) {
		/* observe[slot-owner]: as it died */
		uint64_t owner = k2k_load_acquire(&reg->map.slots[i].owner);

		/* publish[slot-owner]: nothing; from a dead owner only */
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

/* For k2k_repair_list. relaxed memory is none of it: under the handle's mutex */
static void keep_cuts(struct k2k_registry *reg, const struct k2k_look *look)
{
	struct k2k_finding *list = malloc(sizeof(*list) * (look->count + 1));

	k2k_assert_locked(&reg->mutex);
	free(reg->cuts);
	reg->cuts = list;
	reg->cut_count = list ? look->count : 0;
	if (list)
		memcpy(list, look->list, sizeof(*list) * look->count);
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
		.size = info->size,
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

	memcpy(info, &all, info->size < sizeof(all) ? info->size : sizeof(all));
}

int k2k_registry_repair(struct k2k_registry *reg, struct k2k_repair_info *info)
{
	K2K_UNCANCELLED;
	struct k2k_mended mended = { .look = NULL };
	uint64_t files = 0;
	int code = reg ? K2K_CHECK_GROWN(info, 0, damaged) : k2k_fail_argument("registry", "null");

	if (code)
		return code;
	mended.look = calloc(1, sizeof(*mended.look));
	if (!mended.look)
		return k2k_fail_errno(K2K_ENOMEM, ENOMEM, "repair", "no memory");
	/* recovery is counted here, not in begin */
	code = k2k_change_begin(reg, K2K_OP_CHECK, k2k_deadline(reg));
	if (!code) {
		code = repair(reg, &mended);
		keep_cuts(reg, mended.look);
		if (!code)
			files = sweep_files(reg);
		k2k_change_leave(reg);
	}
	free(mended.look);
	if (!code)
		fill_info(info, &mended, files);
	return code;
}

int k2k_repair_list(struct k2k_registry *reg, struct k2k_finding *list, size_t capacity,
                    size_t *count)
{
	K2K_UNCANCELLED;
	int code = reg ? K2K_CHECK_LIST(list, capacity, count)
	               : k2k_fail_argument("registry", "null");
	size_t stride;

	if (!code)
		/* the mutex is what it is for */
		code = k2k_change_begin(reg, K2K_OP_CHECK, k2k_deadline(reg));
	if (code)
		return code;
	*count = reg->cut_count;
	stride = capacity ? list->size : 0;
	for (size_t i = 0; i < reg->cut_count && i < capacity; i++) {
		struct k2k_finding *out = k2k_element(list, stride, i);

		*out = reg->cuts[i];
		out->size = (uint32_t)stride;
	}
	k2k_change_leave(reg);
	return 0;
}
