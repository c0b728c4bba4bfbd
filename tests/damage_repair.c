/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * damage_repair.c - calls before, during and after a repair of damaged images of `live`; there are
 * thousands of them
 *
 * Before a repair every answer is documented, and damage to one tenant does not prevent the
 * administration of others. After it check is clean, a second repair finds nothing, and changes,
 * admissions, bookings and leases work and are counted. The seed is printed; K2K_TEST_SEED sets it,
 * and K2K_DAMAGE_IMAGES the number of images.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define HARNESS_TIMEOUT_S 600
#include "damage_fields.h"
#include "rate.h"

#define IMAGES 3000

static struct damage d;
static struct region regions[REGIONS];
static uint64_t state;

static struct {
	uint64_t image;
	int words;
	struct {
		const char *region, *field;
		uint32_t record;
		uint64_t was, is;
	} done[8];
} doing;

static uint64_t draw(uint64_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % below;
}

/* Fails with a message that says what was damaged. */
#define MUST(condition, ...)                          \
	do {                                          \
		if (!(condition))                     \
			wrong(__LINE__, __VA_ARGS__); \
	} while (0)

static const char *damage_text(void)
{
	static char text[1024];
	size_t at = 0;

	for (int i = 0; i < doing.words && at < sizeof text; i++)
		at += (size_t)snprintf(text + at, sizeof text - at,
		                       "%s%s.%s of record %u: %" PRIx64 " -> %" PRIx64,
		                       i ? "; " : "", doing.done[i].region, doing.done[i].field,
		                       doing.done[i].record, doing.done[i].was, doing.done[i].is);
	return text;
}

__attribute__((format(printf, 2, 3))) static void wrong(int line, const char *format, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	fail_msg("line %d: image %" PRIu64 " (%s): %s", line, doing.image, damage_text(), text);
}

/* ---- damage --------------------------------------------------------------------------- */

/* A section of `live` with something to damage. */
static const struct region *draw_region(void)
{
	for (;;) {
		const struct region *region = &regions[draw(REGIONS)];
		const unsigned char *base = region->base;

		if (base >= d.admin->live.base && base < d.admin->live.base + d.admin->live.bytes &&
		    strcmp(region->name, "live.header") != 0)
			return region;
	}
}

static uint64_t draw_value(uint64_t was)
{
	static const uint64_t hurtful[] = { 0,
		                            1,
		                            2,
		                            3,
		                            4,
		                            16,
		                            17,
		                            32,
		                            33,
		                            63,
		                            64,
		                            65,
		                            255,
		                            4096,
		                            UINT16_MAX,
		                            INT32_MAX,
		                            UINT32_MAX,
		                            UINT64_MAX,
		                            UINT64_MAX - 1,
		                            UINT64_C(1) << 40,
		                            UINT64_C(1) << 61,
		                            UINT64_C(1) << 62,
		                            UINT64_C(1) << 63,
		                            UINT64_C(5100) << 34 };
	switch (draw(7)) {
	case 0: return was ^ UINT64_C(1) << draw(64);
	case 1:
		return draw(34); /* a link, a key, a slot */
	/* a generation or token with a state */
	case 2: return draw(12) << (draw(2) ? 8 : 2) | draw(4);
	case 3: return was + draw(5) - 2;
	case 4: return draw(2) ? d.a->broker.incarnation : d.b->broker.incarnation;
	case 5: return draw(UINT64_MAX);
	default: return hurtful[draw(sizeof hurtful / sizeof hurtful[0])];
	}
}

static unsigned char *in_bytes(const void *mapped)
{
	return d.bytes.live + ((const unsigned char *)mapped - d.admin->live.base);
}

static void damage_word(void)
{
	const struct region *region = draw_region();
	const struct field *field = &region->fields[draw(region->field_count)];
	uint32_t record = (uint32_t)draw(region->count);
	size_t words = field->bits < 64 ? 1 : field->bits / 64,
	       first = field->first_bit / 8 / 4 * 4;
	size_t bytes = field->bits == 32 || first % 8 ? 4 : 8;
	unsigned char *at = in_bytes((const unsigned char *)region->base + region->stride * record +
	                             first + 8 * draw(words));
	uint64_t was = 0, is;

	/* events and rings: mostly those in use, not those of brokers that never were */
	if (region->count > 64 && draw(2))
		return;
	memcpy(&was, at, bytes);
	is = draw_value(was);
	if (draw(6) == 0) /* the word of another record */
		memcpy(&is,
		       in_bytes((const unsigned char *)region->base +
		                region->stride * draw(region->count) + first),
		       bytes);
	memcpy(at, &is, bytes);
	doing.done[doing.words].region = region->name;
	doing.done[doing.words].field = field->name;
	doing.done[doing.words].record = record;
	doing.done[doing.words].was = was;
	doing.done[doing.words++].is = bytes == 4 ? (uint32_t)is : is;
}

/* Several bytes in a row, as a program leaves them that writes where it should not. */
static void damage_stretch(void)
{
	const struct region *region = draw_region();
	size_t size = region->stride * region->count, at = draw(size) & ~UINT64_C(7),
	       length = 8 * (1 + draw(16));
	unsigned char *bytes = in_bytes(region->base);
	uint64_t first = draw(3) ? draw_value(0) : 0, word;

	for (size_t i = at; i + 8 <= size && i < at + length; i += 8) {
		word = first ? first : draw_value(0);
		memcpy(bytes + i, &word, 8);
	}
	doing.done[doing.words].region = region->name;
	doing.done[doing.words].field = "(a stretch)";
	doing.done[doing.words].record = (uint32_t)(at / region->stride);
	doing.done[doing.words].was = length;
	doing.done[doing.words++].is = first;
}

/* ---- what is asked -------------------------------------------------------------------------- */

static bool is_known_answer(int code)
{
	static const int known[] = { 0,           K2K_ECORRUPT, K2K_ENOTENANT, K2K_ERATE,
		                     K2K_EBUDGET, K2K_EKERNELS, K2K_EGPUMEM,   K2K_EFULL,
		                     K2K_EBUSY,   K2K_ENOTHELD, K2K_ESTALE,    K2K_EUNBOOKED };

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (code == known[i])
			return true;
	return false;
}

#define ASK(call)                                                                          \
	do {                                                                               \
		int code_ = (call);                                                        \
		MUST(is_known_answer(code_), "%s answered %s", #call, k2k_errname(code_)); \
	} while (0)
#define DONE(call)                                                                \
	do {                                                                      \
		int code_ = (call);                                               \
		MUST(code_ == 0, "%s answered %s: %s", #call, k2k_errname(code_), \
		     k2k_error_detail()->text);                                   \
	} while (0)

static void read_all(struct k2k_registry *reg)
{
	static struct k2k_budget_info budgets[64];
	static struct k2k_lease_info leases[256];
	static struct k2k_usage_info usage[64];
	static struct k2k_audit_record records[64];
	struct k2k_audit_position further[K2K_AUDIT_FURTHER_RINGS_MAX] = { { 0 } };
	struct k2k_audit_cursor cursor = K2K_AUDIT_CURSOR_INIT;
	k2k_tenant_id ids[64];
	size_t count, tenants;

	DONE(k2k_tenant_ids(reg, ids, 64, &tenants));
	for (size_t i = 0; i < tenants; i++) {
		struct k2k_tenant_info info = { .size = sizeof info };
		int code = k2k_tenant_get(reg, ids[i], &info);

		/* it has a row, whatever its words are */
		MUST(code == 0 || (code == K2K_ECORRUPT && info.flags == K2K_TENANT_DAMAGED),
		     "get of %" PRIu64 ": %s", ids[i], k2k_errname(code));
		MUST(info.id == ids[i] && info.max_messages_per_sec == 1000,
		     "get of %" PRIu64 " told of %" PRIu64, ids[i], info.id);
	}
	budgets[0] = (struct k2k_budget_info){ .size = sizeof *budgets };
	DONE(k2k_budget_list(reg, 0, budgets, 64, &count));
	leases[0] = (struct k2k_lease_info){ .size = sizeof *leases };
	DONE(k2k_lease_list(reg, 0, leases, 256, &count));
	usage[0] = (struct k2k_usage_info){ .size = sizeof *usage };
	DONE(k2k_usage_list(reg, 0, usage, 64, &count));
	records[0] = (struct k2k_audit_record){ .size = sizeof *records };
	cursor.further = further;
	cursor.further_count = K2K_AUDIT_FURTHER_RINGS_MAX;
	ASK(k2k_audit_read(reg, &cursor, K2K_AUDIT_OPEN_TOO, records, 64, &count));
}

static void send_all(struct k2k_registry *reg)
{
	for (int i = 0; i < DAMAGE_IDS; i++) {
		struct k2k_lease lease = K2K_LEASE_INIT;
		k2k_tenant_id id = d.ids[i];

		ASK(k2k_message_admit(reg, id, damage_tag, 1, NULL));
		ASK(k2k_message_record(reg, id));
		ASK(k2k_usage_track(reg, id, damage_tag, 1));
		ASK(k2k_usage_track(reg, id, (struct k2k_audit_tag){ 1, 90 + (uint64_t)i }, 1));
		ASK(k2k_kernel_acquire(reg, id, &lease, NULL));
		if (lease.amount)
			ASK(k2k_kernel_release(reg, &lease));
	}
}

/* Administration of a tenant that is not damaged. */
static void change_other(k2k_tenant_id id)
{
	struct k2k_quota quota = { .size = sizeof quota,
		                   .max_messages_per_sec = 1000,
		                   .max_gpu_memory_bytes = 1000,
		                   .max_concurrent_kernels = 10 };

	DONE(k2k_tenant_register(d.admin, id, &quota));
	DONE(k2k_tenant_update(d.admin, id, &quota, K2K_UPDATE_RATE));
	DONE(k2k_tenant_deregister(d.admin, id, NULL));
}

/* Kernels of a tenant that has none: each broker adds one, and sends to the other's. */
static void use_names(k2k_tenant_id id)
{
	static const char *const names[] = { "new of a", "new of b" };
	struct k2k_registry *const brokers[] = { d.a, d.b };
	struct k2k_tenant_info info = { .size = sizeof info };
	struct k2k_route route = K2K_ROUTE_INIT;
	size_t count = 0;

	/* a living broker's can't be told from one that it has: adds in that bucket are BUSY */
	for (uint32_t i = 0; i <= d.map.kernel_mask; i++)
		if (k2k_liveness_alive(&d.admin->liveness, d.map.kernel_claims[i]))
			return;
	for (int i = 0; i < 2; i++)
		DONE(k2k_kernel_add(brokers[i], names[i], id, damage_tag, NULL, NULL));
	for (int i = 0; i < 2; i++) {
		DONE(k2k_message_route(brokers[i], names[i], names[1 - i], damage_tag, 1, &route,
		                       NULL));
		MUST(route.tenant == id && route.incarnation == brokers[1 - i]->broker.incarnation,
		     "a message goes to another kernel");
	}
	DONE(k2k_kernel_list(d.observer, id, NULL, 0, &count));
	MUST(count == 2, "%zu kernels, of 2", count);
	for (int i = 0; i < 2; i++)
		DONE(k2k_kernel_remove(brokers[i], names[i]));
	DONE(k2k_tenant_get(d.observer, id, &info));
	MUST(info.kernels == 0, "%" PRIu64 " kernels are held, of none", info.kernels);
}

/* A tenant that is registered now works as if there had been no damage. */
static void use_new(k2k_tenant_id id)
{
	struct k2k_budget budget = { 7, 1000000 };
	struct k2k_quota quota = { .size = sizeof quota,
		                   .max_messages_per_sec = 1000,
		                   .max_gpu_memory_bytes = 1000,
		                   .max_concurrent_kernels = 10,
		                   .budget_count = 1,
		                   .budgets = &budget };
	struct k2k_tenant_info info = { .size = sizeof info };
	struct k2k_audit_tag tag = { 1, 7 }, other = { 1, 8 };
	struct k2k_reservation reservation = K2K_RESERVATION_INIT, reserved = reservation;
	struct k2k_lease lease = K2K_LEASE_INIT;
	uint64_t ns = 0;

	DONE(k2k_tenant_register(d.admin, id, &quota));
	DONE(k2k_message_admit(d.a, id, tag, 3, NULL));
	DONE(k2k_message_record(d.b, id));
	DONE(k2k_usage_track(d.a, id, tag, 100));
	DONE(k2k_usage_track(d.b, id, tag, 11));
	DONE(k2k_usage_track(d.b, id, other, 50));
	DONE(k2k_kernel_acquire(d.a, id, &lease, NULL));
	DONE(k2k_gpu_memory_acquire(d.b, id, 100, NULL, NULL));
	DONE(k2k_tenant_get(d.observer, id, &info));
	MUST(info.admitted_total == 4, "%" PRIu64 " admitted, of 4", info.admitted_total);
	MUST(info.kernels == 1 && info.gpu_memory_bytes == 100,
	     "%" PRIu64 " kernels, %" PRIu64 " bytes", info.kernels, info.gpu_memory_bytes);
	DONE(k2k_usage_engagement_for(d.observer, id, tag, &ns));
	MUST(ns == 111, "%" PRIu64 " ns booked, of 111", ns);
	DONE(k2k_usage_engagement_for(d.observer, id, other, &ns));
	MUST(ns == 50, "%" PRIu64 " ns booked, of 50", ns);
	DONE(k2k_kernel_release(d.a, &lease));
	DONE(k2k_usage_reserve(d.b, id, tag, 1000, &reservation, NULL));
	MUST(k2k_usage_reserve(d.a, id, tag, 999000, &reserved, NULL) == K2K_EBUDGET,
	     "more is reserved than the budget");
	DONE(k2k_usage_commit(d.b, &reservation, 900));
	DONE(k2k_usage_engagement_for(d.observer, id, tag, &ns));
	MUST(ns == 1011, "%" PRIu64 " ns booked, of 1011", ns);
	DONE(k2k_usage_correct(d.admin, id, tag, -11, "a test", 0));
	DONE(k2k_budget_set(d.admin, id, 9, 5));
	use_names(id);
	DONE(k2k_tenant_deregister(d.admin, id, NULL));
}

static void check_is_clean(struct k2k_registry *reg)
{
	struct k2k_finding finding = { .size = sizeof finding };
	size_t count;

	DONE(k2k_registry_check(reg, &finding, 1, &count));
	MUST(count == 0, "after the repair check finds %zu: %s: %s", count, finding.object,
	     finding.text);
}

/* The work of the brokers' helpers, which do not run here: no reader is in a section. */
static void answer(void)
{
	d.map.slots[d.a->broker.slot].ack = d.map.defs->grace_token;
	d.map.slots[d.b->broker.slot].ack = d.map.defs->grace_token;
}

/* deregistered: of ids, or DAMAGE_IDS. */
static void repair_and_ask(int deregistered)
{
	struct k2k_repair_info info = { .size = sizeof info };
	struct k2k_finding finding = { .size = sizeof finding };
	size_t count;

	DONE(k2k_registry_repair(d.admin, &info));
	DONE(k2k_repair_list(d.admin, NULL, 0, &count));
	MUST((info.damaged != 0) == (count != 0), "%" PRIu64 " were mended, and %zu told",
	     info.damaged, count);
	check_is_clean(d.admin);
	DONE(k2k_registry_repair(d.admin, &info));
	finding.size = sizeof finding;
	DONE(k2k_repair_list(d.admin, &finding, 1, &count));
	MUST(info.damaged == 0, "a second repair mends %s: %s", finding.object, finding.text);
	answer();
	read_all(d.observer);
	for (int i = 0; i < 6; i++) {
		struct k2k_tenant_info tenant = { .size = sizeof tenant };
		int code;

		if (i == deregistered)
			continue;
		code = k2k_message_admit(d.a, d.ids[i], (struct k2k_audit_tag){ 1, 70 }, 1, NULL);

		MUST(code == 0 || code == K2K_ERATE, "admit of %" PRIu64 " answers %s: %s",
		     d.ids[i], k2k_errname(code), k2k_error_detail()->text);
		code = k2k_usage_track(d.b, d.ids[i], damage_tag, 1);
		MUST(code == 0 || code == K2K_EUNBOOKED, "track of %" PRIu64 " answers %s",
		     d.ids[i], k2k_errname(code));
		DONE(k2k_tenant_get(d.observer, d.ids[i], &tenant));
	}
	use_new(2000);
	check_is_clean(d.admin);
}

static void ask_of_image(void)
{
	int deregistered = DAMAGE_IDS;
	size_t count;

	bytes_restore(&d.bytes);
	doing.words = 0;
	for (uint64_t n = 1 + draw(3); n; n--)
		if (draw(8))
			damage_word();
		else
			damage_stretch();
	read_all(d.observer);
	DONE(k2k_registry_check(d.observer, NULL, 0, &count));
	if (draw(2))
		change_other(1000);
	if (draw(2))
		send_all(d.a);
	if (draw(4) == 0) {
		deregistered = (int)draw(6);
		DONE(k2k_tenant_deregister(d.admin, d.ids[deregistered], NULL));
	}
	repair_and_ask(deregistered);
}

/* Both brokers have a share of a tenant's window. */
static void open_window(k2k_tenant_id id)
{
	uint64_t state_gen;
	uint32_t slot;

	DONE(k2k_tenant_find(&d.map, id, &slot, &state_gen));
	DONE(k2k_message_admit(d.a, id, damage_tag, 1, NULL));
	k2k_rate_open_window(&d.a->map, slot, &d.a->clock);
	DONE(k2k_message_admit(d.a, id, damage_tag, 1, NULL));
	DONE(k2k_message_admit(d.b, id, damage_tag, 1, NULL));
	MUST(k2k_hot_is(d.map.cells[slot].admitted), "the window is not open");
	bytes_copy(&d.bytes);
}

TEST(whatever_stands_in_live_repair_leaves_a_registry_that_works)
{
	const char *seed = getenv("K2K_TEST_SEED"), *images = getenv("K2K_DAMAGE_IMAGES");
	uint64_t many = images ? strtoull(images, NULL, 10) : IMAGES,
		 first = seed ? strtoull(seed, NULL, 10) : 1;

	damage_populate(&d);
	open_window(d.ids[4]);
	regions_of(&d.map, regions);
	printf("# K2K_TEST_SEED=%" PRIu64 ", %" PRIu64 " images\n", first, many);
	for (uint64_t i = 0; i < many; i++) {
		doing.image = first + i;
		state = k2k_mix64(doing.image) | 1;
		ask_of_image();
	}
}

TEST(what_is_sound_is_left_alone)
{
	struct k2k_repair_info info = { .size = sizeof info };
	size_t count;

	damage_populate(&d);
	DONE(k2k_registry_repair(d.admin, &info));
	assert_int_equal(info.damaged, 0);
	DONE(k2k_repair_list(d.admin, NULL, 0, &count));
	assert_int_equal(count, 0);
	use_new(2000);
}
