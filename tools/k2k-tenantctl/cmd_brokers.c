/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* brokers: who is attached, and who holds up a grace period. leases: who holds what. */
#include "brokers.h"
#include "commands.h"
#include "output.h"
#include "common/printable.h"

#include <json-c/json.h>
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

static const struct field broker_fields[] = {
	{ "slot", "SLOT", KIND_COUNT, 0 },
	{ "pid", "PID", KIND_COUNT, 0 },
	{ "comm", "COMMAND", KIND_TEXT, 0 },
	{ "state", "STATE", KIND_TEXT, 0 },
	{ "incarnation", NULL, KIND_ID, 0 },
	{ NULL, "GRACE-BEHIND", KIND_TOTAL, FIELD_SPARE },
	{ "kernels", "KERNELS", KIND_COUNT, FIELD_SPARE },
	{ "gpu_memory_bytes", "GPU-MEMORY", KIND_BYTES, FIELD_SPARE },
	{ "grace_behind", NULL, KIND_TOTAL, 0 },
	{ "attached_at_ns", "SINCE", KIND_TIME, FIELD_SPARE },
	{ NULL, "INCARNATION", KIND_ID, FIELD_SPARE },
};
#define BROKER_FIELDS (sizeof(broker_fields) / sizeof(broker_fields[0]))

static void broker_values(const struct k2k_broker_info *b, char comm[sizeof(b->comm) + 1],
                          struct value values[BROKER_FIELDS])
{
	const struct value all[BROKER_FIELDS] = {
		NUMBER(b->slot),
		NUMBER(b->pid),
		TEXT(comm),
		TEXT(broker_state_name(b->state)),
		NUMBER(b->incarnation),
		NUMBER(b->grace_behind),
		NUMBER(b->kernels),
		NUMBER(b->gpu_memory_bytes),
		NUMBER(b->grace_behind),
		NUMBER(b->attached_at_ns),
		NUMBER(b->incarnation),
	};

	printable_copy(comm, sizeof(b->comm) + 1, b->comm, sizeof(b->comm));
	memcpy(values, all, sizeof(all));
	if (b->state == K2K_BROKER_STOPPED)
		values[3].color = "red";
	if (b->grace_behind && b->state != K2K_BROKER_DEAD)
		values[5].color = "red";
}

void brokers_print(struct ctl *ctl, const struct k2k_broker_info *brokers, size_t count)
{
	struct list list;

	list_begin(&list, ctl, "brokers", broker_fields, BROKER_FIELDS, NULL, NULL, 0);
	for (size_t i = 0; i < count; i++) {
		char comm[sizeof(brokers->comm) + 1];
		struct value values[BROKER_FIELDS];

		broker_values(&brokers[i], comm, values);
		list_row(&list, values);
	}
	list_end(&list);
}

json_object *brokers_json(const struct k2k_broker_info *brokers, size_t count)
{
	json_object *array = check_memory(json_object_new_array());

	for (size_t i = 0; i < count; i++) {
		json_object *one = check_memory(json_object_new_object());
		char comm[sizeof(brokers->comm) + 1];
		struct value values[BROKER_FIELDS];

		broker_values(&brokers[i], comm, values);
		for (size_t j = 0; j < BROKER_FIELDS; j++)
			if (broker_fields[j].key)
				json_set(one, &broker_fields[j], &values[j]);
		if (json_object_array_add(array, one))
			out_of_memory();
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
	return (x->slot > y->slot) - (x->slot < y->slot);
}

static void print_leases(struct ctl *ctl, const struct k2k_lease_info *leases, size_t count)
{
	static const struct field fields[] = {
		{ "tenant", "TENANT", KIND_ID, 0 },
		{ "slot", "SLOT", KIND_COUNT, 0 },
		{ "pid", "PID", KIND_COUNT, 0 },
		{ "kernels", "KERNELS", KIND_COUNT, 0 },
		{ "gpu_memory_bytes", "GPU-MEMORY", KIND_BYTES, 0 },
	};
	struct list list;

	list_begin(&list, ctl, "leases", fields, sizeof(fields) / sizeof(fields[0]), NULL, NULL, 0);
	for (size_t i = 0; i < count; i++)
		list_row(&list,
		         (const struct value[]){ NUMBER(leases[i].id), NUMBER(leases[i].slot),
		                                 NUMBER(leases[i].pid), NUMBER(leases[i].kernels),
		                                 NUMBER(leases[i].gpu_memory_bytes) });
	list_end(&list);
}

int cmd_leases(struct ctl *ctl)
{
	struct k2k_lease_info *leases;
	size_t count, kept = 0;
	int exit_code = fetch_filtered(ctl, LIST_LEASES, (void **)&leases, &count);

	if (exit_code)
		return exit_code;
	qsort(leases, count, sizeof(*leases), compare_leases);
	for (size_t i = 0; i < count; i++) {
		if (leases[i].flags & K2K_TENANT_DAMAGED)
			fail_with(ctl, K2K_ECORRUPT,
			          "tenant %" PRIu64 ": the list of its leases is damaged: what it "
			          "holds can't be told before '" CTL_NAME " -r %s repair'",
			          leases[i].id, ctl->registry);
		else
			leases[kept++] = leases[i];
	}
	print_leases(ctl, leases, kept);
	free(leases);
	return kept < count ? EXIT_PARTLY : EXIT_DONE;
}
