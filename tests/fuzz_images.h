/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_images.h - the registries that an input of fuzz_registry.c starts from: empty, in use, put
 * in order, with everything half done, full
 */
#ifndef K2K_TESTS_FUZZ_IMAGES_H
#define K2K_TESTS_FUZZ_IMAGES_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define HARNESS_OWN_MAIN
#include "damage.h"

enum { IMAGES = 5, HALF_DONE = 3, OBJECTS = 2, OBJECT_MAX = 4 * 65536 };
struct image {
	unsigned char *bytes[OBJECTS];
	size_t size[OBJECTS];
	uint16_t *words[OBJECTS]; /* offsets of words that are not 0, in steps of 4 bytes */
	size_t word_count[OBJECTS];
	uint8_t uuid[16];
};
static struct image images[IMAGES];
static char name[64];
static struct damage neighbour;

static void keep(struct image *image, const struct bytes *bytes)
{
	const unsigned char *from[OBJECTS] = { bytes->defs, bytes->live };
	const size_t size[OBJECTS] = { bytes->defs_bytes, bytes->live_bytes };

	for (int o = 0; o < OBJECTS; o++) {
		image->bytes[o] = malloc(size[o]);
		image->words[o] = malloc(size[o] / 8 * sizeof(uint16_t));
		assert_true(image->bytes[o] && image->words[o] && size[o] <= OBJECT_MAX);
		memcpy(image->bytes[o], from[o], size[o]);
		image->size[o] = size[o];
		image->word_count[o] = 0;
		for (size_t at = 0; at + 8 <= size[o]; at += 8) {
			uint64_t word;

			memcpy(&word, image->bytes[o] + at, 8);
			if (word)
				image->words[o][image->word_count[o]++] = (uint16_t)(at / 4);
		}
	}
	memcpy(image->uuid, ((const struct k2k_shm_header *)(const void *)image->bytes[0])->uuid,
	       16);
}

static void make_empty(struct image *image)
{
	struct bytes bytes;
	const char *fresh = fresh_registry();
	struct k2k_create_options sizes = K2K_CREATE_OPTIONS_INIT;

	sizes.max_tenants = 4;
	sizes.max_engagements = 4;
	sizes.max_leases = 4;
	sizes.max_budgets = 4;
	sizes.max_kernels = 16;
	sizes.max_audit_events = 1;
	DAMAGE_MUST(k2k_registry_create(fresh, &sizes, NULL));
	bytes_open(&bytes, fresh);
	keep(image, &bytes);
}

/* By hand, what writers and brokers leave that are killed: one thing of each kind. */
static void leave_half_done(struct damage *d)
{
	struct k2k_shm_defs *defs = d->map.defs;
	uint64_t dead = UINT64_C(1) << 60 | 12345;
	uint32_t slot = 0;

	defs->intent = K2K_OP_REGISTER;
	while (d->map.tenants[slot].id != 5)
		slot++;
	d->map.tenants[slot].state_gen = k2k_tenant_word(
		K2K_TENANT_BUILDING, k2k_tenant_generation(d->map.tenants[slot].state_gen));
	/* live, not linked; the one above, too */
	for (uint32_t i = 0; i <= d->map.tenant_mask; i++)
		if (d->map.tenant_heads[i] == slot + 1)
			d->map.tenant_heads[i] = 0;
	d->map.tenants_cold[1].retired_token = defs->grace_token + 1; /* retired, still linked */
	d->map.tenants[1].state_gen = k2k_tenant_word(
		K2K_TENANT_RETIRED, k2k_tenant_generation(d->map.tenants[1].state_gen));
	for (uint32_t i = 0, budgets = 0; i < d->map.sizes.budgets; i++)
		if (k2k_entry_state(d->map.budgets[i].entry.state) == K2K_ENTRY_LIVE &&
		    budgets++ < 2)
			d->map.budgets[i].entry.state = k2k_entry_word(
				budgets == 1 ? K2K_ENTRY_CLAIMED : K2K_ENTRY_RETIRED,
				budgets == 1 ? K2K_INCARNATION_WRITER : defs->grace_token + 1);
	d->map.ledger[0].entry.state = k2k_entry_word(K2K_ENTRY_CLAIMED, dead);
	d->map.ledger[d->map.sizes.engagements - 1].entry.state = k2k_entry_word(K2K_ENTRY_CLAIMED,
	                                                                         dead);
	d->map.leases[0].state = k2k_entry_word(K2K_ENTRY_CLAIMED, dead);
	defs->tenant_free.head = UINT32_MAX;
}

static void fill_tables(struct damage *d)
{
	k2k_tenant_id id = 1000;

	while (k2k_tenant_register(d->admin, id, NULL) == 0)
		id++;
	for (uint64_t e = 100; k2k_usage_track(d->a, 1, (struct k2k_audit_tag){ 0, e }, 1) == 0;
	     e++)
		;
	for (uint64_t e = 1; k2k_budget_set(d->admin, 1, e, 5) == 0; e++)
		;
	for (id = 1000; k2k_kernel_acquire(d->a, id, NULL, NULL) == 0; id++)
		;
	for (uint32_t i = 0; i < d->map.sizes.slots;
	     i++) /* all places taken, by brokers that are dead */
		if (!d->map.slots[i].owner)
			d->map.slots[i].owner = (UINT64_C(1) << 60) + i;
}

static void remove_names(void)
{
	char command[64];

	snprintf(command, sizeof command, "rm -f /dev/shm/k2k.test-%d-*", harness_pid);
	assert_int_equal(system(command), 0);
}

static void make_images(void)
{
	static struct damage d[4];
	struct k2k_repair_info repaired = { .size = sizeof repaired };

	make_empty(&images[0]);
	for (int i = 0; i < 4; i++) {
		damage_populate(&d[i]);
		if (i == 2)
			leave_half_done(&d[i]);
		if (i == 3)
			fill_tables(&d[i]);
		if (i == 1) {
			DAMAGE_MUST(k2k_registry_close(&d[i].a));
			DAMAGE_MUST(k2k_registry_close(&d[i].b));
			DAMAGE_MUST(k2k_registry_repair(d[i].admin, &repaired));
		}
		keep(&images[1 + i], &d[i].bytes);
		if (i != 1) {
			DAMAGE_MUST(k2k_registry_close(&d[i].a));
			DAMAGE_MUST(k2k_registry_close(&d[i].b));
		}
		DAMAGE_MUST(k2k_registry_close(&d[i].observer));
		DAMAGE_MUST(k2k_registry_close(&d[i].admin));
	}
	remove_names();
}

#endif
