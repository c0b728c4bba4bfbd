/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * converge.c - makes the registry what the definitions say
 *
 * 1. Registrations of the database whose tenant is gone are closed there.
 * 2. Tenants that are there already are adopted: the fleet counts from what they have now.
 * 3. Tenants that the fleet has no more, or has made anew, leave (leave.c).
 * 4. New registrations are planned in the database, each with the generation it will have.
 * 5. In one batch, under the writer's lock, the plan is carried out.
 * What does not fit is the problem of that definition; the others go on.
 */
#include "agent.h"
#include "k2k-tenantctl/plan_names.h"
#include "common/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int read_wanted(struct agent *a, struct document *document)
{
	char *text;
	size_t length;
	FILE *out = text_open(&text, &length);
	const char *comma = "";
	int exit_code;

	fprintf(out, "{\"version\": %d, \"tenants\": [", DOCUMENT_VERSION);
	for (size_t i = 0; i < a->definition_count; i++)
		if (a->definitions[i].doc) {
			fprintf(out, "%s\n%s", comma, a->definitions[i].doc);
			comma = ",";
		}
	fputs("], \"end\": true}", out);
	text_close(out);
	exit_code = document_read_text(&a->ctl, "the definitions", text, document);
	free(text);
	return exit_code ? K2K_EINVAL : 0;
}

static const struct tenant *tenant_of(const struct tenants *now, const struct registration *r)
{
	size_t low = 0, high = now->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (now->rows[middle].info.id < r->tenant)
			low = middle + 1;
		else
			high = middle;
	}
	return low < now->count && now->rows[low].info.id == r->tenant &&
	                       now->rows[low].info.generation == r->generation
	               ? &now->rows[low]
	               : NULL;
}

static int close_ended(struct agent *a, const struct tenants *now)
{
	for (size_t i = a->registration_count; i-- > 0;) {
		const struct registration *r = &a->registrations[i];
		int code;

		if (!r->gone && tenant_of(now, r))
			continue;
		code = link_finish(a, r->generation, r->gone ? &r->totals : NULL);
		if (code)
			return code;
	}
	return 0;
}

/* ---- adoption ---------------------------------------------------------------------------- */

static int adopt(struct agent *a, const struct tenant *t, const struct definition *d)
{
	struct k2k_usage_info *usage = NULL;
	struct db_array engagements, ns, corrected;
	char texts[5][24];
	size_t count;
	PGresult *result;
	int code = fetch_list(a->reg, LIST_USAGE, t->info.id, (void **)&usage, &count);

	if (code)
		return code == K2K_ENOTENANT ? 0 : code;
	db_array_begin(&engagements);
	db_array_begin(&ns);
	db_array_begin(&corrected);
	for (size_t i = 0; i < count; i++)
		if (usage[i].generation == t->info.generation) {
			db_array_u64(&engagements, usage[i].engagement_id);
			db_array_u64(&ns, usage[i].gpu_ns);
			db_array_i64(&corrected, usage[i].corrected_ns);
		}
	free(usage);
	snprintf(texts[0], 24, "%" PRIu64, t->info.generation);
	snprintf(texts[1], 24, "%" PRIu64, t->info.id);
	snprintf(texts[2], 24, "%" PRIu64, d->fleet_gen);
	snprintf(texts[3], 24, "%" PRIu64, t->info.admitted_total);
	snprintf(texts[4], 24, "%" PRIu64, t->info.unattributed_ns);
	result = link_call(
		a, "select k2k_fleet.adopt($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)", 9,
		(const char *[]){ texts[0], texts[1], texts[2],
	                          t->info.registered_at_ns < a->info.created_at_ns ? "true"
	                                                                           : "false",
	                          texts[3], texts[4], db_array_end(&engagements), db_array_end(&ns),
	                          db_array_end(&corrected) });
	db_array_free(&engagements);
	db_array_free(&ns);
	db_array_free(&corrected);
	if (!result)
		return a->db.code;
	PQclear(result);
	registration_add(a, (struct registration){ .generation = t->info.generation,
	                                           .tenant = t->info.id,
	                                           .fleet_gen = d->fleet_gen });
	return 0;
}

static int adopt_all(struct agent *a, const struct tenants *now)
{
	for (size_t i = 0; i < now->count; i++) {
		const struct tenant *t = &now->rows[i];
		const struct definition *d = definition_find(a, t->info.id);
		int code;

		if (!d || !d->doc || registration_find(a, t->info.generation))
			continue;
		code = adopt(a, t, d);
		if (code)
			return code;
	}
	return 0;
}

/* ---- the plan ---------------------------------------------------------------------------- */

/* The generations are the next ones of the registry: `first` and so on, one for each REGISTER. */
static int plan_registrations(struct agent *a, const struct plan *plan, uint64_t first)
{
	struct db_array generations, tenants, fleet_gens;
	uint64_t next = first;
	PGresult *result;

	if (!plan->of[REGISTER])
		return 0;
	db_array_begin(&generations);
	db_array_begin(&tenants);
	db_array_begin(&fleet_gens);
	for (size_t i = 0; i < plan->count; i++)
		if (plan->steps[i].action == REGISTER) {
			k2k_tenant_id id = plan_id(plan, &plan->steps[i]);

			db_array_u64(&generations, next++);
			db_array_u64(&tenants, id);
			db_array_u64(&fleet_gens, definition_find(a, id)->fleet_gen);
		}
	result = link_call(a, "select k2k_fleet.plan_registrations($1, $2, $3, $4, $5)", 3,
	                   (const char *[]){ db_array_end(&generations), db_array_end(&tenants),
	                                     db_array_end(&fleet_gens) });
	db_array_free(&generations);
	db_array_free(&tenants);
	db_array_free(&fleet_gens);
	if (!result)
		return a->db.code;
	PQclear(result);
	next = first;
	for (size_t i = 0; i < plan->count; i++)
		if (plan->steps[i].action == REGISTER) {
			k2k_tenant_id id = plan_id(plan, &plan->steps[i]);

			registration_add(a,
			                 (struct registration){
						 .generation = next++,
						 .tenant = id,
						 .fleet_gen = definition_find(a, id)->fleet_gen });
		}
	return 0;
}

/* A tenant that leaves, to come back as another one, is left alone until then. */
static bool leaves(struct agent *a, const struct plan *plan, const struct step *s)
{
	const struct registration *r = s->action == UPDATE
	                                       ? registration_find(
							 a,
							 plan->now.rows[s->tenant].info.generation)
	                                       : NULL;

	return r && r->fleet_gen != definition_find(a, r->tenant)->fleet_gen;
}

static void carry_out_step(struct agent *a, const struct plan *plan, const struct document *d,
                           const struct step *s, uint64_t generation)
{
	int code = plan_carry_out_as(a->reg, plan, d, s, generation, clock_wall_ns());
	const struct k2k_error_detail *detail = k2k_error_detail();

	definition_fails(definition_find(a, s->entry->id), code,
	                 detail->code == code && detail->text[0] ? detail->text
	                                                         : k2k_strerror(code));
}

static int carry_out(struct agent *a, const struct plan *plan, const struct document *d,
                     uint64_t first)
{
	int code = link_batch_begin(a);
	k2k_tenant_id id;

	if (code)
		return code;
	code = link_check(a); /* in the batch: see chunks.c, 1 */
	if (!code)
		code = plan_free_names(a->reg, d, plan, &id);
	for (size_t i = 0; i < plan->count && !code; i++) {
		const struct step *s = &plan->steps[i];

		if (!leaves(a, plan, s))
			carry_out_step(a, plan, d, s, s->action == REGISTER ? first++ : 0);
	}
	link_batch_end(a);
	return code;
}

static void forget_problems(struct agent *a, const struct plan *plan)
{
	bool *planned = check_memory(calloc(a->definition_count + 1, sizeof(*planned)));

	for (size_t i = 0; i < plan->count; i++)
		planned[definition_find(a, plan_id(plan, &plan->steps[i])) - a->definitions] = true;
	for (size_t i = 0; i < a->definition_count; i++)
		if (a->definitions[i].doc && !planned[i])
			definition_fails(&a->definitions[i], 0, "");
	free(planned);
}

/* What was planned and didn't fit. */
static int drop_failed(struct agent *a, const struct plan *plan, uint64_t first)
{
	for (size_t i = 0; i < plan->count; i++) {
		const struct step *s = &plan->steps[i];
		int code;

		if (s->action != REGISTER)
			continue;
		code = definition_find(a, s->entry->id)->problem ? link_finish(a, first, NULL) : 0;
		if (code)
			return code;
		first++;
	}
	return 0;
}

/* As plan_make(), with the budgets over the fleet as what this host has drawn of them. */
static int make_plan(struct agent *a, struct document *d, struct plan *plan)
{
	size_t failures = a->ctl.failure_count;

	if (tenants_load_all(&a->ctl, a->reg, &plan->now) ||
	    a->ctl.failure_count > failures + plan->now.damaged)
		return K2K_EIO;
	chunks_into_document(a, &plan->now, d);
	plan_compare(d, false, plan);
	return 0;
}

static int converge_with(struct agent *a, struct document *d)
{
	struct plan plan = { .count = 0 };
	uint64_t first;
	int code = make_plan(a, d, &plan);

	if (!code)
		code = close_ended(a, &plan.now);
	if (!code)
		code = adopt_all(a, &plan.now);
	if (!code)
		code = leave(a);
	if (!code)
		code = close_ended(a, &plan.now);
	if (!code)
		code = k2k_registry_info(a->reg, &a->info);
	if (!code) {
		first = a->info.generation + 1;
		forget_problems(a, &plan);
		code = plan_registrations(a, &plan, first);
		if (!code && plan.count)
			code = carry_out(a, &plan, d, first);
		if (!code)
			code = drop_failed(a, &plan, first);
	}
	plan_free(&plan);
	return code;
}

int converge(struct agent *a)
{
	struct document document;
	uint64_t applied = a->have;
	int code = chunks_fetch(a);

	if (!code)
		code = read_wanted(a, &document);
	if (code)
		return code;
	a->leaving = false;
	code = converge_with(a, &document);
	document_free(&document);
	if (!code)
		code = chunks_fetch(a); /* of new registrations */
	if (code)
		return code;
	/* a tenant that still leaves: its definition is not in force */
	for (size_t i = 0; i < a->registration_count; i++) {
		const struct registration *r = &a->registrations[i];
		const struct definition *d = definition_find(a, r->tenant);

		if (r->leaving_since_ns && d && d->version <= applied)
			applied = d->version - 1;
	}
	a->applied = applied;
	a->changed = false;
	return report_problems(a);
}
