/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * route.c (F7) - the decision about a message from one kernel to another.
 *
 * It stores nothing before it counts: a call that is killed has counted or not. Who the two kernels
 * belong to is decided by generations, which are never given twice, so a tenant that is registered
 * again in the middle of a call is another one. An error in a look-up refuses.
 */
#include <string.h>

#include "admission.h"
#include "kernel.h"
#include "tenant.h"

#define TRIES 1000 /* each repetition means that a kernel has moved meanwhile */

struct routing {
	struct k2k_registry *reg;
	struct k2k_kernel_name from, to;
	bool has_source, has_destination; /* found */
	struct k2k_kernel_copy source, destination;
};

/* Finds a LIVE kernel. *found is false, or its owner was alive within the last second. */
static int look(struct k2k_registry *reg, const struct k2k_kernel_name *name,
                struct k2k_kernel_copy *copy, bool *found)
{
	int code = k2k_kernel_look(&reg->map, name, copy);

	*found = code == 0 && k2k_kernel_state(copy->word) == K2K_KERNEL_LIVE &&
	         k2k_kernel_seems_alive(&reg->map, &reg->liveness, copy);
	return code == K2K_HASH_ABSENT ? 0 : code;
}

/*
 * Finds both as they were at one moment, if both are there. What is absent was so at a moment of
 * the call.
 */
static int look_at_both(struct routing *r)
{
	struct k2k_registry *reg = r->reg;
	int code;

	for (int tries = 0; tries < TRIES; tries++) {
		code = look(reg, &r->from, &r->source, &r->has_source);
		if (code)
			return code;
		if (!r->has_source && (reg->defs.header.incompatible & K2K_FEATURE_STRICT))
			return K2K_ENOKERNEL;
		if (r->has_source && r->source.incarnation != reg->broker.incarnation)
			return K2K_ENOTHELD;
		K2K_DELAY(route_source);
		code = look(reg, &r->to, &r->destination, &r->has_destination);
		if (code)
			return code;
		if (!r->has_source || k2k_kernel_is_still(&reg->map, &r->source))
			return 0;
	}
	return k2k_fail(K2K_EBUSY, "kernels", "word",
	                "the sender moved during %d looks at the receiver", TRIES);
}

/*
 * Are both still what was found? Asks the kernel whether the receiver's owner lives: if not, nobody
 * has the name.
 */
static bool is_certain(struct routing *r)
{
	struct k2k_registry *reg = r->reg;

	/* here, not by another look: that believes the owner's slot until the death is reported */
	if (!k2k_liveness_alive(&reg->liveness, r->destination.incarnation))
		r->has_destination = false;
	return (!r->has_destination || k2k_kernel_is_still(&reg->map, &r->destination)) &&
	       (!r->has_source || k2k_kernel_is_still(&reg->map, &r->source));
}

/* The tenant's id. False: the registration is over. */
static bool id_of(const struct k2k_map *map, const struct k2k_kernel_copy *copy, k2k_tenant_id *id)
{
	*id = K2K_TENANT_UNSPECIFIED;
	return copy->of.generation == 0 ||
	       k2k_tenant_id_at(map, copy->of.slot, copy->of.generation, id);
}

/*
 * In a read section. 0: the message stays within one registration, or its receiver is not there.
 * K2K_ECROSSTENANT: not counted yet. K2K_ESTALE and the errors of the call.
 */
static int decide(struct routing *r, struct k2k_route *route)
{
	const struct k2k_map *map = &r->reg->map;
	int code;

	do {
		code = look_at_both(r);
		if (code)
			return code;
		if (!r->has_source)
			memset(&r->source, 0, sizeof(r->source)); /* tenant 0 */
	} while (r->has_destination && r->source.of.generation != r->destination.of.generation &&
	         !is_certain(r));
	route->flags = (r->has_source ? K2K_ROUTE_SOURCE : 0) |
	               (r->has_destination ? K2K_ROUTE_DESTINATION : 0);
	route->generation = r->source.of.generation;
	if (!id_of(map, &r->source, &route->tenant))
		return K2K_ESTALE;
	route->to_tenant = route->tenant;
	if (!r->has_destination)
		return 0;
	if (!id_of(map, &r->destination, &route->to_tenant)) {
		if (r->source.of.generation != r->destination.of.generation)
			route->flags |= K2K_ROUTE_DESTINATION_STALE;
		return K2K_ESTALE;
	}
	route->address = r->destination.of.address;
	route->incarnation = r->destination.incarnation;
	route->broker = r->destination.broker;
	return r->source.of.generation == r->destination.of.generation ? 0 : K2K_ECROSSTENANT;
}

static struct k2k_audit_tag effective(struct k2k_audit_tag tag, const struct routing *r)
{
	return tag.org_id == 0 && tag.engagement_id == 0 ? r->source.of.tag : tag;
}

static void give_verdict(int code, uint64_t limit, struct k2k_verdict *verdict)
{
	struct k2k_verdict mine = K2K_VERDICT_INIT;

	if (!verdict)
		return;
	mine.code = code;
	mine.limit = mine.remaining = limit;
	mine.retry_after_ns = code ? K2K_NEVER_NS : 0;
	K2K_GIVE_STRUCT(verdict, &mine);
}

/* Counts and audits an attempt, or admits. */
static int carry_out(struct routing *r, int code, const char *from, const char *to, uint64_t n,
                     const struct k2k_route *route, struct k2k_verdict *verdict)
{
	const struct k2k_registration_of of = { r->source.of.slot, r->source.of.generation };

	if (code == K2K_ECROSSTENANT) {
		int failed = k2k_audit_cross_tenant(r->reg, route->tenant, route->to_tenant, from,
		                                    to, route->tag);

		give_verdict(code, 0, verdict);
		return failed ? failed : code;
	}
	if (code || of.generation == 0) {
		give_verdict(code, code ? 0 : K2K_UNLIMITED, verdict);
		return code;
	}
	return k2k_admit_registration(r->reg, &of, route->tag, n, verdict);
}

static int check_arguments(struct k2k_registry *reg, const char *from, const char *to, uint64_t n,
                           struct k2k_route *route, struct k2k_verdict *verdict)
{
	int code;

	if (!reg)
		return k2k_fail_argument("registry", "null");
	if (!from)
		return k2k_fail_argument("from", "null");
	if (!to)
		return k2k_fail_argument("to", "null");
	if (n == 0 || n > K2K_ADMIT_MAX)
		return k2k_fail_argument("n", "not from 1 to 2^32");
	code = K2K_CHECK_STRUCT(route, K2K_ROUTE_SOURCE | K2K_ROUTE_DESTINATION |
	                                       K2K_ROUTE_DESTINATION_STALE);
	return code || !verdict ? code : K2K_CHECK_STRUCT(verdict, 0);
}

int k2k_message_route(struct k2k_registry *reg, const char *from, const char *to,
                      struct k2k_audit_tag tag, uint64_t n, struct k2k_route *route,
                      struct k2k_verdict *verdict)
{
	K2K_UNCANCELLED;
	struct k2k_route mine = K2K_ROUTE_INIT;
	struct routing r = { .reg = reg };
	int code = check_arguments(reg, from, to, n, route, verdict);

	if (!code)
		code = k2k_enter(reg, K2K_GATE_BROKER);
	if (code)
		return code;
	if (!k2k_kernel_name(&reg->map, from, &r.from))
		code = k2k_fail_argument("from", "not 1 to 63 bytes");
	else if (!k2k_kernel_name(&reg->map, to, &r.to))
		code = k2k_fail_argument("to", "not 1 to 63 bytes");
	else
		code = decide(&r, &mine);
	k2k_read_unlock();
	if (code && code != K2K_ECROSSTENANT && code != K2K_ESTALE) {
		give_verdict(code, 0, verdict);
		return code;
	}
	mine.tag = effective(tag, &r);
	code = carry_out(&r, code, from, to, n, &mine, verdict);
	K2K_GIVE_STRUCT(route, &mine);
	return code;
}
