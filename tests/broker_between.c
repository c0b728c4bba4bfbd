/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * broker_between - what becomes of a message whose two kernels are of different brokers
 *
 * The names are those of broker_parity, which has both kernels in one process. Here each test has
 * the source in one process, the destination in a second one, and reads the totals in a third.
 */
#include "broker_pair.h"
#include "trail_reader.h"

TEST(legacy_single_tenant_send_unchanged)
{
	set_up_two();
	DECIDES(one, "{\"kernel\":\"add\",\"name\":\"a\"}", "ADDED");
	DECIDES(two, "{\"kernel\":\"add\",\"name\":\"b\"}", "ADDED");
	DECIDES(one, "{\"send\":\"a\",\"to\":\"b\"}", "FORWARDED");
	RECEIVES(two, "{\"deliver\":\"b\",\"from\":\"a\",\"tenant\":\"0\",\"org\":\"0\","
	              "\"engagement\":\"0\",\"gpu_ns\":\"0\"}");
	DECIDES(one, "{\"send\":\"a\",\"to\":\"nobody\"}", "NOT_FOUND");
	DECIDES(one, "{\"send\":\"stranger\",\"to\":\"b\"}", "FORWARDED");
	RECEIVES(two, "{\"deliver\":\"b\",\"from\":\"stranger\",\"tenant\":\"0\",\"org\":\"0\","
	              "\"engagement\":\"0\",\"gpu_ns\":\"0\"}");
	assert_int_equal(received(&two, "\"delivered\":\""), 2);
	assert_int_equal(registry_info().tenants.used, 0);
	assert_int_equal(registry_info().unknown_tenant_total, 0);
	assert_int_equal(registry_info().cross_tenant_total, 0);
	assert_int_equal(registry_info().engagements.used, 0);
	tear_down_two();
}

TEST(single_tenant_fast_path_uses_unspecified_tenant)
{
	set_up_two();
	tenant(42, 0, 0); /* its limits reject everything: no request may be made for it */
	DECIDES(one, "{\"kernel\":\"add\",\"name\":\"a\",\"org\":1,\"engagement\":7}", "ADDED");
	DECIDES(two, "{\"kernel\":\"add\",\"name\":\"b\"}", "ADDED");
	for (int i = 0; i < 50; i++)
		DECIDES(one, "{\"send\":\"a\",\"to\":\"b\"}", "FORWARDED");
	SAYS(one, "{\"send\":\"a\",\"to\":\"b\"}", "\"tenant\":\"0\"");
	assert_false(strstr(ask_at(&one, "{\"send\":\"a\",\"to\":\"b\"}"), "limit"));
	SAYS(one, "{\"send\":\"a\",\"to\":\"b\",\"gpu_ns\":5}",
	     "\"booked_ns\":\"0\",\"unbooked\":\"unspecified_tenant\"");
	for (int i = 0; i < 53; i++)
		assert_contains(next_line(two.client), "{\"deliver\":\"b\"");
	assert_int_equal(received(&two, "\"delivered\":\""), 53);
	assert_int_equal(info_of(42).admitted_total, 0);
	assert_int_equal(info_of(42).rejected_total.rate, 0);
	assert_int_equal(info_of(42).kernels, 0);
	assert_int_equal(registry_info().engagements.used, 0);
	tear_down_two();
}

TEST(cross_tenant_send_rejected_with_tenant_mismatch)
{
	set_up_two();
	tenant(1, 100, 4);
	tenant(2, 100, 4);
	DECIDES(one, "{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":1}", "ADDED");
	DECIDES(two, "{\"kernel\":\"add\",\"name\":\"b\",\"tenant\":2}", "ADDED");
	DECIDES(two, "{\"kernel\":\"add\",\"name\":\"legacy\"}", "ADDED");
	SAYS(one, "{\"send\":\"a\",\"to\":\"b\",\"gpu_ns\":9}",
	     "\"decision\":\"TENANT_MISMATCH\",\"reason\":null,\"tenant\":\"1\",\"to_tenant\":"
	     "\"2\"");
	DECIDES(two, "{\"send\":\"b\",\"to\":\"a\"}", "TENANT_MISMATCH");
	DECIDES(two, "{\"send\":\"legacy\",\"to\":\"a\"}", "TENANT_MISMATCH");
	DECIDES(one, "{\"send\":\"a\",\"to\":\"legacy\"}", "TENANT_MISMATCH");
	DECIDES(two, "{\"send\":\"stranger\",\"to\":\"a\"}", "TENANT_MISMATCH");
	assert_int_equal(received(&one, "\"delivered\":\""), 0);
	assert_int_equal(received(&two, "\"delivered\":\""), 0);
	assert_int_equal(info_of(1).admitted_total, 0);
	assert_int_equal(info_of(2).admitted_total, 0);
	assert_int_equal(gpu_ns_of(1, 0), 0);
	assert_int_equal(registry_info().cross_tenant_total, 5);
	/* An unknown destination counts as the sender's tenant. */
	DECIDES(one, "{\"send\":\"a\",\"to\":\"nobody\"}", "NOT_FOUND");
	assert_int_equal(info_of(1).admitted_total, 1);
	assert_int_equal(registry_info().cross_tenant_total, 5);
	tear_down_two();
}

TEST(cross_tenant_attempt_recorded_in_audit_sink)
{
	static struct reader reader;
	const struct k2k_audit_record *record;

	set_up_two();
	tenant(1, 100, 4);
	tenant(2, 100, 4);
	ask_at(&one,
	       "{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":1,\"org\":11,\"engagement\":12}");
	ask_at(&two, "{\"kernel\":\"add\",\"name\":\"b\",\"tenant\":2}");
	DECIDES(one, "{\"send\":\"a\",\"to\":\"b\"}", "TENANT_MISMATCH");
	/* a sink is called in the broker: another process reads the trail that it writes */
	reader_open(&reader, admin);
	reader_take_all(&reader);
	record = reader_need(&reader, K2K_AUDIT_KIND_CROSS_TENANT, 0);
	assert_false(reader_find(&reader, K2K_AUDIT_KIND_CROSS_TENANT, 1));
	assert_int_equal(record->level, K2K_AUDIT_SECURITY);
	assert_int_equal(record->type, K2K_AUDIT_SECURITY_VIOLATION);
	assert_string_equal(record->actor, "k2k_broker");
	assert_int_equal(record->pid, one.program.pid);
	assert_int_equal(record->tenant, 1);
	assert_int_equal(record->to, 2);
	assert_string_equal(record->source, "a");
	assert_string_equal(record->destination, "b");
	assert_int_equal(record->tag.org_id, 11);
	assert_int_equal(record->tag.engagement_id, 12);
	assert_int_equal(registry_info().cross_tenant_total, 1);
	assert_int_equal(info_of(1).admitted_total, 0);
	tear_down_two();
}

TEST(same_tenant_send_succeeds_with_audit_tag)
{
	set_up_two();
	tenant(42, 5000, 4);
	ask_at(&one, "{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42}");
	ask_at(&two, "{\"kernel\":\"add\",\"name\":\"b\",\"tenant\":42}");
	const char *line = ask_at(&one, "{\"send\":\"a\",\"to\":\"b\",\"org\":1,\"engagement\":7,"
	                                "\"gpu_ns\":1500000}");
	assert_contains(line, "\"decision\":\"FORWARDED\",\"reason\":null,\"tenant\":\"42\","
	                      "\"broker\":1,\"org\":\"1\",\"engagement\":\"7\",\"used\":\"1\","
	                      "\"limit\":\"5000\",\"remaining\":\"4999\"");
	assert_contains(line, "\"booked_ns\":\"1500000\"}");
	RECEIVES(two, "{\"deliver\":\"b\",\"from\":\"a\",\"tenant\":\"42\",\"org\":\"1\","
	              "\"engagement\":\"7\",\"gpu_ns\":\"1500000\"}");
	assert_int_equal(info_of(42).admitted_total, 1);
	assert_int_equal(gpu_ns_of(42, 7), 1500000);
	assert_int_equal(registry_info().cross_tenant_total, 0);
	tear_down_two();
}

TEST(engagement_cost_accumulates_across_sends)
{
	set_up();
	one = PLACE("--peers", peers());
	two = PLACE("--peers", peers(), "--queue", "0");
	tenant(42, 5000, 4);
	ask_at(&one, "{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42}");
	ask_at(&two, "{\"kernel\":\"add\",\"name\":\"b\",\"tenant\":42}");
	DECIDES(one, "{\"send\":\"a\",\"to\":\"b\",\"org\":1,\"engagement\":7,\"gpu_ns\":100}",
	        "FORWARDED");
	DECIDES(one, "{\"send\":\"a\",\"to\":\"nobody\",\"org\":1,\"engagement\":7,\"gpu_ns\":200}",
	        "NOT_FOUND");
	SAYS(two, "{\"send\":\"b\",\"to\":\"a\",\"org\":1,\"engagement\":7,\"gpu_ns\":300}",
	     "\"booked_ns\":\"300\"");
	assert_contains(next_line(one.client), "{\"deliver\":\"a\"");
	DECIDES(one,
	        "{\"send\":\"a\",\"to\":\"b\",\"org\":2,\"engagement\":7,\"gpu_ns\":"
	        "\"18446744073709551615\"}",
	        "FORWARDED");
	/* The receiver's queue is full: it is admitted and billed all the same. */
	WAIT_UNTIL(received(&two, "\"queue_full\":\"") == 2, PATIENCE_S);
	assert_int_equal(info_of(42).admitted_total, 4);
	assert_int_equal(gpu_ns_of(42, 7), UINT64_MAX);
	/* another org does not make another engagement */
	assert_int_equal(registry_info().engagements.used, 1);
	SAYS(one, "{\"stats\":true}", "\"admitted\":\"3\",\"delivered\":\"0\"");
	tear_down_two();
}

TEST(engagement_cost_separate_across_audit_tags)
{
	set_up_two();
	tenant(1, 5000, 4);
	tenant(2, 5000, 4);
	ask_at(&one, "{\"kernel\":\"add\",\"name\":\"a1\",\"tenant\":1}");
	ask_at(&one, "{\"kernel\":\"add\",\"name\":\"b1\",\"tenant\":2}");
	ask_at(&two, "{\"kernel\":\"add\",\"name\":\"a2\",\"tenant\":1}");
	ask_at(&two, "{\"kernel\":\"add\",\"name\":\"b2\",\"tenant\":2}");
	DECIDES(one, "{\"send\":\"a1\",\"to\":\"a2\",\"engagement\":7,\"gpu_ns\":100}",
	        "FORWARDED");
	DECIDES(one, "{\"send\":\"a1\",\"to\":\"a2\",\"engagement\":8,\"gpu_ns\":20}", "FORWARDED");
	DECIDES(one, "{\"send\":\"b1\",\"to\":\"b2\",\"engagement\":7,\"gpu_ns\":5000}",
	        "FORWARDED");
	for (int i = 0; i < 3; i++)
		assert_contains(next_line(two.client), "{\"deliver\":\"");
	DECIDES(two, "{\"send\":\"a2\",\"to\":\"a1\",\"engagement\":7,\"gpu_ns\":1}", "FORWARDED");
	assert_contains(next_line(one.client), "{\"deliver\":\"a1\",\"from\":\"a2\"");
	assert_int_equal(gpu_ns_of(1, 7), 101);
	assert_int_equal(gpu_ns_of(1, 8), 20);
	assert_int_equal(gpu_ns_of(2, 7), 5000);
	assert_int_equal(gpu_ns_of(2, 8), 0);
	assert_int_equal(info_of(1).admitted_total, 3);
	assert_int_equal(registry_info().engagements.used, 3);
	tear_down_two();
}

TEST(quota_enforcement_rejects_over_rate_limit)
{
	uint64_t window = 0, in_window = 0, admitted = 0, rejected = 0;

	set_up_two();
	tenant(42, 5, 4);
	tenant(43, 0, 4);
	ask_at(&one, "{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42}");
	ask_at(&two, "{\"kernel\":\"add\",\"name\":\"b\",\"tenant\":42}");
	ask_at(&one, "{\"kernel\":\"add\",\"name\":\"z\",\"tenant\":43}");
	ask_at(&two, "{\"kernel\":\"add\",\"name\":\"y\",\"tenant\":43}");
	/* By turns, from one broker and from the other: both count in the same window. */
	for (int refused_here = 0; !refused_here;) {
		int from_one = (admitted + rejected) % 2 == 0;
		const char *line = from_one ? ask_at(&one,
		                                     "{\"send\":\"a\",\"to\":\"b\",\"gpu_ns\":10}")
		                            : ask_at(&two,
		                                     "{\"send\":\"b\",\"to\":\"a\",\"gpu_ns\":10}");
		uint64_t now = number_in(line, "\"window\":\"");

		if (now != window) {
			assert_true(now > window);
			window = now;
			in_window = 0;
		}
		if (strstr(line, "FORWARDED")) {
			in_window++;
			admitted++;
			assert_int_equal(number_in(line, "\"used\":\""), in_window);
			assert_true(in_window <= 5);
			assert_contains(next_line(from_one ? two.client : one.client),
			                "{\"deliver\":\"");
		} else {
			assert_contains(line, "\"decision\":\"REJECTED\",\"reason\":\"rate\"");
			assert_contains(line, "\"used\":\"5\",\"limit\":\"5\",\"remaining\":\"0\"");
			assert_int_equal(in_window, 5);
			refused_here = 1;
			rejected++;
		}
	}
	DECIDES(one, "{\"send\":\"z\",\"to\":\"y\"}", "REJECTED");
	assert_int_equal(info_of(42).admitted_total, admitted);
	assert_int_equal(info_of(42).rejected_total.rate, rejected);
	assert_int_equal(gpu_ns_of(42, 0), admitted * 10);
	assert_int_equal(info_of(43).admitted_total, 0);
	assert_int_equal(info_of(43).rejected_total.rate, 1);
	assert_int_equal(k2k_tenant_deregister(admin, 43, NULL), 0);
	SAYS(one, "{\"send\":\"z\",\"to\":\"y\"}",
	     "\"decision\":\"REJECTED\",\"reason\":\"unknown_tenant\"");
	assert_int_equal(registry_info().unknown_tenant_total, 1);
	tear_down_two();
}

TEST(register_tenant_kernel_and_unregister)
{
	set_up_two();
	tenant(42, 100, 2);
	SAYS(one, "{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42}",
	     "\"decision\":\"ADDED\",\"reason\":null,\"tenant\":\"42\",\"org\":\"0\","
	     "\"engagement\":\"0\",\"used\":\"1\",\"limit\":\"2\",\"remaining\":\"1\"");
	DECIDES(two, "{\"kernel\":\"add\",\"name\":\"b\",\"tenant\":42}", "ADDED");
	assert_int_equal(info_of(42).kernels, 2);
	/* the limit, and the names, are of both together */
	SAYS(two, "{\"kernel\":\"add\",\"name\":\"c\",\"tenant\":42}",
	     "\"decision\":\"REFUSED\",\"reason\":\"kernels\"");
	SAYS(two, "{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42}",
	     "\"decision\":\"REFUSED\",\"reason\":\"others_kernel\"");
	SAYS(two, "{\"send\":\"a\",\"to\":\"b\"}",
	     "\"decision\":\"REJECTED\",\"reason\":\"others_kernel\"");
	assert_int_equal(info_of(42).kernels, 2);
	assert_int_equal(info_of(42).rejected_total.kernels, 1);
	DECIDES(two, "{\"send\":\"c\",\"to\":\"a\"}", "TENANT_MISMATCH"); /* never added */
	DECIDES(one, "{\"kernel\":\"remove\",\"name\":\"a\"}", "REMOVED");
	assert_int_equal(info_of(42).kernels, 1);
	SAYS(two, "{\"kernel\":\"remove\",\"name\":\"a\"}",
	     "\"decision\":\"REFUSED\",\"reason\":\"unknown_kernel\"");
	DECIDES(two, "{\"send\":\"b\",\"to\":\"a\"}", "NOT_FOUND");
	DECIDES(two, "{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42}", "ADDED");
	DECIDES(two, "{\"kernel\":\"remove\",\"name\":\"b\"}", "REMOVED");
	DECIDES(one, "{\"kernel\":\"add\",\"name\":\"c\",\"tenant\":42}", "ADDED");
	assert_int_equal(info_of(42).kernels, 2);
	/*
	 * The tenant is registered again: a sender takes a slot of the new registration by itself,
	 * another broker's kernel gets messages after that broker has added it again.
	 */
	assert_int_equal(k2k_tenant_deregister(admin, 42, NULL), 0);
	tenant(42, 100, 2);
	SAYS(one, "{\"send\":\"c\",\"to\":\"a\"}",
	     "\"decision\":\"REJECTED\",\"reason\":\"stale\"");
	assert_int_equal(info_of(42).kernels, 1);
	assert_int_equal(info_of(42).admitted_total, 0);
	DECIDES(two, "{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42}", "UPDATED");
	DECIDES(one, "{\"send\":\"c\",\"to\":\"a\"}", "FORWARDED");
	assert_contains(next_line(two.client), "{\"deliver\":\"a\",\"from\":\"c\"");
	assert_int_equal(info_of(42).kernels, 2);
	assert_int_equal(info_of(42).admitted_total, 1);
	tear_down_two();
}

TEST(tenant_stats_reports_per_tenant_counts)
{
	set_up_two();
	tenant(1, 100, 4);
	tenant(2, 0, 4);
	ask_at(&one, "{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":1}");
	ask_at(&two, "{\"kernel\":\"add\",\"name\":\"b\",\"tenant\":1}");
	ask_at(&two, "{\"kernel\":\"add\",\"name\":\"z\",\"tenant\":2}");
	ask_at(&one, "{\"kernel\":\"add\",\"name\":\"y\",\"tenant\":9}");
	DECIDES(one, "{\"send\":\"a\",\"to\":\"b\",\"engagement\":7,\"gpu_ns\":\"30\"}",
	        "FORWARDED");
	assert_contains(next_line(two.client), "{\"deliver\":\"b\"");
	ask_at(&one, "{\"send\":\"a\",\"to\":\"nobody\",\"gpu_ns\":4}");
	ask_at(&one, "{\"send\":\"a\",\"to\":\"z\"}");
	ask_at(&two, "{\"send\":\"z\",\"to\":\"z\"}");
	const char *line = ask_at(&one, "{\"stats\":true}"), *tenants;
	assert_contains(line, "\"kernels\":\"1\",\"kernels_added\":\"1\"");
	assert_contains(line, "\"kernels_refused\":{\"unknown_tenant\":\"1\"},\"sends\":\"3\","
	                      "\"admitted\":\"2\",\"delivered\":\"0\",\"queue_full\":\"0\","
	                      "\"not_found\":\"1\",\"tenant_mismatch\":\"1\",\"rejected\":{},"
	                      "\"gpu_ns_booked\":\"34\"");
	assert_contains(line, "\"forwarded\":\"1\",\"elsewhere\":\"0\"");
	tenants = strstr(line, "\"tenants\":[{\"tenant\":\"1\"");
	assert_true(tenants);
	assert_contains(tenants, "\"sends\":\"3\",\"admitted\":\"2\"");
	assert_contains(tenants, "\"forwarded\":\"1\"");
	line = ask_at(&two, "{\"stats\":true}");
	assert_contains(line, "\"kernels\":\"2\",\"kernels_added\":\"2\"");
	assert_contains(line, "\"sends\":\"1\",\"admitted\":\"0\"");
	assert_contains(line, "\"received\":{\"delivered\":\"1\",\"queue_full\":\"0\","
	                      "\"not_found\":\"0\",\"tenant_mismatch\":\"0\",\"others_kernel\":"
	                      "\"0\"}");
	assert_int_equal(info_of(1).admitted_total, 2);
	assert_int_equal(gpu_ns_of(1, 7), 30);
	assert_int_equal(gpu_ns_of(1, 0), 4);
	assert_int_equal(info_of(2).rejected_total.rate, 1);
	assert_int_equal(registry_info().cross_tenant_total, 1);
	tear_down_two();
}

TEST(re_registering_kernel_moves_it_between_tenants)
{
	set_up_two();
	tenant(1, 100, 2);
	tenant(2, 100, 1);
	tenant(3, 100, 0);
	DECIDES(one, "{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":1}", "ADDED");
	DECIDES(two, "{\"kernel\":\"add\",\"name\":\"b\",\"tenant\":1}", "ADDED");
	DECIDES(one, "{\"send\":\"a\",\"to\":\"b\"}", "FORWARDED");
	assert_contains(next_line(two.client), "\"tenant\":\"1\"");
	DECIDES(two, "{\"kernel\":\"add\",\"name\":\"b\",\"tenant\":2}", "MOVED");
	assert_int_equal(info_of(1).kernels, 1);
	assert_int_equal(info_of(2).kernels, 1);
	DECIDES(one, "{\"send\":\"a\",\"to\":\"b\"}", "TENANT_MISMATCH");
	/* If the new tenant refuses the kernel, it stays where it was. */
	SAYS(two, "{\"kernel\":\"add\",\"name\":\"b\",\"tenant\":3}",
	     "\"decision\":\"REFUSED\",\"reason\":\"kernels\"");
	SAYS(one, "{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":2}",
	     "\"decision\":\"REFUSED\",\"reason\":\"kernels\"");
	assert_int_equal(info_of(1).kernels, 1);
	assert_int_equal(info_of(2).kernels, 1);
	DECIDES(one, "{\"send\":\"a\",\"to\":\"b\"}", "TENANT_MISMATCH");
	DECIDES(two, "{\"kernel\":\"add\",\"name\":\"b\",\"tenant\":1}", "MOVED");
	assert_int_equal(info_of(2).kernels, 0);
	DECIDES(one, "{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":2}", "MOVED");
	DECIDES(two, "{\"send\":\"b\",\"to\":\"a\"}", "TENANT_MISMATCH");
	DECIDES(two, "{\"kernel\":\"add\",\"name\":\"b\"}", "MOVED");
	DECIDES(one, "{\"kernel\":\"add\",\"name\":\"a\"}", "MOVED");
	DECIDES(one, "{\"send\":\"a\",\"to\":\"b\"}", "FORWARDED");
	assert_contains(next_line(two.client), "\"tenant\":\"0\"");
	assert_int_equal(info_of(1).kernels, 0);
	assert_int_equal(info_of(2).kernels, 0);
	assert_int_equal(info_of(1).admitted_total, 1);
	assert_int_equal(registry_info().cross_tenant_total, 3);
	tear_down_two();
}

TEST(send_with_audit_overrides_registration_tag)
{
	set_up_two();
	tenant(42, 100, 4);
	/* The budget of the kernel's own engagement is 0. */
	assert_int_equal(k2k_budget_set(admin, 42, 7, 0), 0);
	ask_at(&one,
	       "{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42,\"org\":1,\"engagement\":7}");
	ask_at(&two,
	       "{\"kernel\":\"add\",\"name\":\"b\",\"tenant\":42,\"org\":5,\"engagement\":6}");
	SAYS(one, "{\"send\":\"a\",\"to\":\"b\",\"org\":2,\"engagement\":8,\"gpu_ns\":50}",
	     "\"decision\":\"FORWARDED\",\"reason\":null,\"tenant\":\"42\",\"broker\":1,"
	     "\"org\":\"2\",\"engagement\":\"8\"");
	RECEIVES(two, "{\"deliver\":\"b\",\"from\":\"a\",\"tenant\":\"42\",\"org\":\"2\","
	              "\"engagement\":\"8\",\"gpu_ns\":\"50\"}");
	assert_int_equal(gpu_ns_of(42, 8), 50);
	assert_int_equal(gpu_ns_of(42, 7), 0);
	/* A message without a tag can't escape the budget of its kernel's engagement. */
	SAYS(one, "{\"send\":\"a\",\"to\":\"b\",\"gpu_ns\":50}",
	     "\"decision\":\"REJECTED\",\"reason\":\"budget\",\"tenant\":\"42\",\"org\":\"1\","
	     "\"engagement\":\"7\",\"used\":\"0\",\"limit\":\"0\",\"remaining\":\"0\"");
	assert_int_equal(received(&two, "\"delivered\":\""), 1);
	assert_int_equal(info_of(42).admitted_total, 1);
	assert_int_equal(info_of(42).rejected_total.budget, 1);
	assert_int_equal(gpu_ns_of(42, 7), 0);
	tear_down_two();
}

TEST(default_audit_tag_behavior)
{
	static const struct {
		const char *tag, *billed;
	} sends[] = {
		/* If the tag is left out or 0/0, the kernel's applies. */
		{ "", "\"org\":\"1\",\"engagement\":\"7\"" },
		{ ",\"org\":0,\"engagement\":\"0\"", "\"org\":\"1\",\"engagement\":\"7\"" },
		/* One of the two numbers is enough for a tag. */
		{ ",\"org\":3", "\"org\":\"3\",\"engagement\":\"0\"" },
		{ ",\"engagement\":8", "\"org\":\"0\",\"engagement\":\"8\"" },
	};
	char line[200];

	set_up_two();
	tenant(42, 100, 4);
	ask_at(&one, "{\"kernel\":\"add\",\"name\":\"tagged\",\"tenant\":42,\"org\":1,"
	             "\"engagement\":7}");
	ask_at(&two, "{\"kernel\":\"add\",\"name\":\"plain\",\"tenant\":42}");
	for (size_t i = 0; i < 4; i++) {
		snprintf(line, sizeof line,
		         "{\"send\":\"tagged\",\"to\":\"plain\",\"gpu_ns\":10%s}", sends[i].tag);
		SAYS(one, line, sends[i].billed);
		assert_contains(next_line(two.client), sends[i].billed);
	}
	/* If the sender has none either: engagement 0. The receiver's tag says nothing. */
	SAYS(two, "{\"send\":\"plain\",\"to\":\"tagged\",\"gpu_ns\":10000}",
	     "\"org\":\"0\",\"engagement\":\"0\"");
	assert_contains(next_line(one.client), "\"org\":\"0\",\"engagement\":\"0\"");
	assert_int_equal(gpu_ns_of(42, 7), 20);
	assert_int_equal(gpu_ns_of(42, 0), 10010);
	assert_int_equal(gpu_ns_of(42, 8), 10);
	assert_int_equal(info_of(42).admitted_total, 5);
	/* A kernel that is added again takes the new tag. */
	ask_at(&one, "{\"kernel\":\"add\",\"name\":\"tagged\",\"tenant\":42,\"org\":1,"
	             "\"engagement\":9}");
	ask_at(&one, "{\"send\":\"tagged\",\"to\":\"plain\",\"gpu_ns\":5}");
	assert_contains(next_line(two.client), "\"org\":\"1\",\"engagement\":\"9\"");
	assert_int_equal(gpu_ns_of(42, 9), 5);
	tear_down_two();
}
