/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* brokers: who is attached, and who holds up a grace period; leases: which broker holds what */
#include "brokers.h"
#include "commands.h"
#include "output.h"
#include "common/json.h"
#include "common/printable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *broker_state_name(uint32_t state)
{
	switch (state) {
	case K2K_BROKER_ACTIVE: return "active";
	case K2K_BROKER_STOPPED: return "stopped";
	case K2K_BROKER_DEAD: return "dead";
	}
	return "unknown";
}

static int compare_slots(const void *a, const void *b)
{
	const struct k2k_broker_info *x = a, *y = b;

	return (x->slot > y->slot) - (x->slot < y->slot);
}

static void broker_values(const struct k2k_broker_info *b, char comm[sizeof(b->comm) + 1],
                          struct value values[COL_BROKER_COUNT])
{
	const struct value all[COL_BROKER_COUNT] = {
		[COL_BROKER_SLOT] = NUMBER(b->slot),
		[COL_BROKER_PID] = NUMBER(b->pid),
		[COL_BROKER_COMMAND] = TEXT(comm),
		[COL_BROKER_STATE] = TEXT(broker_state_name(b->state)),
		[COL_BROKER_INCARNATION] = NUMBER(b->incarnation),
		[COL_BROKER_KERNELS] = NUMBER(b->kernels),
		[COL_BROKER_MEMORY] = NUMBER(b->gpu_memory_bytes),
		[COL_BROKER_BEHIND] = NUMBER(b->grace_behind),
		[COL_BROKER_SINCE] = NUMBER(b->attached_at_ns),
	};

	printable_copy(comm, sizeof(b->comm) + 1, b->comm, sizeof(b->comm));
	memcpy(values, all, sizeof(all));
	if (b->state == K2K_BROKER_STOPPED)
		values[COL_BROKER_STATE].color = "red";
	if (b->grace_behind && b->state != K2K_BROKER_DEAD)
		values[COL_BROKER_BEHIND].color = "red";
}

void brokers_print(struct ctl *ctl, const struct k2k_broker_info *brokers, size_t count)
{
	struct list list;

	list_begin(&list, ctl, &brokers_table, NULL);
	for (size_t i = 0; i < count; i++) {
		char comm[sizeof(brokers->comm) + 1];
		struct value values[COL_BROKER_COUNT];

		broker_values(&brokers[i], comm, values);
		list_row(&list, values);
	}
	list_end(&list);
}

json_object *brokers_json(const struct k2k_broker_info *brokers, size_t count)
{
	json_object *array = json_new_list();

	for (size_t i = 0; i < count; i++) {
		char comm[sizeof(brokers->comm) + 1];
		struct value values[COL_BROKER_COUNT];

		broker_values(&brokers[i], comm, values);
		json_append_row(array, brokers_table.fields, values, COL_BROKER_COUNT);
	}
	return array;
}

int cmd_brokers(struct ctl *ctl)
{
	struct k2k_broker_info *brokers;
	struct k2k_registry *reg;
	size_t count;
	int code, exit_code = open_registry(ctl, K2K_ROLE_OBSERVER, &reg);

	if (exit_code)
		return exit_code;
	code = fetch_list(reg, LIST_BROKERS, 0, (void **)&brokers, &count);
	k2k_registry_close(&reg);
	if (code)
		return fail(ctl, code, "registry '%s'", ctl->registry);
	qsort(brokers, count, sizeof(*brokers), compare_slots);
	brokers_print(ctl, brokers, count);
	free(brokers);
	return EXIT_DONE;
}

static int compare_leases(const void *a, const void *b)
{
	const struct k2k_lease_info *x = a, *y = b;

	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	if (x->slot != y->slot)
		return x->slot < y->slot ? -1 : 1;
	/* what is reserved comes after what is held */
	if (!x->reserved_ns != !y->reserved_ns)
		return x->reserved_ns ? 1 : -1;
	return (x->engagement_id > y->engagement_id) - (x->engagement_id < y->engagement_id);
}

/* By tenant and broker, as leases are. */
static int compare_names(const void *a, const void *b)
{
	const struct k2k_kernel_info *x = a, *y = b;

	if (x->generation != y->generation)
		return x->generation < y->generation ? -1 : 1;
	if (x->broker != y->broker)
		return x->broker < y->broker ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* The kernels of one lease: "a, b and 7 more"; and all of them as JSON. */
struct names {
	char text[100];
	json_object *json;
};

static void collect_names(struct names *names, const struct k2k_kernel_info *kernels, size_t count)
{
	size_t used = 0, left = count;

	*names = (struct names){ .json = json_new_list() };
	for (size_t i = 0; i < count; i++) {
		char name[PRINTABLE_KERNEL];

		printable_escape(name, sizeof(name), kernels[i].name, sizeof(kernels[i].name));
		json_append(names->json, check_memory(json_object_new_string(name)));
		if (left < count - i || used + strlen(name) + sizeof(", ") > 64)
			continue;
		used += (size_t)snprintf(names->text + used, sizeof(names->text) - used, "%s%s",
		                         i ? ", " : "", name);
		left--;
	}
	if (left)
		snprintf(names->text + used, sizeof(names->text) - used, "%s%zu%s",
		         used ? " and " : "", left, used ? " more" : " names");
}

/* Of all kernels in the order of compare_names(), those that the lease holds slots for. */
static const struct k2k_kernel_info *names_of(const struct k2k_lease_info *lease,
                                              const struct k2k_kernel_info *kernels, size_t count,
                                              size_t *found)
{
	const struct k2k_kernel_info least = { .generation = lease->generation,
		                               .broker = lease->slot };
	size_t from = 0, to = count;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (compare_names(&kernels[middle], &least) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	*found = 0;
	while (lease->kernels && from + *found < count &&
	       kernels[from + *found].generation == lease->generation &&
	       kernels[from + *found].broker == lease->slot)
		++*found;
	return kernels + from;
}

static void print_leases(struct ctl *ctl, const struct k2k_lease_info *leases, size_t count,
                         const struct k2k_kernel_info *kernels, size_t kernel_count)
{
	struct list list;

	list_begin(&list, ctl, &leases_table, NULL);
	for (size_t i = 0; i < count; i++) {
		const struct value engagement = { .number = leases[i].engagement_id,
			                          .none = !leases[i].reserved_ns };
		size_t found;
		const struct k2k_kernel_info *own = names_of(&leases[i], kernels, kernel_count,
		                                             &found);
		struct names names;

		collect_names(&names, own, found);
		list_row(&list, (const struct value[COL_LEASE_COUNT]){
					[COL_LEASE_TENANT] = NUMBER(leases[i].id),
					[COL_LEASE_SLOT] = NUMBER(leases[i].slot),
					[COL_LEASE_PID] = NUMBER(leases[i].pid),
					[COL_LEASE_KERNELS] = NUMBER(leases[i].kernels),
					[COL_LEASE_MEMORY] = NUMBER(leases[i].gpu_memory_bytes),
					[COL_LEASE_ENGAGEMENT] = engagement,
					[COL_LEASE_RESERVED] = NUMBER(leases[i].reserved_ns),
					[COL_LEASE_NAMES] = { .json = names.json },
					[COL_LEASE_NAMES_SHOWN] = TEXT(names.text),
				});
		json_object_put(names.json);
	}
	list_end(&list);
}

int cmd_leases(struct ctl *ctl)
{
	struct k2k_lease_info *leases;
	struct k2k_kernel_info *kernels;
	size_t count, kernel_count, kept = 0;
	int exit_code = fetch_filtered(ctl, LIST_LEASES, (void **)&leases, &count);

	if (exit_code)
		return exit_code;
	exit_code = fetch_filtered(ctl, LIST_KERNELS, (void **)&kernels, &kernel_count);
	if (exit_code) {
		free(leases);
		return exit_code;
	}
	qsort(leases, count, sizeof(*leases), compare_leases);
	qsort(kernels, kernel_count, sizeof(*kernels), compare_names);
	for (size_t i = 0; i < count; i++) {
		if (leases[i].flags & K2K_TENANT_DAMAGED)
			fail_with(ctl, K2K_ECORRUPT,
			          "tenant %" PRIu64 ": the list of its leases is corrupt; what it "
			          "holds is unknown until '" CTL_NAME " -r %s repair'",
			          leases[i].id, ctl->registry);
		else
			leases[kept++] = leases[i];
	}
	print_leases(ctl, leases, kept, kernels, kernel_count);
	free(kernels);
	free(leases);
	return kept < count ? EXIT_PARTLY : EXIT_DONE;
}
