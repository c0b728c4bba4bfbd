/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages: from a kernel of this broker, and to one of them from another broker. */
#include "broker_state.h"

#include <string.h>

/* ---- from a kernel of this broker ------------------------------------------------------- */

/* A name and its slot end with their registry; the kernel stays. */
static int enter_if_missing(struct broker *broker, struct broker_kernel *kernel,
                            struct k2k_verdict *verdict)
{
	return kernel && kernel->opening != broker->opening
	               ? broker_kernel_enter(broker, kernel, verdict)
	               : 0;
}

/*
 * Has the library decide. If a kernel of this broker is of an earlier registration of its tenant,
 * it is entered again, once for each of the two.
 */
static int route(struct broker *broker, const struct broker_request *request,
                 struct broker_kernel *source, struct broker_kernel *destination,
                 struct k2k_route *found, struct k2k_verdict *verdict)
{
	struct k2k_verdict unused = K2K_VERDICT_INIT;
	int code = enter_if_missing(broker, source, verdict);

	if (code)
		return code;
	/* if that is refused, nobody can be sent to by this name */
	enter_if_missing(broker, destination, &unused);
	for (int tries = 0;; tries++) {
		struct broker_kernel *stale;
		int entered;

		*found = (struct k2k_route)K2K_ROUTE_INIT;
		code = k2k_message_route(broker->reg, request->name, request->to, request->tag, 1,
		                         found, verdict);
		if (code != K2K_ESTALE || tries == 2)
			return code;
		stale = found->flags & K2K_ROUTE_DESTINATION_STALE ? destination : source;
		if (!stale)
			return code;
		entered = broker_kernel_enter(broker, stale, stale == source ? verdict : &unused);
		if (entered)
			return stale == source ? entered : code;
	}
}

/* Books the GPU time of an admitted message. */
static void book(struct broker *broker, uint64_t gpu_ns, struct broker_answer *answer)
{
	int code;

	if (gpu_ns == 0)
		return;
	if (answer->tenant == K2K_TENANT_UNSPECIFIED) {
		answer->unbooked = BROKER_UNSPECIFIED_TENANT;
		return;
	}
	code = k2k_usage_track(broker->reg, answer->tenant, answer->tag, gpu_ns);
	answer->unbooked = code == K2K_ENOTENANT ? BROKER_TENANT_GONE : broker_reason_of(code);
	if (code == 0)
		answer->booked_ns = gpu_ns;
	else
		answer->code = code;
}

static enum broker_decision hand_over(struct broker *broker, struct broker_kernel *destination,
                                      const struct k2k_route *found,
                                      const struct broker_message *message)
{
	struct broker_admission admission = { .generation = found->generation };

	if (!(found->flags & K2K_ROUTE_DESTINATION))
		return BROKER_NOT_FOUND;
	/* a name has one owner, and it is this broker if it has entered it */
	if (destination && destination->opening == broker->opening)
		return destination->inbox->deliver(destination->inbox, message) == 0
		               ? BROKER_DELIVERED
		               : BROKER_QUEUE_FULL;
	if (!broker->way.forward || !found->address.words[0])
		return BROKER_ELSEWHERE;
	memcpy(admission.registry, broker->uuid, sizeof admission.registry);
	return broker->way.forward(broker->way.context, found->address.words[0], &admission,
	                           message);
}

/* Nobody can be asked whose the kernels are. Those of tenant 0 here are not limited anyway. */
static void message_without_registry(const struct broker_request *request,
                                     const struct broker_kernel *destination,
                                     struct broker_answer *answer)
{
	const struct broker_message message = { request->name, request->to, answer->tenant,
		                                answer->tag, request->gpu_ns };

	if (answer->tenant != K2K_TENANT_UNSPECIFIED ||
	    (destination && destination->tenant->id != K2K_TENANT_UNSPECIFIED))
		return broker_refuse(answer, BROKER_REJECTED, BROKER_NO_REGISTRY, K2K_EFENCED);
	answer->unbooked = request->gpu_ns ? BROKER_UNSPECIFIED_TENANT : BROKER_REASON_NONE;
	answer->decision = !destination ? BROKER_NOT_FOUND
	                   : destination->inbox->deliver(destination->inbox, &message) == 0
	                           ? BROKER_DELIVERED
	                           : BROKER_QUEUE_FULL;
}

void broker_message(struct broker *broker, struct broker_inbox *inbox,
                    const struct broker_request *request, struct broker_answer *answer)
{
	struct broker_kernel *source = broker_kernel_find(broker, request->name);
	struct broker_kernel *destination = broker_kernel_find(broker, request->to);
	struct broker_message message = {
		request->name, request->to, 0, { 0, 0 }, request->gpu_ns
	};
	struct k2k_route found;
	int code;

	answer->tenant = source ? source->tenant->id : K2K_TENANT_UNSPECIFIED;
	answer->tag = request->tag;
	if (source && source->inbox != inbox)
		return broker_refuse(answer, BROKER_REJECTED, BROKER_OTHERS_KERNEL, 0);
	if (source && request->tag.org_id == 0 && request->tag.engagement_id == 0)
		answer->tag = source->tag;
	if (!broker->reg)
		return message_without_registry(request, destination, answer);
	code = route(broker, request, source, destination, &found, &answer->verdict);
	answer->has_verdict = answer->tenant != K2K_TENANT_UNSPECIFIED &&
	                      (code == 0 || code == K2K_ERATE || code == K2K_EBUDGET ||
	                       code == K2K_EKERNELS);
	if (code == K2K_ECROSSTENANT) {
		answer->to_tenant = found.to_tenant;
		return broker_refuse(answer, BROKER_TENANT_MISMATCH, BROKER_REASON_NONE, 0);
	}
	if (code)
		return broker_refuse(answer, BROKER_REJECTED, broker_kernel_reason(code), code);
	message.tenant = found.tenant;
	message.tag = found.tag;
	answer->broker = found.broker;
	answer->decision = hand_over(broker, destination, &found, &message);
	book(broker, request->gpu_ns, answer);
}

/* ---- from another broker ------------------------------------------------------------------ */

/* Is the source another broker's than the one that sent this? It may have been removed since. */
static int is_forged(struct broker *broker, uint64_t number, const char *from)
{
	struct k2k_kernel_info info = K2K_KERNEL_INFO_INIT;
	int code = k2k_kernel_find(broker->reg, from, &info);

	return code != K2K_ENOKERNEL && (code || info.address.words[0] != number);
}

static enum broker_receipt receive(struct broker *broker, uint64_t number,
                                   const struct broker_admission *admission,
                                   const struct broker_message *message)
{
	struct broker_kernel *kernel = broker_kernel_find(broker, message->to);
	struct k2k_kernel_info info = K2K_KERNEL_INFO_INIT;

	if (!kernel || kernel->opening != broker->opening || !broker->reg ||
	    k2k_kernel_find(broker->reg, message->to, &info))
		return BROKER_RECEIVED_NOT_FOUND;
	if (is_forged(broker, number, message->from))
		return BROKER_RECEIVED_REFUSED;
	if (memcmp(broker->uuid, admission->registry, sizeof broker->uuid) != 0)
		return BROKER_RECEIVED_MISMATCH;
	if (info.generation != admission->generation) {
		if (!(info.flags & K2K_KERNEL_STALE) && info.id != message->tenant)
			k2k_audit_cross_tenant(broker->reg, message->tenant, info.id, message->from,
			                       message->to, message->tag);
		return BROKER_RECEIVED_MISMATCH;
	}
	return kernel->inbox->deliver(kernel->inbox, message) == 0 ? BROKER_RECEIVED
	                                                           : BROKER_RECEIVED_QUEUE_FULL;
}

enum broker_receipt broker_receive(struct broker *broker, uint64_t number,
                                   const struct broker_admission *admission,
                                   const struct broker_message *message)
{
	enum broker_receipt receipt = receive(broker, number, admission, message);

	broker->counts.received[receipt]++;
	return receipt;
}
