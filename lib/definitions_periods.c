/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* definitions_periods.c (F7) - the periods of budgets, in a tenant that is restored. */
#include "budget.h"
#include "definitions.h"
#include "ledger.h"
#include "period.h"

_Static_assert(K2K_PERIODS_KEPT == K2K_BUDGET_PERIODS_KEPT, "the header says how many are kept");

static bool is_possible(uint64_t number, uint64_t began_at_ns)
{
	return number > 0 && number < K2K_PERIOD_NUMBER_MAX &&
	       began_at_ns / K2K_PERIOD_HOUR_NS < K2K_PERIOD_BEGIN_MAX;
}

static int check_one(const struct k2k_budget_image *image)
{
	if (!is_possible(image->period, image->began_at_ns))
		return k2k_fail_argument("periods", "a number or a begin that no period has");
	if (image->closed_count > K2K_PERIODS_KEPT || image->closed_count >= image->period)
		return k2k_fail_argument("periods", "too many are closed");
	if (image->closed_count &&
	    (!image->closed || image->closed->size != sizeof(*image->closed)))
		return k2k_fail_argument("periods", "closed is null, or has another size");
	for (uint32_t i = 0; i < image->closed_count; i++)
		if (image->closed[i].period != image->period - image->closed_count + i ||
		    !is_possible(image->closed[i].period, image->closed[i].began_at_ns))
			return k2k_fail_argument("periods", "the closed ones have a gap");
	return 0;
}

int k2k_change_check_periods(const struct k2k_tenant_image *image)
{
	int code = image->period_count && !image->periods
	                   ? k2k_fail_argument("periods", "null, but period_count is not 0")
	                   : 0;

	for (uint32_t i = 0; !code && i < image->period_count; i++)
		code = check_one(&image->periods[i]);
	return code;
}

/* The bases follow from the uses, and the last one from the account. */
static void restore_one(const struct k2k_budget_view *view, const struct k2k_budget_image *image)
{
	struct k2k_period_copy list[K2K_PERIODS_KEPT + 1];
	uint32_t count = image->closed_count;
	/* relaxed: no other process has it yet */
	uint64_t base = k2k_sat_sub(
		k2k_sat_add_signed(k2k_load_relaxed(&view->cost->cost_ns), image->corrected_ns),
		image->used_ns);

	list[count] = (struct k2k_period_copy){
		.word = k2k_period_word(image->period, 0, image->began_at_ns / K2K_PERIOD_HOUR_NS),
		.base = base,
		.corrected = image->corrected_ns
	};
	while (count-- > 0) {
		const struct k2k_budget_use *use = &image->closed[count];

		base = k2k_sat_sub(base, use->used_ns);
		list[count] = (struct k2k_period_copy){
			.word = k2k_period_word(use->period, 0,
			                        use->began_at_ns / K2K_PERIOD_HOUR_NS),
			.base = base
		};
	}
	k2k_period_restore(view->period, list, image->closed_count);
}

int k2k_change_restore_periods(struct k2k_change *change)
{
	const struct k2k_tenant_image *image = change->image;
	const struct k2k_map *map = &change->reg->map;

	for (uint32_t i = 0; i < change->budget_count; i++) {
		struct k2k_hash_key key = { change->generation,
			                    change->budgets[i].budget.engagement_id, change->slot };
		struct k2k_budget_view view;
		uint32_t found = 0;
		int code = k2k_budget_look(map, &key, 1, &view);

		if (code == K2K_HASH_ABSENT || (!code && !view.period))
			continue;
		if (code)
			return code;
		while (found < image->period_count &&
		       image->periods[found].engagement_id != key.key)
			found++;
		if (found < image->period_count)
			restore_one(&view, &image->periods[found]);
		else /* relaxed: no other process has it yet */
			k2k_period_reset(
				view.period, k2k_load_relaxed(&view.cost->cost_ns), view.every,
				k2k_period_hour(k2k_clock_wall_exact_ns(&change->reg->clock)));
	}
	return 0;
}
