/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit_kernels - the directory of kernels: names, slots, messages from one to another, bad input
 * and damage
 */
#include "kernel.h"
#include "registry_fixture.h"

static struct fixture f;

enum { TENANT = 7, OTHER = 8 };

static void open_with(uint64_t max_kernels, uint32_t flags)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;

	options.max_tenants = 16;
	options.max_engagements = 64;
	options.max_budgets = 16;
	options.max_brokers = 4;
	options.max_audit_events = 16;
	options.max_kernels = max_kernels;
	options.flags = flags;
	fixture_open_sized(&f, &options);
}

static void register_kernels(k2k_tenant_id id, uint32_t kernels)
{
	struct k2k_quota quota = quota_of(100, 0, kernels, 0, NULL);

	assert_int_equal(k2k_tenant_register(f.admin, id, &quota), 0);
}

static struct k2k_registry *another(void)
{
	struct k2k_registry *reg;

	assert_int_equal(k2k_registry_open(f.name, K2K_ROLE_BROKER, NULL, &reg), 0);
	reg->clock.injected_ns = &f.clock_ns;
	return reg;
}

static int add(struct k2k_registry *reg, const char *name, k2k_tenant_id id)
{
	return k2k_kernel_add(reg, name, id, no_tag, NULL, NULL);
}

static k2k_tenant_id tenant_of(struct k2k_registry *reg, const char *name)
{
	struct k2k_kernel_info info = K2K_KERNEL_INFO_INIT;

	assert_int_equal(k2k_kernel_find(reg, name, &info), 0);
	assert_string_equal(info.name, name);
	return info.id;
}

static size_t names_of(k2k_tenant_id id)
{
	size_t count;

	assert_int_equal(k2k_kernel_list(f.admin, id, NULL, 0, &count), 0);
	return count;
}

static int route(struct k2k_registry *reg, const char *from, const char *to, struct k2k_route *out)
{
	struct k2k_route mine = K2K_ROUTE_INIT;
	int code = k2k_message_route(reg, from, to, no_tag, 1, &mine, NULL);

	if (out)
		*out = mine;
	return code;
}

/* ---- names and slots ----------------------------------------------------------------------- */

TEST(a_name_takes_a_slot_and_only_its_removal_gives_it_back)
{
	struct k2k_lease lease = K2K_LEASE_INIT;

	open_with(0, 0);
	register_kernels(TENANT, 2);
	assert_int_equal(add(f.broker, "a", TENANT), 0);
	assert_int_equal(info_of(f.admin, TENANT).kernels, 1);
	assert_int_equal(k2k_kernel_release_id(f.broker, TENANT), K2K_ENOTHELD);
	assert_int_equal(k2k_kernel_acquire(f.broker, TENANT, &lease, NULL), 0);
	assert_int_equal(add(f.broker, "b", TENANT), K2K_EKERNELS);
	assert_int_equal(k2k_kernel_remove(f.broker, "b"), K2K_ENOKERNEL);
	assert_int_equal(k2k_kernel_release_id(f.broker, TENANT), 0);
	assert_int_equal(k2k_kernel_release(f.broker, &lease), K2K_ENOTHELD);
	assert_int_equal(add(f.broker, "b", TENANT), 0);
	assert_int_equal(names_of(TENANT), 2);
	assert_int_equal(k2k_kernel_remove(f.broker, "a"), 0);
	assert_int_equal(k2k_kernel_remove(f.broker, "a"), K2K_ENOKERNEL);
	assert_int_equal(info_of(f.admin, TENANT).kernels, 1);
	assert_int_equal(k2k_kernel_remove(f.broker, "b"), 0);
	assert_int_equal(info_of(f.admin, TENANT).kernels, 0);
	assert_int_equal(names_of(K2K_TENANT_UNSPECIFIED), 0);
	fixture_close(&f);
}

TEST(a_kernel_that_is_added_again_moves_or_stays_as_it_was)
{
	const struct k2k_kernel_address address = { { 3, 4 } };
	struct k2k_kernel_info info = K2K_KERNEL_INFO_INIT;
	struct k2k_verdict verdict = K2K_VERDICT_INIT;

	open_with(0, 0);
	register_kernels(TENANT, 1);
	register_kernels(OTHER, 1);
	assert_int_equal(add(f.broker, "a", TENANT), 0);
	/* the same tenant: no second slot is asked for */
	assert_int_equal(k2k_kernel_add(f.broker, "a", TENANT, tag_of(1, 2), &address, &verdict),
	                 0);
	assert_int_equal(k2k_kernel_find(f.admin, "a", &info), 0);
	assert_int_equal(info.id, TENANT);
	assert_int_equal(info.tag.engagement_id, 2);
	assert_int_equal(info.address.words[1], 4);
	assert_int_equal(info.pid, getpid());
	assert_int_equal(info.incarnation, f.broker->broker.incarnation);
	assert_int_equal(add(f.broker, "a", OTHER), 0);
	assert_int_equal(tenant_of(f.admin, "a"), OTHER);
	assert_int_equal(info_of(f.admin, TENANT).kernels, 0);
	assert_int_equal(info_of(f.admin, OTHER).kernels, 1);
	/* refused: all stays */
	assert_int_equal(add(f.broker, "b", TENANT), 0);
	assert_int_equal(k2k_kernel_add(f.broker, "a", TENANT, no_tag, NULL, &verdict),
	                 K2K_EKERNELS);
	assert_int_equal(verdict.code, K2K_EKERNELS);
	assert_int_equal(verdict.used, 1);
	assert_int_equal(add(f.broker, "a", 99), K2K_ENOTENANT);
	assert_int_equal(tenant_of(f.admin, "a"), OTHER);
	assert_int_equal(add(f.broker, "a", K2K_TENANT_UNSPECIFIED), 0);
	assert_int_equal(tenant_of(f.admin, "a"), K2K_TENANT_UNSPECIFIED);
	assert_int_equal(info_of(f.admin, OTHER).kernels, 0);
	assert_int_equal(add(f.broker, "a", K2K_TENANT_UNSPECIFIED), 0);
	assert_int_equal(add(f.broker, "a", OTHER), 0);
	assert_int_equal(info_of(f.admin, OTHER).kernels, 1);
	assert_int_equal(k2k_tenant_suspend(f.admin, TENANT), 0);
	assert_int_equal(add(f.broker, "a", TENANT), K2K_ESUSPENDED);
	assert_int_equal(tenant_of(f.admin, "a"), OTHER);
	fixture_close(&f);
}

TEST(names_are_1_to_63_bytes_of_any_value)
{
	char name[256];
	size_t count;
	struct k2k_kernel_info info = K2K_KERNEL_INFO_INIT;

	open_with(512, 0);
	register_kernels(TENANT, 1000);
	memset(name, 'x', sizeof(name));
	name[64] = '\0';
	assert_int_equal(add(f.broker, name, TENANT), K2K_EINVAL);
	assert_int_equal(k2k_kernel_find(f.broker, name, &info), K2K_EINVAL);
	assert_int_equal(k2k_kernel_remove(f.broker, name), K2K_EINVAL);
	assert_int_equal(add(f.broker, "", TENANT), K2K_EINVAL);
	assert_int_equal(route(f.broker, "", "a", NULL), K2K_EINVAL);
	assert_int_equal(route(f.broker, "a", name, NULL), K2K_EINVAL);
	name[63] = '\0';
	assert_int_equal(add(f.broker, name, TENANT), 0);
	assert_int_equal(tenant_of(f.admin, name), TENANT);
	/* a prefix is another name */
	name[62] = '\0';
	assert_int_equal(k2k_kernel_find(f.admin, name, &info), K2K_ENOKERNEL);
	for (int i = 1; i < 256; i++) {
		char byte[2] = { (char)i, '\0' };

		assert_int_equal(add(f.broker, byte, TENANT), 0);
	}
	for (int i = 1; i < 256; i++) {
		char byte[2] = { (char)i, '\0' };

		assert_int_equal(tenant_of(f.admin, byte), TENANT);
	}
	assert_int_equal(k2k_kernel_list(f.admin, TENANT, NULL, 0, &count), 0);
	assert_int_equal(count, 256);
	assert_int_equal(k2k_kernel_list(f.admin, OTHER, NULL, 0, &count), K2K_ENOTENANT);
	fixture_close(&f);
}

TEST(bad_arguments_change_nothing)
{
	struct k2k_route out = K2K_ROUTE_INIT;
	struct k2k_kernel_info info = { .size = 3 };

	open_with(0, 0);
	assert_int_equal(add(NULL, "a", TENANT), K2K_EINVAL);
	assert_int_equal(add(f.broker, NULL, TENANT), K2K_EINVAL);
	assert_int_equal(add(f.admin, "a", TENANT), K2K_EROLE);
	assert_int_equal(k2k_kernel_remove(f.broker, NULL), K2K_EINVAL);
	assert_int_equal(k2k_kernel_remove(NULL, "a"), K2K_EINVAL);
	assert_int_equal(k2k_kernel_remove(f.admin, "a"), K2K_EROLE);
	assert_int_equal(k2k_kernel_find(f.broker, "a", &info), K2K_EINVAL);
	assert_int_equal(k2k_kernel_find(f.broker, "a", NULL), K2K_EINVAL);
	assert_int_equal(k2k_kernel_list(f.broker, 0, NULL, 0, NULL), K2K_EINVAL);
	assert_int_equal(k2k_message_route(f.broker, NULL, "b", no_tag, 1, &out, NULL), K2K_EINVAL);
	assert_int_equal(k2k_message_route(f.broker, "a", NULL, no_tag, 1, &out, NULL), K2K_EINVAL);
	assert_int_equal(k2k_message_route(f.broker, "a", "b", no_tag, 0, &out, NULL), K2K_EINVAL);
	assert_int_equal(k2k_message_route(f.broker, "a", "b", no_tag, 1, NULL, NULL), K2K_EINVAL);
	assert_int_equal(k2k_message_route(f.admin, "a", "b", no_tag, 1, &out, NULL), K2K_EROLE);
	fixture_close(&f);
}

TEST(a_name_belongs_to_one_broker_and_is_free_when_that_closes)
{
	struct k2k_registry *second;

	open_with(0, 0);
	register_kernels(TENANT, 2);
	register_kernels(OTHER, 2);
	second = another();
	assert_int_equal(add(f.broker, "a", TENANT), 0);
	assert_int_equal(add(second, "a", OTHER), K2K_EEXIST);
	assert_int_equal(k2k_error_detail()->pid, getpid());
	assert_int_equal(info_of(f.admin, OTHER).kernels, 0);
	assert_int_equal(k2k_kernel_remove(second, "a"), K2K_ENOTHELD);
	assert_int_equal(route(second, "a", "a", NULL), K2K_ENOTHELD);
	assert_int_equal(add(second, "b", TENANT), 0);
	assert_int_equal(k2k_registry_close(&second), 0);
	assert_int_equal(names_of(K2K_TENANT_UNSPECIFIED), 1);
	assert_int_equal(k2k_kernel_remove(f.broker, "b"), K2K_ENOKERNEL);
	assert_int_equal(add(f.broker, "b", OTHER), 0);
	assert_int_equal(tenant_of(f.admin, "b"), OTHER);
	fixture_close(&f);
}

TEST(a_full_directory_has_room_again_for_what_nobody_has)
{
	struct k2k_registry *second;

	open_with(4, 0);
	register_kernels(TENANT, 100);
	second = another();
	assert_int_equal(add(second, "a", TENANT), 0);
	assert_int_equal(add(second, "b", TENANT), 0);
	assert_int_equal(add(f.broker, "c", TENANT), 0);
	assert_int_equal(add(f.broker, "d", TENANT), 0);
	assert_int_equal(add(f.broker, "e", TENANT), K2K_EFULL);
	assert_string_equal(k2k_error_detail()->object, "kernels");
	assert_int_equal(info_of(f.admin, TENANT).kernels, 4);
	assert_int_equal(k2k_kernel_remove(f.broker, "c"), 0);
	assert_int_equal(add(f.broker, "e", TENANT), 0);
	assert_int_equal(add(f.broker, "f", TENANT), K2K_EFULL);
	assert_int_equal(k2k_registry_close(&second), 0);
	assert_int_equal(add(f.broker, "f", TENANT), 0);
	assert_int_equal(add(f.broker, "g", TENANT), 0);
	assert_int_equal(add(f.broker, "h", TENANT), K2K_EFULL);
	fixture_close(&f);
}

TEST(many_names_come_and_go_in_few_buckets)
{
	char name[16];

	open_with(200, 0);
	register_kernels(TENANT, 1000);
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 200; i++) {
			snprintf(name, sizeof(name), "%d.%d", round, i);
			assert_int_equal(add(f.broker, name, TENANT), 0);
		}
		assert_int_equal(names_of(TENANT), 200);
		for (int i = 0; i < 200; i++) {
			snprintf(name, sizeof(name), "%d.%d", round, (i * 7) % 200);
			assert_int_equal(tenant_of(f.admin, name), TENANT);
			assert_int_equal(k2k_kernel_remove(f.broker, name), 0);
		}
	}
	assert_int_equal(info_of(f.admin, TENANT).kernels, 0);
	fixture_close(&f);
}

/* One word of the name is minus that of the key, so that its neighbour counts for nothing. */
static bool choose_name(char name[17], char last)
{
	const uint64_t word = -f.broker->map.defs->kernel_key[0];

	memset(name, 0, 17);
	memcpy(name, &word, sizeof(word));
	name[8] = last;
	return strlen(name) == 9;
}

TEST(names_whose_hashes_are_equal_by_choice_are_told_apart)
{
	struct k2k_kernel_info info = K2K_KERNEL_INFO_INIT;
	struct k2k_kernel_name one, two;
	char a[17], b[17];

	/* of some keys no name can be made */
	for (open_with(0, 0); !choose_name(a, 'a') || !choose_name(b, 'b'); open_with(0, 0))
		fixture_close(&f);
	register_kernels(TENANT, 4);
	register_kernels(OTHER, 4);
	assert_true(k2k_kernel_name(&f.broker->map, a, &one));
	assert_true(k2k_kernel_name(&f.broker->map, b, &two));
	assert_int_equal(one.key.gen, two.key.gen);
	assert_int_equal(one.key.key, two.key.key);
	assert_int_equal(add(f.broker, a, TENANT), 0);
	assert_int_equal(k2k_kernel_find(f.broker, b, &info), K2K_ENOKERNEL);
	assert_int_equal(add(f.broker, b, OTHER), 0);
	assert_int_equal(tenant_of(f.admin, a), TENANT);
	assert_int_equal(tenant_of(f.admin, b), OTHER);
	assert_int_equal(k2k_message_route(f.broker, a, b, no_tag, 1,
	                                   &(struct k2k_route)K2K_ROUTE_INIT, NULL),
	                 K2K_ECROSSTENANT);
	assert_int_equal(k2k_kernel_remove(f.broker, a), 0);
	assert_int_equal(k2k_kernel_find(f.broker, a, &info), K2K_ENOKERNEL);
	assert_int_equal(tenant_of(f.admin, b), OTHER);
	fixture_close(&f);
}

static int in_sink;

static void add_in_sink(void *context, const struct k2k_audit_event *event)
{
	(void)event;
	(void)context;
	if (in_sink++ == 0)
		assert_int_equal(add(f.broker, "from the sink", K2K_TENANT_UNSPECIFIED), 0);
}

TEST(a_refused_add_calls_the_sink_under_no_lock)
{
	open_with(0, 0);
	register_kernels(TENANT, 0);
	assert_int_equal(k2k_registry_set_audit_sink(f.broker, add_in_sink, NULL), 0);
	assert_int_equal(add(f.broker, "a", TENANT), K2K_EKERNELS);
	assert_int_equal(in_sink, 1);
	assert_int_equal(tenant_of(f.admin, "from the sink"), 0);
	fixture_close(&f);
}

/* ---- those that are in the way --------------------------------------------------------------- */

static struct k2k_kernel_name name_of(const char *text)
{
	struct k2k_kernel_name name;

	assert_true(k2k_kernel_name(&f.broker->map, text, &name));
	return name;
}

TEST(a_claim_of_a_living_broker_holds_up_adds_for_20_ms_and_nothing_else)
{
	struct k2k_kernel_name name;
	struct k2k_registry *second;
	uint64_t begin_ns;
	k2k_u64 *claim;

	open_with(0, 0);
	register_kernels(TENANT, 4);
	register_kernels(OTHER, 4);
	second = another();
	name = name_of("a");
	claim = &f.broker->map.kernel_claims[name.bucket];
	assert_int_equal(add(f.broker, "a", TENANT), 0);
	*claim = second->broker.incarnation;
	begin_ns = now_ns();
	assert_int_equal(add(f.broker, "a", TENANT), K2K_EBUSY);
	assert_true(now_ns() - begin_ns >= 20 * MS);
	assert_int_equal(k2k_error_detail()->pid, getpid());
	assert_int_equal(tenant_of(f.broker, "a"), TENANT);
	assert_int_equal(route(f.broker, "a", "a", NULL), 0);
	/* it stays where it is, and nobody has it */
	assert_int_equal(k2k_kernel_remove(f.broker, "a"), 0);
	assert_int_equal(info_of(f.admin, TENANT).kernels, 0);
	assert_int_equal(names_of(TENANT), 0);
	assert_int_equal(k2k_registry_close(&second), 0);
	assert_int_equal(add(f.broker, "a", OTHER), 0);
	assert_int_equal(*claim, 0);
	assert_int_equal(tenant_of(f.admin, "a"), OTHER);
	/* a number that nobody can live by */
	*claim = 3;
	assert_int_equal(add(f.broker, "a", TENANT), 0);
	fixture_close(&f);
}

TEST(a_name_that_a_living_broker_is_about_to_add_is_busy)
{
	struct k2k_registry *second;
	struct k2k_kernel_copy copy;
	struct k2k_kernel_name name;
	uint64_t other;

	open_with(0, 0);
	register_kernels(TENANT, 4);
	second = another();
	name = name_of("a");
	k2k_u64 full_at = UINT64_MAX;
	const struct k2k_kernel_user user = { &second->map, &second->liveness, &second->broker,
		                              &full_at };

	assert_int_equal(k2k_kernel_reserve(&user, &name, &copy, &other), 0);
	assert_int_equal(add(f.broker, "a", TENANT), K2K_EBUSY);
	assert_int_equal(names_of(TENANT), 0);
	assert_int_equal(k2k_registry_close(&second), 0);
	assert_int_equal(add(f.broker, "a", TENANT), 0);
	fixture_close(&f);
}

/* The word that was parked is not the record's any more: another broker has the name. */
TEST(a_late_removal_leaves_the_record_of_another_alone)
{
	struct k2k_registry *second;
	struct k2k_kernel_copy copy;
	struct k2k_kernel_name name;
	uint64_t parked;

	open_with(0, 0);
	register_kernels(TENANT, 4);
	register_kernels(OTHER, 4);
	second = another();
	name = name_of("a");
	const struct k2k_kernel_user user = { &second->map, &second->liveness, &second->broker,
		                              &second->kernels_full_at };

	assert_int_equal(add(second, "a", TENANT), 0);
	assert_int_equal(k2k_kernel_look(&second->map, &name, &copy), 0);
	parked = k2k_kernel_park(&user, copy.index);
	assert_int_equal(add(f.broker, "a", OTHER), 0);
	k2k_kernel_drop(&user, &name, copy.index, parked);
	assert_int_equal(tenant_of(f.admin, "a"), OTHER);
	/* nor that of another name, in the record that was freed meanwhile */
	assert_int_equal(k2k_kernel_remove(f.broker, "a"), 0);
	assert_int_equal(add(f.broker, "b", OTHER), 0);
	k2k_kernel_drop(&user, &name, copy.index, parked);
	assert_int_equal(tenant_of(f.admin, "b"), OTHER);
	assert_int_equal(k2k_registry_close(&second), 0);
	fixture_close(&f);
}

/* ---- messages -------------------------------------------------------------------------------- */

static uint64_t admitted(k2k_tenant_id id)
{
	return info_of(f.admin, id).admitted_total;
}

TEST(a_message_within_a_tenant_is_admitted_and_the_receiver_named)
{
	const struct k2k_kernel_address address = { { 5, 6 } };
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	struct k2k_route out = K2K_ROUTE_INIT;
	struct k2k_registry *second;

	open_with(0, 0);
	register_kernels(TENANT, 4);
	second = another();
	assert_int_equal(k2k_kernel_add(f.broker, "a", TENANT, tag_of(1, 2), NULL, NULL), 0);
	assert_int_equal(k2k_kernel_add(second, "b", TENANT, tag_of(3, 4), &address, NULL), 0);
	assert_int_equal(k2k_message_route(f.broker, "a", "b", no_tag, 2, &out, &verdict), 0);
	assert_int_equal(out.flags, K2K_ROUTE_SOURCE | K2K_ROUTE_DESTINATION);
	assert_int_equal(out.tenant, TENANT);
	assert_int_equal(out.to_tenant, TENANT);
	assert_int_equal(out.tag.org_id, 1);
	assert_int_equal(out.tag.engagement_id, 2);
	assert_int_equal(out.address.words[0], 5);
	assert_int_equal(out.incarnation, second->broker.incarnation);
	assert_int_equal(out.broker, second->broker.slot);
	assert_int_equal(verdict.used, 2);
	assert_int_equal(verdict.limit, 100);
	/* half a tag is a tag */
	assert_int_equal(k2k_message_route(f.broker, "a", "b", tag_of(9, 0), 1, &out, NULL), 0);
	assert_int_equal(out.tag.org_id, 9);
	assert_int_equal(out.tag.engagement_id, 0);
	/* an unknown receiver counts as one of the tenant */
	assert_int_equal(route(f.broker, "a", "nobody", &out), 0);
	assert_int_equal(out.flags, K2K_ROUTE_SOURCE);
	assert_int_equal(admitted(TENANT), 4);
	assert_int_equal(k2k_message_route(f.broker, "a", "b", no_tag, 97, &out, &verdict),
	                 K2K_ERATE);
	assert_int_equal(verdict.code, K2K_ERATE);
	assert_int_equal(admitted(TENANT), 4);
	assert_int_equal(k2k_registry_close(&second), 0);
	assert_int_equal(route(f.broker, "a", "b", &out), 0);
	assert_int_equal(out.flags, K2K_ROUTE_SOURCE);
	fixture_close(&f);
}

TEST(a_message_to_another_tenant_is_counted_audited_and_consumes_nothing)
{
	struct k2k_registry_info info = { .size = sizeof(info) };
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	struct k2k_route out = K2K_ROUTE_INIT;
	struct k2k_registry *second;

	open_with(0, 0);
	register_kernels(TENANT, 4);
	register_kernels(OTHER, 4);
	second = another();
	assert_int_equal(add(f.broker, "a", TENANT), 0);
	assert_int_equal(add(second, "b", OTHER), 0);
	assert_int_equal(k2k_message_route(f.broker, "a", "b", no_tag, 1, &out, &verdict),
	                 K2K_ECROSSTENANT);
	assert_int_equal(verdict.code, K2K_ECROSSTENANT);
	assert_int_equal(out.tenant, TENANT);
	assert_int_equal(out.to_tenant, OTHER);
	/* a sender that nobody knows is of tenant 0 */
	assert_int_equal(route(f.broker, "nobody", "b", &out), K2K_ECROSSTENANT);
	assert_int_equal(out.flags, K2K_ROUTE_DESTINATION);
	assert_int_equal(out.tenant, 0);
	assert_int_equal(route(f.broker, "nobody", "none", &out), 0);
	assert_int_equal(out.flags, 0);
	assert_int_equal(add(f.broker, "zero", K2K_TENANT_UNSPECIFIED), 0);
	assert_int_equal(route(f.broker, "a", "zero", NULL), K2K_ECROSSTENANT);
	assert_int_equal(route(f.broker, "zero", "zero", NULL), 0);
	assert_int_equal(admitted(TENANT) + admitted(OTHER), 0);
	assert_int_equal(k2k_registry_info(f.admin, &info), 0);
	assert_int_equal(info.cross_tenant_total, 3);
	/* its broker is gone: nobody is crossed */
	assert_int_equal(k2k_registry_close(&second), 0);
	assert_int_equal(route(f.broker, "a", "b", &out), 0);
	assert_int_equal(out.flags, K2K_ROUTE_SOURCE);
	fixture_close(&f);
}

TEST(a_strict_registry_refuses_senders_that_nobody_knows)
{
	struct k2k_registry_info info = { .size = sizeof(info) };

	open_with(0, K2K_CREATE_STRICT);
	register_kernels(TENANT, 4);
	assert_int_equal(k2k_registry_info(f.admin, &info), 0);
	assert_true(info.flags & K2K_INFO_STRICT);
	assert_int_equal(add(f.broker, "a", TENANT), 0);
	assert_int_equal(route(f.broker, "nobody", "a", NULL), K2K_ENOKERNEL);
	assert_int_equal(route(f.broker, "nobody", "none", NULL), K2K_ENOKERNEL);
	assert_int_equal(route(f.broker, "a", "none", NULL), 0);
	fixture_close(&f);
}

TEST(kernels_of_an_earlier_registration_are_stale_until_they_are_added_again)
{
	struct k2k_kernel_info info = K2K_KERNEL_INFO_INIT;
	struct k2k_route out;

	open_with(0, 0);
	register_kernels(TENANT, 4);
	assert_int_equal(add(f.broker, "a", TENANT), 0);
	assert_int_equal(add(f.broker, "b", TENANT), 0);
	assert_int_equal(k2k_tenant_deregister(f.admin, TENANT, NULL), 0);
	assert_int_equal(route(f.broker, "a", "b", &out), K2K_ESTALE);
	register_kernels(TENANT, 4);
	assert_int_equal(route(f.broker, "a", "b", &out), K2K_ESTALE);
	assert_int_equal(out.flags, K2K_ROUTE_SOURCE | K2K_ROUTE_DESTINATION);
	assert_int_equal(k2k_kernel_find(f.admin, "a", &info), 0);
	assert_int_equal(info.flags, K2K_KERNEL_STALE);
	assert_int_equal(info.id, 0);
	assert_int_equal(names_of(TENANT), 0);
	assert_int_equal(names_of(K2K_TENANT_UNSPECIFIED), 2);
	assert_int_equal(add(f.broker, "a", TENANT), 0);
	assert_int_equal(route(f.broker, "a", "b", &out), K2K_ESTALE);
	assert_true(out.flags & K2K_ROUTE_DESTINATION_STALE);
	assert_int_equal(route(f.broker, "a", "a", NULL), 0);
	assert_int_equal(info_of(f.admin, TENANT).kernels, 1);
	/* what it held is gone with its registration */
	assert_int_equal(k2k_kernel_remove(f.broker, "b"), 0);
	assert_int_equal(info_of(f.admin, TENANT).kernels, 1);
	assert_int_equal(admitted(TENANT), 1);
	fixture_close(&f);
}

/* ---- damage ---------------------------------------------------------------------------------- */

static void repaired_and_clean(const char *what)
{
	struct k2k_repair_info info = { .size = sizeof(info) };
	struct k2k_finding finding = { .size = sizeof(finding) };
	size_t count;

	assert_int_equal(k2k_registry_repair(f.admin, &info), 0);
	assert_int_equal(k2k_registry_check(f.admin, &finding, 1, &count), 0);
	if (count)
		fail_msg("%s, after the repair: %s: %s", what, finding.object, finding.text);
}

static size_t findings(void)
{
	size_t count;

	assert_int_equal(k2k_registry_check(f.admin, NULL, 0, &count), 0);
	return count;
}

TEST(a_chain_that_leads_outside_or_round_is_an_error_and_repaired)
{
	struct k2k_kernel_info info = K2K_KERNEL_INFO_INIT;
	struct k2k_kernel_name name;
	struct k2k_kernel_copy copy;
	k2k_u32 *head;

	open_with(64, 0);
	register_kernels(TENANT, 4);
	assert_int_equal(add(f.broker, "a", TENANT), 0);
	name = name_of("a");
	head = &f.broker->map.kernel_heads[name.bucket];
	assert_int_equal(k2k_kernel_look(&f.broker->map, &name, &copy), 0);
	*head = 65;
	assert_int_equal(k2k_kernel_find(f.broker, "a", &info), K2K_ECORRUPT);
	assert_int_equal(route(f.broker, "a", "b", NULL), K2K_ECORRUPT);
	assert_int_equal(add(f.broker, "a", TENANT), K2K_ECORRUPT);
	assert_true(findings() > 0);
	repaired_and_clean("a head outside");
	assert_int_equal(tenant_of(f.broker, "a"), TENANT);
	*head = 0;
	assert_int_equal(k2k_kernel_find(f.broker, "a", &info), K2K_ENOKERNEL);
	assert_true(findings() > 0);
	repaired_and_clean("an empty bucket");
	assert_int_equal(tenant_of(f.broker, "a"), TENANT);
	f.broker->map.kernels[copy.index].entry.next = copy.index + 1;
	assert_int_equal(tenant_of(f.broker, "a"), TENANT);
	assert_true(findings() > 0);
	repaired_and_clean("a chain that goes round");
	assert_int_equal(k2k_kernel_remove(f.broker, "a"), 0);
	fixture_close(&f);
}

/* No answer is that of another tenant, whichever bit of a record is flipped. */
static void use_damaged(const char *what)
{
	struct k2k_kernel_info info = K2K_KERNEL_INFO_INIT;
	struct k2k_route out = K2K_ROUTE_INIT;
	int code = k2k_kernel_find(f.broker, "a", &info);

	if (code == 0 && info.id != TENANT && !(info.flags & K2K_KERNEL_STALE) && info.id != 0)
		fail_msg("%s: \"a\" is of tenant %u", what, (unsigned int)info.id);
	code = k2k_message_route(f.broker, "b", "a", no_tag, 1, &out, NULL);
	if (code == 0 && (out.tenant != OTHER || (out.flags & K2K_ROUTE_DESTINATION)))
		fail_msg("%s: a message reaches another tenant", what);
	code = k2k_message_route(f.broker, "a", "b", no_tag, 1, &out, NULL);
	/* if both are in one chain, "b" may not be found: then it reaches nobody */
	if (code == 0 && (out.flags & K2K_ROUTE_DESTINATION))
		fail_msg("%s: a message of \"a\" reaches another tenant", what);
}

TEST(each_bit_of_a_record_may_be_flipped)
{
	static const size_t last = sizeof(struct k2k_shm_kernel);
	struct k2k_kernel_copy copy;
	struct k2k_kernel_name name;
	unsigned char *bytes;
	char what[64];

	open_with(16, 0);
	register_kernels(TENANT, 1000);
	register_kernels(OTHER, 4);
	assert_int_equal(add(f.broker, "b", OTHER), 0);
	name = name_of("a");
	/* every seventh bit, at another offset in each byte */
	for (size_t bit = 0; bit < 8 * last; bit += 7) {
		atomic_fetch_add(&f.clock_ns, SECOND);
		assert_int_equal(add(f.broker, "a", TENANT), 0);
		assert_int_equal(k2k_kernel_look(&f.broker->map, &name, &copy), 0);
		bytes = (unsigned char *)&f.broker->map.kernels[copy.index];
		bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
		snprintf(what, sizeof(what), "byte %zu, bit %zu", bit / 8, bit % 8);
		use_damaged(what);
		repaired_and_clean(what);
		use_damaged(what);
		k2k_kernel_remove(f.broker, "a");
	}
	fixture_close(&f);
}

TEST(a_wrong_number_of_named_slots_is_found_and_set_right)
{
	struct k2k_shm_lease *lease = NULL;

	open_with(0, 0);
	register_kernels(TENANT, 4);
	assert_int_equal(add(f.broker, "a", TENANT), 0);
	for (uint32_t i = 0; i < f.broker->map.sizes.leases; i++)
		if (f.broker->map.leases[i].named)
			lease = &f.broker->map.leases[i];
	assert_non_null(lease);
	lease->named = 0;
	assert_int_equal(findings(), 1);
	repaired_and_clean("too few");
	assert_int_equal(lease->named, 1);
	lease->named = 2;
	assert_int_equal(findings(), 1);
	repaired_and_clean("too many");
	assert_int_equal(lease->named, 1);
	/* not all of that many can be held: the next name puts it right */
	lease->named = 1000;
	assert_int_equal(add(f.broker, "b", TENANT), 0);
	assert_int_equal(lease->named, 2);
	assert_int_equal(k2k_kernel_remove(f.broker, "b"), 0);
	assert_int_equal(k2k_kernel_remove(f.broker, "a"), 0);
	assert_int_equal(info_of(f.admin, TENANT).kernels, 0);
	fixture_close(&f);
}
