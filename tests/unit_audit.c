/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit_audit.c - what the application's audit sink receives, word for word */
#include "audit_fixture.h"

/* ---- each event ------------------------------------------------------------------------- */

TEST(a_cross_tenant_attempt_is_told_with_all_its_fields)
{
	static struct fixture f;

	set_up(&f);
	assert_int_equal(k2k_audit_cross_tenant(f.broker, 1, 2, "gemm", "softmax", tag), 0);
	CHECK_EVENTS(f.r, "Security SecurityViolation K2K_OK x1 k2k_broker softmax|"
	                  "cross-tenant K2K send rejected: from tenant 1 to tenant 2|"
	                  "from_tenant=1 to_tenant=2 source_kernel=gemm destination_kernel=softmax "
	                  "org_id=77 engagement_id=5");
	assert_int_equal(k2k_audit_cross_tenant(f.broker, UINT64_MAX, 0, "", "",
	                                        (struct k2k_audit_tag){ UINT64_MAX, UINT64_MAX }),
	                 0);
	CHECK_EVENTS(
		f.r,
		"Security SecurityViolation K2K_OK x1 k2k_broker |"
		"cross-tenant K2K send rejected: from tenant 18446744073709551615 to tenant 0|"
		"from_tenant=18446744073709551615 to_tenant=0 source_kernel= destination_kernel= "
		"org_id=18446744073709551615 engagement_id=18446744073709551615");
}

TEST(a_rate_rejection_is_told_with_used_and_limit)
{
	static struct fixture f;

	set_up(&f);
	admit_all(f.broker, 1);
	CHECK_NO_EVENTS(f.r);
	assert_int_equal(k2k_message_admit(f.broker, 1, tag, 1, NULL), K2K_ERATE);
	CHECK_EVENTS(f.r, "Warning ResourceLimitExceeded K2K_ERATE x1 k2k_tenant_registry -|"
	                  "tenant 1 quota exceeded: tenant 1 message-rate: 5/5|tenant=1 org_id=77 "
	                  "engagement_id=5");
	/* A peek is reported too. It is for another tenant, so it is no repeat. */
	admit_all(f.broker, 2);
	assert_int_equal(k2k_quota_check(f.broker, 2, none, 1, NULL), K2K_ERATE);
	CHECK_EVENTS(f.r, "Warning ResourceLimitExceeded K2K_ERATE x1 k2k_tenant_registry -|"
	                  "tenant 2 quota exceeded: tenant 2 message-rate: 5/5|tenant=2 org_id=0 "
	                  "engagement_id=0");
	/* An observer's sink receives the observer's own peeks only. */
	assert_int_equal(k2k_registry_set_audit_sink(f.observer, record, &other), 0);
	assert_int_equal(k2k_quota_check(f.observer, 2, none, 1, NULL), K2K_ERATE);
	CHECK_EVENTS(&other, "Warning ResourceLimitExceeded K2K_ERATE x1 k2k_tenant_registry -|"
	                     "tenant 2 quota exceeded: tenant 2 message-rate: 5/5|tenant=2 "
	                     "org_id=0 engagement_id=0");
	CHECK_NO_EVENTS(f.r);
}

TEST(a_budget_rejection_is_told_with_both_numbers)
{
	static struct fixture f;

	set_up(&f);
	assert_int_equal(k2k_usage_track(f.broker, 1, tag, 1500), 0);
	CHECK_NO_EVENTS(f.r);
	assert_int_equal(k2k_message_admit(f.broker, 1, tag, 1, NULL), K2K_EBUDGET);
	CHECK_EVENTS(
		f.r,
		"Warning ResourceLimitExceeded K2K_EBUDGET x1 k2k_tenant_registry -|"
		"tenant 1 quota exceeded: tenant 1 engagement 5 budget exceeded: 1500ns >= 1000ns|"
		"tenant=1 org_id=77 engagement_id=5");
}

TEST(an_unknown_tenant_is_told_as_an_authorization_check)
{
	static struct fixture f;

	set_up(&f);
	assert_int_equal(k2k_message_admit(f.broker, 99, tag, 1, NULL), K2K_ENOTENANT);
	assert_int_equal(k2k_quota_check(f.broker, 98, none, 1, NULL), K2K_ENOTENANT);
	assert_int_equal(k2k_kernel_acquire(f.broker, 97, NULL, NULL), K2K_ENOTENANT);
	assert_int_equal(k2k_gpu_memory_acquire(f.broker, 96, 1, NULL, NULL), K2K_ENOTENANT);
	CHECK_EVENTS(f.r,
	             "Warning AuthorizationCheck K2K_ENOTENANT x1 k2k_tenant_registry -|tenant 99 "
	             "not registered|"
	             "tenant=99 org_id=77 engagement_id=5",
	             "Warning AuthorizationCheck K2K_ENOTENANT x1 k2k_tenant_registry -|tenant 98 "
	             "not registered|"
	             "tenant=98 org_id=0 engagement_id=0",
	             "Warning AuthorizationCheck K2K_ENOTENANT x1 k2k_tenant_registry -|tenant 97 "
	             "not registered|"
	             "tenant=97 org_id=0 engagement_id=0",
	             "Warning AuthorizationCheck K2K_ENOTENANT x1 k2k_tenant_registry -|tenant 96 "
	             "not registered|"
	             "tenant=96 org_id=0 engagement_id=0");
}

TEST(kernel_and_memory_rejections_are_told)
{
	static struct fixture f;

	set_up(&f);
	assert_int_equal(k2k_kernel_acquire(f.broker, 1, NULL, NULL), 0);
	assert_int_equal(k2k_gpu_memory_acquire(f.broker, 1, 60, NULL, NULL), 0);
	CHECK_NO_EVENTS(f.r);
	assert_int_equal(k2k_kernel_acquire(f.broker, 1, NULL, NULL), K2K_EKERNELS);
	assert_int_equal(k2k_gpu_memory_acquire(f.broker, 1, 41, NULL, NULL), K2K_EGPUMEM);
	CHECK_EVENTS(f.r,
	             "Warning ResourceLimitExceeded K2K_EKERNELS x1 k2k_tenant_registry -|"
	             "tenant 1 quota exceeded: tenant 1 kernel-slots: 1/1|tenant=1 org_id=0 "
	             "engagement_id=0",
	             "Warning ResourceLimitExceeded K2K_EGPUMEM x1 k2k_tenant_registry -|"
	             "tenant 1 quota exceeded: tenant 1 gpu-memory: 60/100|tenant=1 org_id=0 "
	             "engagement_id=0");
}

TEST(changes_of_definitions_are_told_by_the_programs_name)
{
	struct k2k_budget budgets[] = { { 8, 800 }, { 9, 900 } };
	struct k2k_quota quota = { .size = sizeof quota,
		                   .max_messages_per_sec = 11,
		                   .max_gpu_memory_bytes = 22,
		                   .max_concurrent_kernels = 33,
		                   .budget_count = 2,
		                   .budgets = budgets };
	struct k2k_tenant_totals totals = { .size = sizeof totals };
	static struct fixture f;

	set_up(&f);
	assert_int_equal(k2k_registry_set_audit_sink(f.admin, record, &of_admin), 0);
	assert_int_equal(k2k_tenant_register(f.admin, 50, &quota), 0);
	CHECK_EVENTS(&of_admin,
	             "Info ConfigurationChange K2K_OK x1 tests -|tenant 50 registered|"
	             "tenant=50 generation=3 max_messages_per_sec=11 max_gpu_memory_bytes=22 "
	             "max_concurrent_kernels=33",
	             "Info ConfigurationChange K2K_OK x1 tests -|tenant 50 budget set|tenant=50 "
	             "generation=3 engagement_id=8 budget_ns=800",
	             "Info ConfigurationChange K2K_OK x1 tests -|tenant 50 budget set|tenant=50 "
	             "generation=3 engagement_id=9 budget_ns=900");
	quota.max_messages_per_sec = 12;
	assert_int_equal(k2k_tenant_update(f.admin, 50, &quota, K2K_UPDATE_RATE), 0);
	CHECK_EVENTS(&of_admin, "Info ConfigurationChange K2K_OK x1 tests -|tenant 50 updated|"
	                        "tenant=50 generation=3 max_messages_per_sec=12");
	quota.max_gpu_memory_bytes = 23;
	quota.max_concurrent_kernels = 34;
	assert_int_equal(
		k2k_tenant_update(f.admin, 50, &quota, K2K_UPDATE_KERNELS | K2K_UPDATE_GPU_MEMORY),
		0);
	CHECK_EVENTS(&of_admin,
	             "Info ConfigurationChange K2K_OK x1 tests -|tenant 50 updated|"
	             "tenant=50 generation=3 max_gpu_memory_bytes=23 max_concurrent_kernels=34");
	assert_int_equal(k2k_tenant_deregister(f.admin, 50, &totals), 0);
	CHECK_EVENTS(&of_admin, "Info ConfigurationChange K2K_OK x1 tests -|tenant 50 "
	                        "deregistered|tenant=50 generation=3");
	assert_int_equal(k2k_tenant_register(f.admin, 51, NULL), 0);
	CHECK_EVENTS(&of_admin, "Info ConfigurationChange K2K_OK x1 tests -|tenant 51 registered|"
	                        "tenant=51 generation=4 max_messages_per_sec=100000 "
	                        "max_gpu_memory_bytes=2147483648 "
	                        "max_concurrent_kernels=16");
	/* A change that failed is not reported. */
	assert_int_equal(k2k_tenant_register(f.admin, 51, NULL), K2K_EEXIST);
	assert_int_equal(k2k_tenant_deregister(f.admin, 52, NULL), K2K_ENOTENANT);
	assert_int_equal(k2k_budget_unset(f.admin, 51, 1), K2K_ENOBUDGET);
	assert_int_equal(k2k_budget_set(f.admin, 52, 1, 1), K2K_ENOTENANT);
	CHECK_NO_EVENTS(&of_admin);
	CHECK_NO_EVENTS(f.r);
}

TEST(a_budget_set_or_unset_is_told)
{
	static struct fixture f;

	set_up(&f);
	assert_int_equal(k2k_registry_set_audit_sink(f.admin, record, &of_admin), 0);
	assert_int_equal(k2k_budget_set(f.admin, 1, 6, 0), 0);
	assert_int_equal(k2k_budget_unset(f.admin, 1, 6), 0);
	/* One change is one event. */
	CHECK_EVENTS(&of_admin,
	             "Info ConfigurationChange K2K_OK x1 tests -|tenant 1 budget set|tenant=1 "
	             "generation=1 engagement_id=6 budget_ns=0",
	             "Info ConfigurationChange K2K_OK x1 tests -|tenant 1 budget unset|"
	             "tenant=1 generation=1 engagement_id=6 budget_ns=18446744073709551615");
}

#define CHANGE(what, fields)                                                     \
	"Info ConfigurationChange K2K_OK x1 tests -|tenant 1 " what "|tenant=1 " \
	"generation=1 " fields

TEST(what_was_so_already_is_not_told)
{
	struct k2k_budget budgets[] = { { 9, 7 }, { 5, 1000 },          { 8, K2K_UNLIMITED },
		                        { 6, 1 }, { 9, K2K_UNLIMITED }, { 6, 60 } };
	struct k2k_quota quota = { .size = sizeof quota,
		                   .max_messages_per_sec = 5,
		                   .max_gpu_memory_bytes = 100,
		                   .max_concurrent_kernels = 1,
		                   .budget_count = 6,
		                   .budgets = budgets };
	static struct fixture f;

	set_up(&f);
	assert_int_equal(k2k_registry_set_audit_sink(f.admin, record, &of_admin), 0);
	/*
	 * If an engagement is listed twice, the last entry counts. No event for 9 and 8, which had
	 * no budget, nor for 5, which stays at 1000.
	 */
	assert_int_equal(k2k_tenant_update(f.admin, 1, &quota, 15), 0);
	CHECK_EVENTS(&of_admin, CHANGE("budget set", "engagement_id=6 budget_ns=60"));
	assert_int_equal(k2k_tenant_update(f.admin, 1, &quota, 15), 0);
	assert_int_equal(k2k_tenant_update(f.admin, 1, &quota, 0), 0);
	assert_int_equal(k2k_budget_set(f.admin, 1, 6, 60), 0);
	CHECK_NO_EVENTS(&of_admin);
	/* Only the limits that differ are reported, before the budgets. */
	quota.max_concurrent_kernels = 2;
	budgets[5].budget_ns = 61;
	assert_int_equal(k2k_tenant_update(f.admin, 1, &quota, 15), 0);
	CHECK_EVENTS(&of_admin, CHANGE("updated", "max_concurrent_kernels=2"),
	             CHANGE("budget set", "engagement_id=6 budget_ns=61"));
	quota.max_gpu_memory_bytes = 101;
	assert_int_equal(k2k_tenant_update(f.admin, 1, &quota, 15), 0);
	CHECK_EVENTS(&of_admin, CHANGE("updated", "max_gpu_memory_bytes=101"));
	/* A limit that is not in the mask does not change. */
	quota.max_messages_per_sec = 6;
	assert_int_equal(k2k_tenant_update(f.admin, 1, &quota, K2K_UPDATE_KERNELS), 0);
	CHECK_NO_EVENTS(&of_admin);
	budgets[5].budget_ns = K2K_UNLIMITED;
	assert_int_equal(
		k2k_tenant_update(f.admin, 1, &quota, K2K_UPDATE_BUDGETS | K2K_UPDATE_RATE), 0);
	CHECK_EVENTS(&of_admin, CHANGE("updated", "max_messages_per_sec=6"),
	             CHANGE("budget unset", "engagement_id=6 budget_ns=18446744073709551615"));
	/* A new tenant: the budgets that it has are reported. */
	budgets[5].budget_ns = 62;
	assert_int_equal(k2k_tenant_register(f.admin, 50, &quota), 0);
	CHECK_EVENTS(&of_admin,
	             "Info ConfigurationChange K2K_OK x1 tests -|tenant 50 registered|"
	             "tenant=50 generation=3 max_messages_per_sec=6 max_gpu_memory_bytes=101 "
	             "max_concurrent_kernels=2",
	             "Info ConfigurationChange K2K_OK x1 tests -|tenant 50 budget set|tenant=50 "
	             "generation=3 engagement_id=5 budget_ns=1000",
	             "Info ConfigurationChange K2K_OK x1 tests -|tenant 50 budget set|tenant=50 "
	             "generation=3 engagement_id=6 budget_ns=62");
}

TEST(the_actor_is_the_processs_name_unless_given)
{
	static struct k2k_registry *reg;
	static struct fixture f;

	set_up(&f);
	prctl(PR_SET_NAME, "my program");
	assert_int_equal(k2k_registry_open(f.name, K2K_ROLE_ADMIN, NULL, &reg), 0);
	assert_int_equal(k2k_registry_set_audit_sink(reg, record, &of_admin), 0);
	assert_int_equal(k2k_tenant_deregister(reg, 2, NULL), 0);
	CHECK_EVENTS(&of_admin, "Info ConfigurationChange K2K_OK x1 my program -|tenant 2 "
	                        "deregistered|tenant=2 generation=2");
}

TEST(the_longest_numbers_and_names_are_not_cut)
{
	struct k2k_budget budget = { UINT64_MAX, UINT64_MAX - 1 };
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;
	char name[300], expected[2048];
	static struct fixture f;

	set_up(&f);
	quota.budget_count = 1;
	quota.budgets = &budget;
	assert_int_equal(k2k_tenant_register(f.admin, UINT64_MAX, &quota), 0);
	assert_int_equal(k2k_usage_track(f.broker, UINT64_MAX,
	                                 (struct k2k_audit_tag){ 0, UINT64_MAX }, UINT64_MAX),
	                 0);
	assert_int_equal(k2k_message_admit(f.broker, UINT64_MAX,
	                                   (struct k2k_audit_tag){ UINT64_MAX, UINT64_MAX }, 1,
	                                   NULL),
	                 K2K_EBUDGET);
	CHECK_EVENTS(f.r, "Warning ResourceLimitExceeded K2K_EBUDGET x1 k2k_tenant_registry -|"
	                  "tenant 18446744073709551615 quota exceeded: tenant 18446744073709551615 "
	                  "engagement 18446744073709551615 "
	                  "budget exceeded: 18446744073709551615ns >= 18446744073709551614ns|"
	                  "tenant=18446744073709551615 org_id=18446744073709551615 "
	                  "engagement_id=18446744073709551615");
	memset(name, 'k', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	for (size_t length = sizeof name - 1;; length = 96 - (length == 96)) {
		name[length] = '\0';
		snprintf(expected, sizeof expected,
		         "Security SecurityViolation K2K_OK x1 k2k_broker %s|cross-tenant K2K send "
		         "rejected: from tenant 1 to tenant 2|"
		         "from_tenant=1 to_tenant=2 source_kernel=%s destination_kernel=%s "
		         "org_id=0 engagement_id=0",
		         name, name, name);
		assert_int_equal(k2k_audit_cross_tenant(f.broker, 1, 2, name, name, none), 0);
		CHECK_EVENTS(f.r, expected);
		if (length == 95)
			break;
	}
}

/* ---- coalescing ----------------------------------------------------------------------------- */

#define RATE(count, used, id)                                                             \
	"Warning ResourceLimitExceeded K2K_ERATE x" count " k2k_tenant_registry -|"       \
	"tenant " id " quota exceeded: tenant " id " message-rate: " used "/5|tenant=" id \
	" org_id=77 engagement_id=5"

TEST(repeats_within_a_second_come_out_as_one_event_with_their_number)
{
	static struct fixture f;

	set_up(&f);
	assert_int_equal(k2k_message_admit(f.broker, 1, none, 3, NULL), 0);
	assert_int_equal(k2k_message_admit(f.broker, 1, tag, 4, NULL), K2K_ERATE);
	assert_int_equal(k2k_message_admit(f.broker, 1, tag, 4, NULL), K2K_ERATE);
	advance(SECOND - 1);
	assert_int_equal(k2k_message_admit(f.broker, 1, none, 2, NULL), 0);
	for (int i = 0; i < 40; i++)
		assert_int_equal(k2k_message_admit(f.broker, 1, tag, 1, NULL), K2K_ERATE);
	CHECK_EVENTS(f.r, RATE("1", "3", "1"));
	/*
	 * The first rejection of the next second reports the repeats, with the newest numbers, and
	 * itself.
	 */
	advance(1);
	assert_int_equal(k2k_message_admit(f.broker, 1, none, 4, NULL), 0);
	assert_int_equal(k2k_message_admit(f.broker, 1, tag, 2, NULL), K2K_ERATE);
	CHECK_EVENTS(f.r, RATE("41", "5", "1"), RATE("1", "4", "1"));
	/* Without repeats there is nothing to report. */
	advance(SECOND);
	assert_int_equal(k2k_message_admit(f.broker, 1, tag, 6, NULL), K2K_ERATE);
	CHECK_EVENTS(f.r, RATE("1", "0", "1"));
}

TEST(another_tenant_tag_code_or_kernel_is_no_repeat)
{
	static struct fixture f;

	set_up(&f);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(k2k_message_admit(f.broker, 1, tag, 6, NULL), K2K_ERATE);
		assert_int_equal(k2k_message_admit(f.broker, 2, tag, 6, NULL), K2K_ERATE);
		assert_int_equal(
			k2k_message_admit(f.broker, 1, (struct k2k_audit_tag){ 77, 6 }, 6, NULL),
			K2K_ERATE);
		assert_int_equal(
			k2k_message_admit(f.broker, 1, (struct k2k_audit_tag){ 78, 5 }, 6, NULL),
			K2K_ERATE);
		assert_int_equal(k2k_message_admit(f.broker, 3, tag, 6, NULL), K2K_ENOTENANT);
		assert_int_equal(k2k_audit_cross_tenant(f.broker, 1, 2, "a", "b", tag), 0);
		assert_int_equal(k2k_audit_cross_tenant(f.broker, 1, 3, "a", "b", tag), 0);
		assert_int_equal(k2k_audit_cross_tenant(f.broker, 2, 1, "a", "b", tag), 0);
		assert_int_equal(k2k_audit_cross_tenant(f.broker, 1, 2, "a", "c", tag), 0);
		assert_int_equal(k2k_audit_cross_tenant(f.broker, 1, 2, "c", "b", tag), 0);
		assert_int_equal(k2k_audit_cross_tenant(f.broker, 1, 2, "b", "a", tag), 0);
		if (round == 0)
			assert_int_equal(of_broker.events, 11);
	}
	assert_int_equal(k2k_registry_close(&f.broker), 0);
	assert_int_equal(of_broker.sum, 22);
	/* Two kinds that share an entry evict each other: more events, the same sum. */
	assert_true(of_broker.events <= 22);
}

TEST(a_thousand_kinds_sum_up_exactly)
{
	static struct fixture f;

	set_up(&f);
	for (int round = 0; round < 3; round++) {
		for (uint64_t i = 0; i < 1000; i++)
			assert_int_equal(k2k_message_admit(f.broker, 1,
			                                   (struct k2k_audit_tag){ i, i * 7 }, 6,
			                                   NULL),
			                 K2K_ERATE);
		advance(round * SECOND / 2);
	}
	assert_int_equal(k2k_registry_close(&f.broker), 0);
	assert_int_equal(of_broker.sum, 3000);
}

static void check_last(uint64_t events, const char *format, uint64_t number)
{
	char part[64];

	snprintf(part, sizeof part, format, number);
	assert_int_equal(recorded(&of_broker), events);
	assert_contains(of_broker.lines[events - 1], part);
}

/*
 * There are more kinds than entries for repeats: kinds that share an entry are still reported
 * apart.
 */
TEST(the_first_of_a_kind_is_told_at_once_whatever_shares_its_place)
{
	static struct fixture f;
	char kernel[16];

	set_up(&f);
	for (uint64_t i = 0; i < 1000; i++) {
		assert_int_equal(k2k_message_admit(f.broker, 1,
		                                   (struct k2k_audit_tag){ 0, 1000 + i }, 6, NULL),
		                 K2K_ERATE);
		check_last(5 * i + 1, " engagement_id=%" PRIu64, 1000 + i);
		assert_int_equal(k2k_message_admit(f.broker, 1,
		                                   (struct k2k_audit_tag){ 1000 + i, 0 }, 6, NULL),
		                 K2K_ERATE);
		check_last(5 * i + 2, " org_id=%" PRIu64, 1000 + i);
		assert_int_equal(k2k_kernel_acquire(f.broker, 1000 + i, NULL, NULL), K2K_ENOTENANT);
		check_last(5 * i + 3, "|tenant=%" PRIu64, 1000 + i);
		assert_int_equal(k2k_audit_cross_tenant(f.broker, 1, 1000 + i, "a", "b", none), 0);
		check_last(5 * i + 4, " to_tenant=%" PRIu64, 1000 + i);
		snprintf(kernel, sizeof kernel, "%" PRIu64, 1000 + i);
		assert_int_equal(k2k_audit_cross_tenant(f.broker, 1, 2, i % 2 ? "a" : kernel,
		                                        i % 2 ? kernel : "b", none),
		                 0);
		check_last(5 * i + 5,
		           i % 2 ? " destination_kernel=%" PRIu64 : " source_kernel=%" PRIu64,
		           1000 + i);
	}
	assert_int_equal(k2k_registry_close(&f.broker), 0);
	assert_int_equal(of_broker.sum, 5000);
}

TEST(the_helper_lets_repeats_out_within_two_seconds)
{
	static struct fixture f;
	struct timespec now;

	set_up(&f);
	for (int i = 0; i < 10; i++)
		assert_int_equal(k2k_message_admit(f.broker, 1, tag, 6, NULL), K2K_ERATE);
	nanosleep(&(struct timespec){ 2, 200000000 }, NULL);
	assert_int_equal(recorded(f.r), 1); /* the second is not over */
	clock_gettime(CLOCK_REALTIME, &now);
	advance(SECOND);
	WAIT_UNTIL(recorded(f.r) == 2, PATIENCE_S);
	assert_false(pthread_equal(of_broker.thread[1], pthread_self()));
	/* Its time is that of the newest repeat, not that of the report. */
	assert_true(of_broker.time_ns[1] <
	            (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec - 2 * SECOND);
	assert_true(of_broker.time_ns[1] >= of_broker.time_ns[0]);
	CHECK_EVENTS(f.r, RATE("1", "0", "1"), RATE("9", "0", "1"));
}

TEST(close_and_a_new_sink_let_repeats_out_to_the_old_one)
{
	struct k2k_registry *kept;
	static struct fixture f;

	set_up(&f);
	for (int i = 0; i < 4; i++)
		assert_int_equal(k2k_message_admit(f.broker, 1, tag, 6, NULL), K2K_ERATE);
	assert_int_equal(k2k_registry_set_audit_sink(f.broker, record, &other), 0);
	CHECK_EVENTS(f.r, RATE("1", "0", "1"), RATE("3", "0", "1"));
	CHECK_NO_EVENTS(&other);
	for (int i = 0; i < 7; i++)
		assert_int_equal(k2k_message_admit(f.broker, 2, tag, 6, NULL), K2K_ERATE);
	kept = f.broker;
	assert_int_equal(k2k_registry_close(&f.broker), 0);
	CHECK_EVENTS(&other, RATE("1", "0", "2"), RATE("6", "0", "2"));
	assert_int_equal(k2k_message_admit(kept, 1, tag, 6, NULL), K2K_EINVAL);
	CHECK_NO_EVENTS(&other);
	CHECK_NO_EVENTS(f.r);
}

TEST(a_new_sink_is_told_of_its_first_rejection_even_if_the_old_one_was)
{
	static struct fixture f;

	set_up(&f);
	assert_int_equal(k2k_message_admit(f.broker, 1, tag, 6, NULL), K2K_ERATE);
	assert_int_equal(k2k_registry_set_audit_sink(f.broker, record, &other), 0);
	assert_int_equal(k2k_message_admit(f.broker, 1, tag, 6, NULL), K2K_ERATE);
	assert_int_equal(k2k_registry_set_audit_sink(f.broker, NULL, NULL), 0);
	CHECK_EVENTS(f.r, RATE("1", "0", "1"));
	CHECK_EVENTS(&other, RATE("1", "0", "1"));
}

TEST(without_a_sink_nothing_is_told_and_nothing_is_kept_for_later)
{
	static struct fixture f;

	set_up(&f);
	assert_int_equal(k2k_message_admit(f.broker, 1, tag, 6, NULL), K2K_ERATE);
	assert_int_equal(k2k_registry_set_audit_sink(f.broker, NULL, NULL), 0);
	assert_int_equal(k2k_registry_set_audit_sink(f.broker, NULL, &other), 0);
	CHECK_EVENTS(f.r, RATE("1", "0", "1"));
	for (int i = 0; i < 10; i++)
		assert_int_equal(k2k_message_admit(f.broker, 1, tag, 6, NULL), K2K_ERATE);
	assert_int_equal(k2k_audit_cross_tenant(f.broker, 1, 2, "a", "b", tag), 0);
	assert_int_equal(k2k_registry_set_audit_sink(f.broker, record, &other), 0);
	advance(SECOND);
	assert_int_equal(k2k_message_admit(f.broker, 1, tag, 6, NULL), K2K_ERATE);
	CHECK_EVENTS(&other, RATE("1", "0", "1"));
	CHECK_NO_EVENTS(f.r);
}

/* Totals count every rejection, reported or not. */
TEST(totals_count_each_rejection_that_events_stand_for)
{
	struct k2k_tenant_info info = { .size = sizeof info };
	static struct fixture f;

	set_up(&f);
	for (int i = 0; i < 25; i++)
		assert_int_equal(k2k_message_admit(f.broker, 1, tag, 6, NULL), K2K_ERATE);
	assert_int_equal(k2k_registry_close(&f.broker), 0);
	assert_int_equal(k2k_tenant_get(f.observer, 1, &info), 0);
	assert_int_equal(info.rejected_total.rate, 25);
	assert_int_equal(of_broker.sum, 25);
}
