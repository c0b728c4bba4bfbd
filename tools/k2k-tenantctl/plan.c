/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plan.h"
#include "output.h"
#include "common/units.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

static const char *const action_names[] = { "register", "update", "deregister" };

/* ---- planning ------------------------------------------------------------------ */

static struct limits limits_of_entry(const struct document *d, const struct entry *e)
{
	return (struct limits){
		.rate = e->rate,
		.kernels = e->kernels == K2K_UNLIMITED_KERNELS ? UINT64_MAX : e->kernels,
		.gpu_memory_bytes = e->gpu_memory_bytes,
		.fleet = e->fleet,
		.name = e->name[0] ? e->name : NULL,
		.shadow = e->shadow,
		.alerts = thresholds_pack(e->alerts),
		.budgets = BUDGET_LIST(d->budgets.list + e->first_budget, e->budget_count,
		                       struct engagement_ns, engagement, ns, renewal),
	};
}

k2k_tenant_id plan_id(const struct plan *plan, const struct step *s)
{
	return s->entry ? s->entry->id : plan->now.rows[s->tenant].info.id;
}

void plan_changes(const struct plan *plan, const struct document *d, const struct step *s,
                  struct limit_changes *changes)
{
	struct limits before, after;

	*changes = (struct limit_changes){ 0 };
	if (s->action == DEREGISTER)
		return;
	after = limits_of_entry(d, s->entry);
	if (s->action == UPDATE) {
		before = limits_of_tenant(&plan->now, &plan->now.rows[s->tenant]);
		after.suspended = before.suspended; /* no document says it */
	}
	limits_compare(s->action == UPDATE ? &before : NULL, &after, changes);
}

static void add_step(struct plan *plan, struct step step)
{
	plan->steps[plan->count++] = step;
	plan->of[step.action]++;
}

static void add_update(struct plan *plan, const struct document *d, const struct entry *entry,
                       size_t tenant)
{
	const struct step step = { UPDATE, entry, tenant };
	struct limit_changes changes;

	plan_changes(plan, d, &step, &changes);
	if (changes.count)
		add_step(plan, step);
	else
		plan->unchanged++;
	limits_free(&changes);
}

/* Walks both lists, which are in the order of ids. */
void plan_compare(const struct document *d, bool prune, struct plan *plan)
{
	size_t t = 0, e = 0;

	plan->steps = check_memory(calloc(plan->now.count + d->count + 1, sizeof(*plan->steps)));
	while (t < plan->now.count || e < d->count) {
		const struct tenant *tenant = &plan->now.rows[t];
		const struct entry *entry = &d->entries[e];

		if (t == plan->now.count || (e < d->count && entry->id < tenant->info.id)) {
			add_step(plan, (struct step){ REGISTER, entry, 0 });
			e++;
		} else if (e == d->count || tenant->info.id < entry->id) {
			if (prune)
				add_step(plan, (struct step){ DEREGISTER, NULL, t });
			t++;
		} else {
			add_update(plan, d, entry, t);
			e++;
			t++;
		}
	}
}

int plan_make(struct ctl *ctl, struct k2k_registry *reg, const struct document *d, bool prune,
              struct plan *plan)
{
	size_t failures = ctl->failure_count;
	int exit_code;

	*plan = (struct plan){ .count = 0 };
	exit_code = tenants_load_all(ctl, reg, &plan->now);
	if (exit_code)
		return exit_code;
	/* a tenant that can't be read would be taken for missing */
	if (ctl->failure_count > failures + plan->now.damaged)
		return EXIT_PARTLY;
	plan_compare(d, prune, plan);
	return 0;
}

void plan_free(struct plan *plan)
{
	tenants_free(&plan->now);
	free(plan->steps);
	*plan = (struct plan){ .count = 0 };
}

/* ---- room ------------------------------------------------------------------------ */

/*
 * How many records the result needs in all, and how many new ones on the way there: these count if
 * nothing that is given up can be reused.
 */
struct need {
	uint64_t tenants, budgets, new_tenants, new_budgets, new_engagements;
};

static void count_need(const struct plan *plan, const struct document *d, struct need *need)
{
	*need = (struct need){
		.tenants = plan->now.count + plan->of[REGISTER] - plan->of[DEREGISTER],
		.budgets = plan->now.budget_count,
		.new_tenants = plan->of[REGISTER],
	};
	for (size_t i = 0; i < plan->count; i++) {
		const struct step *s = &plan->steps[i];
		struct limit_changes changes;

		if (s->action != REGISTER)
			need->budgets -= plan->now.rows[s->tenant].budget_count;
		if (s->entry)
			need->budgets += s->entry->budget_count;
		if (s->action == REGISTER)
			need->new_engagements += s->entry->budget_count;
		plan_changes(plan, d, s, &changes);
		for (size_t c = 0; c < changes.count; c++)
			need->new_budgets += changes.list[c].limit == LIMIT_BUDGET &&
			                     (changes.is_new ||
			                      changes.list[c].before == UINT64_MAX);
		limits_free(&changes);
	}
}

static int too_many(struct ctl *ctl, const struct document *d, const char *what, uint64_t needed,
                    uint64_t room, const char *of)
{
	return fail_with(ctl, K2K_EFULL,
	                 "%s: needs %" PRIu64 " %s, and the registry has room for %" PRIu64
	                 "%s%s; nothing was changed; "
	                 "'init --max-%s N' creates a larger registry",
	                 d->name, needed, what, room, strcmp(what, of) ? " " : "",
	                 strcmp(what, of) ? of : "", of);
}

static int held_up(struct ctl *ctl, const struct document *d, const struct k2k_broker_info *broker,
                   const char *what, uint64_t needed, const struct k2k_table_info *table)
{
	return fail_with(ctl, K2K_EBUSY,
	                 "%s: needs %" PRIu64 " new %s, and %" PRIu64 " are free: process %" PRIu64
	                 " (broker %u) is stopped, and "
	                 "until it continues or ends, what others give up can't be reused; "
	                 "nothing was changed",
	                 d->name, needed, what, table->capacity - table->used - table->retired,
	                 broker->pid, broker->slot);
}

static bool fits(uint64_t needed, const struct k2k_table_info *table)
{
	return needed <= table->capacity - table->used - table->retired;
}

/* A broker that does not answer grace periods; null if there is none. */
static const struct k2k_broker_info *stopped_broker(const struct k2k_broker_info *brokers,
                                                    size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (brokers[i].state == K2K_BROKER_STOPPED ||
		    (brokers[i].state == K2K_BROKER_UNKNOWN && brokers[i].grace_behind))
			return &brokers[i];
	return NULL;
}

int plan_check_room(struct ctl *ctl, struct k2k_registry *reg, const struct document *d,
                    const struct plan *plan)
{
	struct k2k_registry_info info = { .size = sizeof(info) };
	struct k2k_broker_info *brokers = NULL;
	const struct k2k_broker_info *stopped;
	struct need need;
	size_t count;
	int code = k2k_registry_info(reg, &info), exit_code = 0;

	if (!code)
		code = fetch_list(reg, LIST_BROKERS, 0, (void **)&brokers, &count);
	if (code)
		return fail(ctl, code, "registry '%s'", ctl->registry);
	count_need(plan, d, &need);
	stopped = stopped_broker(brokers, count);
	if (need.tenants > info.tenants.capacity && need.new_tenants)
		exit_code = too_many(ctl, d, "tenants", need.tenants, info.tenants.capacity,
		                     "tenants");
	else if (need.budgets > info.budgets.capacity && need.new_budgets)
		exit_code = too_many(ctl, d, "budgets", need.budgets, info.budgets.capacity,
		                     "budgets");
	else if (need.budgets > info.engagements.capacity && need.new_budgets)
		exit_code = too_many(ctl, d, "budgets", need.budgets, info.engagements.capacity,
		                     "engagements");
	else if (stopped && !fits(need.new_tenants, &info.tenants))
		exit_code = held_up(ctl, d, stopped, "tenants", need.new_tenants, &info.tenants);
	else if (stopped && !fits(need.new_budgets, &info.budgets))
		exit_code = held_up(ctl, d, stopped, "budgets", need.new_budgets, &info.budgets);
	else if (stopped && !fits(need.new_engagements, &info.engagements))
		exit_code = held_up(ctl, d, stopped, "engagements", need.new_engagements,
		                    &info.engagements);
	free(brokers);
	return exit_code;
}

/* ---- pruning ---------------------------------------------------------------------- */

/* "30%" of the tenants, or a number of them. */
static bool parse_share(const char *text, uint64_t tenants, uint64_t *most)
{
	size_t length = strlen(text);
	struct units_fault fault;
	char number[24];
	bool percent = length && text[length - 1] == '%';

	if (length - percent >= sizeof(number))
		return false;
	snprintf(number, sizeof(number), "%.*s", (int)(length - percent), text);
	if (units_parse_count(number, 0, percent ? 100 : UINT64_MAX, most, &fault))
		return false;
	if (percent)
		*most = tenants * *most / 100;
	return true;
}

int plan_check_prune(struct ctl *ctl, const struct document *d, const struct plan *plan)
{
	const char *share = ctl->option[OPT_MAX_PRUNE] ? ctl->option[OPT_MAX_PRUNE] : "30%";
	uint64_t most;

	if (!parse_share(share, plan->now.count, &most))
		return fail_usage(
			ctl,
			"--max-prune '%.100s': must be a share of all tenants, like 30%%, or "
			"a number",
			share);
	for (size_t i = 0; i < d->source_count; i++)
		if (!d->sources[i].ended)
			return fail_usage(ctl,
			                  "--prune: %s does not end with 'end: true', so it may "
			                  "be truncated, and the tenants that it lacks may be "
			                  "wanted; nothing was changed",
			                  d->sources[i].name);
	if (plan->of[DEREGISTER] > most)
		return fail_usage(ctl,
		                  "--prune: would deregister %zu of %zu tenants, and at most %s "
		                  "may be; --max-prune allows more; nothing "
		                  "was changed",
		                  plan->of[DEREGISTER], plan->now.count, share);
	return 0;
}

void plan_note_origin(struct ctl *ctl, struct k2k_registry *reg, const struct document *d)
{
	struct k2k_registry_info info = { .size = sizeof(info) };

	if (k2k_registry_info(reg, &info))
		return;
	for (size_t i = 0; i < d->source_count; i++) {
		const struct source_file *f = &d->sources[i];

		if (f->registry[0] && strcmp(f->registry, ctl->registry))
			note(ctl, "%s: is an export of another registry, '%s'; this is '%s'",
			     f->name, f->registry, ctl->registry);
		else if (f->uuid[0] && strcmp(f->uuid, info.uuid))
			note(ctl,
			     "%s: is an export of an earlier registry '%s' (%s); this one is %s",
			     f->name, ctl->registry, f->uuid, info.uuid);
	}
}

/* ---- printing ---------------------------------------------------------------------- */

void plan_print(struct ctl *ctl, const struct plan *plan, const struct document *d,
                const char *flag, bool value, const char *verb)
{
	static const struct field fields[] = {
		{ "action", NULL, KIND_TEXT, 0 },
		{ "tenant", NULL, KIND_TEXT, 0 },
		{ "text", NULL, KIND_TEXT, 0 },
		{ "fields", NULL, KIND_JSON, 0 },
	};
	static const struct table table = { "changes", fields, 4, NULL, 0 };
	const struct field extra = { flag, NULL, KIND_BOOL, 0 };
	const struct value yes = NUMBER(value);
	struct list list;

	if (ctl->quiet)
		return;
	if (ctl->format != FORMAT_TABLE)
		list_begin(&list, ctl, &table, &(const struct extra){ &extra, &yes, 1 });
	for (size_t i = 0; i < plan->count; i++) {
		const struct step *s = &plan->steps[i];
		struct limit_changes changes;
		char *text, id[UNITS_TEXT];
		size_t length;
		FILE *out = check_memory(open_memstream(&text, &length));

		plan_changes(plan, d, s, &changes);
		fprintf(out, "tenant %" PRIu64, plan_id(plan, s));
		limits_print(out, &changes);
		if (fclose(out))
			out_of_memory();
		units_print_number(id, plan_id(plan, s));
		if (ctl->format != FORMAT_TABLE) {
			json_object *json = ctl->format == FORMAT_JSON
			                            ? limits_json(&changes, "before", "after")
			                            : NULL;

			list_row(&list, (const struct value[]){ TEXT(action_names[s->action]),
			                                        TEXT(id),
			                                        TEXT(text),
			                                        { .json = json } });
			json_object_put(json);
		} else {
			printf("%s%s %s\n", verb, action_names[s->action], text);
		}
		limits_free(&changes);
		free(text);
	}
	if (ctl->format != FORMAT_TABLE)
		list_end(&list);
	else if (!plan->count)
		printf("no difference: all %zu tenants are as %s says\n", plan->unchanged, d->name);
}
