/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker_state.h"
#include "common/clock.h"

#include <stdlib.h>
#include <string.h>

enum { LOOK_MS = 1000, BACKOFF_FIRST_MS = 10, BACKOFF_LAST_MS = 1000 };

const char *broker_decision_name(enum broker_decision decision)
{
	static const char *const names[BROKER_DECISIONS] = {
		"DELIVERED",       "QUEUE_FULL", "NOT_FOUND", "FORWARDED", "ELSEWHERE",
		"TENANT_MISMATCH", "REJECTED",   "ADDED",     "MOVED",     "UPDATED",
		"REMOVED",         "RESERVED",   "COMMITTED", "CANCELLED", "REFUSED",
	};
	return names[decision];
}

const char *broker_reason_name(enum broker_reason reason)
{
	static const char *const names[BROKER_REASONS] = {
		NULL,
		"rate",
		"budget",
		"unknown_tenant",
		"kernels",
		"suspended",
		"unknown_kernel",
		"others_kernel",
		"kernels_full",
		"broker_full",
		"leases_full",
		"engagements_full",
		"reservation_exists",
		"unknown_reservation",
		"stale",
		"busy",
		"no_registry",
		"unspecified_tenant",
		"ledger_full",
		"tenant_gone",
		"error",
	};
	return names[reason];
}

enum broker_reason broker_reason_of(int code)
{
	switch (code) {
	case 0: return BROKER_REASON_NONE;
	case K2K_ERATE: return BROKER_RATE;
	case K2K_EBUDGET: return BROKER_BUDGET;
	case K2K_ENOTENANT: return BROKER_UNKNOWN_TENANT;
	case K2K_EKERNELS: return BROKER_KERNELS;
	case K2K_ESUSPENDED: return BROKER_SUSPENDED;
	case K2K_EFULL:
		return strcmp(k2k_error_detail()->object, "engagements") == 0
		               ? BROKER_ENGAGEMENTS_FULL
		               : BROKER_LEASES_FULL;
	case K2K_ESTALE: return BROKER_STALE;
	case K2K_EBUSY: return BROKER_BUSY;
	case K2K_EFENCED: return BROKER_NO_REGISTRY;
	case K2K_EUNBOOKED: return BROKER_LEDGER_FULL;
	case K2K_EGONE: return BROKER_TENANT_GONE;
	default: return BROKER_ERROR;
	}
}

enum broker_reason broker_kernel_reason(int code)
{
	switch (code) {
	case K2K_ENOKERNEL: return BROKER_UNKNOWN_KERNEL;
	case K2K_EEXIST:
	case K2K_ENOTHELD: return BROKER_OTHERS_KERNEL;
	case K2K_EFULL:
		if (strcmp(k2k_error_detail()->object, "kernels") == 0)
			return BROKER_KERNELS_FULL;
		break;
	default: break;
	}
	return broker_reason_of(code);
}

static uint64_t add_saturating(uint64_t a, uint64_t b)
{
	return a + b < a ? UINT64_MAX : a + b;
}

/* ---- the registry, which may be destroyed and created again -------------------------------- */

static uint64_t now_ms(void)
{
	return clock_monotonic_ns() / 1000000;
}

static int attach(struct broker *broker)
{
	struct k2k_open_options options = K2K_OPEN_OPTIONS_INIT;
	struct k2k_registry_info info = { .size = sizeof info };
	int code;

	options.flags = K2K_OPEN_TIMEOUT;
	options.timeout_ns = BROKER_TIMEOUT_NS;
	options.actor = "k2k-broker";
	code = k2k_registry_open(broker->name, K2K_ROLE_BROKER, &options, &broker->reg);
	if (!code)
		code = k2k_registry_info(broker->reg, &info);
	if (code)
		return code;
	memcpy(broker->uuid, info.uuid, sizeof broker->uuid);
	broker->opening++;
	broker->backoff_ms = BACKOFF_FIRST_MS;
	broker->next_ms = now_ms() + LOOK_MS;
	return k2k_registry_set_audit_sink(broker->reg, broker->sink, broker->sink_context);
}

int broker_kernel_enter(struct broker *broker, struct broker_kernel *kernel,
                        struct k2k_verdict *verdict)
{
	const struct k2k_kernel_address address = { { broker->way.number, 0 } };
	int code = k2k_kernel_add(broker->reg, kernel->name, kernel->tenant->id, kernel->tag,
	                          &address, verdict);

	if (code == 0)
		kernel->opening = broker->opening;
	return code;
}

static void kernel_enter_each(const void *node, VISIT visit, void *broker)
{
	if (visit == postorder || visit == leaf) /* each node once */
		broker_kernel_enter(broker, *(struct broker_kernel *const *)node, NULL);
}

/*
 * The registry was destroyed or replaced. The kernels stay and are entered in the new one. A kernel
 * that is refused, by a limit or because its tenant is not registered yet, tries again when it
 * sends or is sent to.
 */
static int attach_again(struct broker *broker)
{
	if (broker->reg) {
		k2k_registry_close(&broker->reg);
		broker->next_ms = 0;
	}
	if (now_ms() < broker->next_ms)
		return K2K_EFENCED;
	if (attach(broker)) {
		if (broker->reg)
			k2k_registry_close(&broker->reg);
		broker->next_ms = now_ms() + (uint64_t)broker->backoff_ms;
		broker->backoff_ms = broker->backoff_ms * 2 > BACKOFF_LAST_MS
		                             ? BACKOFF_LAST_MS
		                             : broker->backoff_ms * 2;
		return K2K_EFENCED;
	}
	twalk_r(broker->kernels, kernel_enter_each, broker);
	return 0;
}

int broker_tick(struct broker *broker)
{
	uint64_t now = now_ms();
	size_t count;

	if (now >= broker->next_ms) {
		if (broker->reg)
			broker->next_ms = now + LOOK_MS;
		if (!broker->reg || k2k_tenant_count(broker->reg, &count) == K2K_EFENCED)
			attach_again(broker);
		now = now_ms();
	}
	return now < broker->next_ms ? (int)(broker->next_ms - now) : 0;
}

int broker_open(struct broker **result, const char *registry)
{
	struct broker *broker = calloc(1, sizeof *broker);
	int code = K2K_ENOMEM;

	*result = NULL;
	if (broker && strlen(registry) < sizeof broker->name) {
		strcpy(broker->name, registry);
		code = attach(broker);
	} else if (broker) {
		code = K2K_EINVAL;
	}
	if (code)
		broker_close(&broker);
	*result = broker;
	return code;
}

static void kernel_free(void *kernel)
{
	LIST_REMOVE((struct broker_kernel *)kernel, of_inbox);
	free(kernel);
}

void broker_close(struct broker **broker)
{
	if (!*broker)
		return;
	if ((*broker)->reg)
		/* gives all names and slots back, and ends all reservations */
		k2k_registry_close(&(*broker)->reg);
	broker_reservations_free(*broker);
	tdestroy((*broker)->kernels, kernel_free);
	tdestroy((*broker)->tenants, free);
	free(*broker);
	*broker = NULL;
}

int broker_set_audit_sink(struct broker *broker, k2k_audit_sink sink, void *context)
{
	broker->sink = sink;
	broker->sink_context = context;
	return broker->reg ? k2k_registry_set_audit_sink(broker->reg, sink, context) : 0;
}

/* ---- kernels and tenants -------------------------------------------------------- */

static int compare_kernels(const void *a, const void *b)
{
	return strcmp(((const struct broker_kernel *)a)->name,
	              ((const struct broker_kernel *)b)->name);
}

static int compare_name(const void *name, const void *kernel)
{
	return strcmp(name, ((const struct broker_kernel *)kernel)->name);
}

static int compare_tenants(const void *a, const void *b)
{
	k2k_tenant_id x = ((const struct broker_tenant *)a)->id,
		      y = ((const struct broker_tenant *)b)->id;

	return (x > y) - (x < y);
}

struct broker_kernel *broker_kernel_find(const struct broker *broker, const char *name)
{
	void *node = tfind(name, &broker->kernels, compare_name);

	return node ? *(struct broker_kernel **)node : NULL;
}

struct broker_tenant *broker_tenant_find(struct broker *broker, k2k_tenant_id id)
{
	struct broker_tenant key = { .id = id }, *tenant;
	void *node = tfind(&key, &broker->tenants, compare_tenants);

	if (node)
		return *(struct broker_tenant **)node;
	tenant = calloc(1, sizeof *tenant);
	if (tenant) {
		tenant->id = id;
		if (!tsearch(tenant, &broker->tenants, compare_tenants)) {
			free(tenant);
			tenant = NULL;
		}
	}
	return tenant;
}

static void count_kernel(struct broker *broker, struct broker_tenant *tenant, uint64_t change)
{
	broker->counts.kernels += change;
	tenant->counts.kernels += change;
}

/* An error needs no handling: then name and slot have ended already. */
static void leave_directory(struct broker *broker, struct broker_kernel *kernel)
{
	if (broker->reg && kernel->opening == broker->opening)
		k2k_kernel_remove(broker->reg, kernel->name);
}

static void kernel_forget(struct broker *broker, struct broker_kernel *kernel)
{
	tdelete(kernel, &broker->kernels, compare_kernels);
	kernel_free(kernel);
}

static void kernel_remove(struct broker *broker, struct broker_kernel *kernel)
{
	leave_directory(broker, kernel);
	count_kernel(broker, kernel->tenant, (uint64_t)-1);
	kernel_forget(broker, kernel);
}

static struct broker_kernel *kernel_make(struct broker *broker, struct broker_inbox *inbox,
                                         const char *name)
{
	size_t size = strlen(name) + 1;
	struct broker_kernel *kernel = calloc(1, sizeof *kernel + size);

	if (!kernel)
		return NULL;
	memcpy(kernel->name, name, size);
	if (!tsearch(kernel, &broker->kernels, compare_kernels)) {
		free(kernel);
		return NULL;
	}
	kernel->inbox = inbox;
	LIST_INSERT_HEAD(&inbox->kernels, kernel, of_inbox);
	return kernel;
}

void broker_refuse(struct broker_answer *answer, enum broker_decision decision,
                   enum broker_reason reason, int code)
{
	answer->decision = decision;
	answer->reason = reason;
	answer->code = code;
}

/* Why the inbox may not have a kernel of that name. */
static enum broker_reason may_add(const struct broker *broker, const struct broker_inbox *inbox,
                                  const struct broker_kernel *kernel)
{
	if (kernel && kernel->inbox != inbox)
		return BROKER_OTHERS_KERNEL;
	if (!kernel && broker->counts.kernels >= BROKER_KERNELS_MAX)
		return BROKER_BROKER_FULL;
	return BROKER_REASON_NONE;
}

static void add(struct broker *broker, struct broker_inbox *inbox,
                const struct broker_request *request, struct broker_answer *answer)
{
	const struct k2k_kernel_address address = { { broker->way.number, 0 } };
	struct broker_kernel *kernel = broker_kernel_find(broker, request->name);
	enum broker_reason reason = may_add(broker, inbox, kernel);
	struct broker_tenant *tenant;
	int code;

	answer->tenant = request->tenant;
	answer->tag = request->tag;
	if (reason)
		return broker_refuse(answer, BROKER_REFUSED, reason, 0);
	if (!broker->reg)
		return broker_refuse(answer, BROKER_REFUSED, BROKER_NO_REGISTRY, K2K_EFENCED);
	code = k2k_kernel_add(broker->reg, request->name, request->tenant, request->tag, &address,
	                      &answer->verdict);
	/* of a kernel that keeps its slot it has nothing to say */
	answer->has_verdict = code == K2K_EKERNELS || (code == 0 && answer->verdict.used > 0);
	if (code)
		/* a kernel that moves stays what it was */
		return broker_refuse(answer, BROKER_REFUSED, broker_kernel_reason(code), code);
	tenant = broker_tenant_find(broker, request->tenant);
	answer->decision = !kernel                    ? BROKER_ADDED
	                   : kernel->tenant == tenant ? BROKER_UPDATED
	                                              : BROKER_MOVED;
	if (kernel)
		count_kernel(broker, kernel->tenant, (uint64_t)-1);
	else if (tenant)
		kernel = kernel_make(broker, inbox, request->name);
	if (!tenant || !kernel) {
		k2k_kernel_remove(broker->reg, request->name);
		if (kernel)
			kernel_forget(broker, kernel);
		return broker_refuse(answer, BROKER_REFUSED, BROKER_ERROR, K2K_ENOMEM);
	}
	kernel->tenant = tenant;
	kernel->tag = request->tag;
	kernel->opening = broker->opening;
	count_kernel(broker, tenant, 1);
}

static void remove_named(struct broker *broker, struct broker_inbox *inbox,
                         const struct broker_request *request, struct broker_answer *answer)
{
	struct broker_kernel *kernel = broker_kernel_find(broker, request->name);

	if (!kernel)
		return broker_refuse(answer, BROKER_REFUSED, BROKER_UNKNOWN_KERNEL, 0);
	if (kernel->inbox != inbox)
		return broker_refuse(answer, BROKER_REFUSED, BROKER_OTHERS_KERNEL, 0);
	answer->decision = BROKER_REMOVED;
	answer->tenant = kernel->tenant->id;
	answer->tag = kernel->tag;
	kernel_remove(broker, kernel);
}

void broker_leave(struct broker *broker, struct broker_inbox *inbox)
{
	struct broker_kernel *kernel;

	while ((kernel = LIST_FIRST(&inbox->kernels)))
		kernel_remove(broker, kernel);
}

/* ---- one request -------------------------------------------------------------------- */

static int is_of_reservation(const struct broker_request *request)
{
	return request->operation == BROKER_RESERVE || request->operation == BROKER_COMMIT ||
	       request->operation == BROKER_CANCEL;
}

static void count(struct broker_counts *counts, const struct broker_request *request,
                  const struct broker_answer *answer)
{
	counts->decisions[answer->decision]++;
	if (answer->shadow)
		counts->shadow[answer->shadow]++;
	if (answer->decision == BROKER_REFUSED && is_of_reservation(request))
		counts->reservations_refused[answer->reason]++;
	else if (answer->decision == BROKER_REFUSED)
		counts->refused[answer->reason]++;
	counts->gpu_ns_booked = add_saturating(counts->gpu_ns_booked, answer->booked_ns);
	if (answer->unbooked) {
		counts->unbooked++;
		counts->gpu_ns_unbooked = add_saturating(counts->gpu_ns_unbooked, request->gpu_ns);
	}
	if (request->operation != BROKER_SEND)
		return;
	counts->sends++;
	if (answer->decision == BROKER_REJECTED)
		counts->rejected[answer->reason]++;
	else if (answer->decision != BROKER_TENANT_MISMATCH)
		counts->admitted++;
}

static void decide(struct broker *broker, struct broker_inbox *inbox,
                   const struct broker_request *request, struct broker_answer *answer)
{
	*answer = (struct broker_answer){ .verdict = K2K_VERDICT_INIT };
	if (request->operation == BROKER_SEND)
		broker_message(broker, inbox, request, answer);
	else if (request->operation == BROKER_ADD)
		add(broker, inbox, request, answer);
	else if (request->operation == BROKER_RESERVE)
		broker_reserve(broker, inbox->holder, request, answer);
	else if (is_of_reservation(request))
		broker_end_reservation(broker, inbox->holder, request, answer);
	else
		remove_named(broker, inbox, request, answer);
	if (answer->has_verdict)
		answer->shadow = broker_reason_of(answer->verdict.shadow_code);
}

void broker_decide(struct broker *broker, struct broker_inbox *inbox,
                   const struct broker_request *request, struct broker_answer *answer)
{
	struct broker_tenant key, **tenant;

	decide(broker, inbox, request, answer);
	/* the registry is gone, and nothing was done: try the new one, if there is one */
	if (answer->code == K2K_EFENCED && !answer->unbooked &&
	    (attach_again(broker) == 0 || request->operation == BROKER_SEND))
		decide(broker, inbox, request, answer);
	count(&broker->counts, request, answer);
	key.id = answer->tenant;
	tenant = tfind(&key, &broker->tenants, compare_tenants);
	if (tenant)
		count(&(*tenant)->counts, request, answer);
}

void broker_set_way(struct broker *broker, const struct broker_way *way)
{
	broker->way = *way;
}

const struct broker_counts *broker_counts(const struct broker *broker)
{
	return &broker->counts;
}

struct each {
	void (*call)(const struct broker_tenant *tenant, void *context);
	void *context;
};

static void visit_tenant(const void *node, VISIT visit, void *closure)
{
	const struct each *each = closure;

	/* twalk(3) calls the visit in sorted order "postorder" */
	if (visit == postorder || visit == leaf)
		each->call(*(const struct broker_tenant *const *)node, each->context);
}

void broker_tenants(const struct broker *broker,
                    void (*call)(const struct broker_tenant *tenant, void *context), void *context)
{
	struct each each = { call, context };

	twalk_r(broker->tenants, visit_tenant, &each);
}
