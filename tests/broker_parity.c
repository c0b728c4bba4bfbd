/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * broker_parity - what the broker does with a message, line by line
 *
 * The names are those of the tests of the earlier broker that this one replaces. Each test also
 * checks the registry's totals from another process.
 */
#include "harness.h"
#include "answer.h"

#include <k2k/registry.h>

/* ---- an observer in its own process --------------------------------------------- */

struct query {
	k2k_tenant_id tenant;
	uint64_t engagement;
};

struct totals {
	int code; /* returned by k2k_tenant_get */
	uint64_t admitted, rejected_rate, rejected_budget, rejected_kernels, kernels, gpu_ns;
	uint64_t tenants, cross_tenant, unknown_tenant, usage_records;
};

static const char *registry;
static int to_observer, from_observer;
static pid_t observer;

static void observe(int from, int to)
{
	struct k2k_registry *reg = NULL;
	struct query query;

	while (read(from, &query, sizeof query) == sizeof query) {
		struct k2k_registry_info info = { .size = sizeof info };
		struct k2k_tenant_info tenant = { .size = sizeof tenant };
		struct totals totals = { 0 };
		size_t count;

		if (!reg)
			assert_int_equal(k2k_registry_open(registry, K2K_ROLE_OBSERVER, NULL, &reg),
			                 0);
		assert_int_equal(k2k_registry_info(reg, &info), 0);
		assert_int_equal(k2k_usage_list(reg, K2K_TENANT_UNSPECIFIED, NULL, 0, &count), 0);
		totals.usage_records = count;
		totals.cross_tenant = info.cross_tenant_total;
		totals.unknown_tenant = info.unknown_tenant_total;
		assert_int_equal(k2k_tenant_count(reg, &count), 0);
		totals.tenants = count;
		totals.code = k2k_tenant_get(reg, query.tenant, &tenant);
		if (totals.code == 0) {
			struct k2k_audit_tag tag = { 0, query.engagement };

			totals.admitted = tenant.admitted_total;
			totals.rejected_rate = tenant.rejected_total.rate;
			totals.rejected_budget = tenant.rejected_total.budget;
			totals.rejected_kernels = tenant.rejected_total.kernels;
			totals.kernels = tenant.kernels;
			assert_int_equal(
				k2k_usage_engagement_for(reg, query.tenant, tag, &totals.gpu_ns),
				0);
		}
		assert_true(write(to, &totals, sizeof totals) == sizeof totals);
	}
	if (reg)
		k2k_registry_close(&reg);
	exit(0);
}

static struct totals totals_of(k2k_tenant_id tenant, uint64_t engagement)
{
	struct query query = { tenant, engagement };
	struct totals totals;

	assert_true(write(to_observer, &query, sizeof query) == sizeof query);
	assert_true(read(from_observer, &totals, sizeof totals) == sizeof totals);
	return totals;
}

/* ---- a broker whose inbox is the test -------------------------------------------- */

static struct k2k_registry *admin;
static struct answers answers;
static struct broker_inbox inbox;
static struct session session;
static uint64_t delivered;
static char last_message[4096];
static int inbox_is_full;

static int receive(struct broker_inbox *box, const struct broker_message *message)
{
	FILE *out;

	assert_true(box == &inbox);
	if (inbox_is_full)
		return -1;
	out = fmemopen(last_message, sizeof last_message, "w");
	assert_non_null(out);
	answer_write_message(out, message);
	assert_int_equal(fclose(out), 0);
	last_message[strcspn(last_message, "\n")] = '\0';
	delivered++;
	return 0;
}

static void set_up(void)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	int there[2], back[2];

	registry = fresh_registry();
	assert_true(pipe(there) == 0 && pipe(back) == 0);
	observer = spawn();
	if (observer == 0) {
		close(there[1]);
		close(back[0]);
		observe(there[0], back[1]);
	}
	/*
	 * Each end is open in one process only: if one of the two has failed, the other reads the
	 * end of file.
	 */
	close(there[0]);
	close(back[1]);
	to_observer = there[1];
	from_observer = back[0];
	options.max_tenants = options.max_engagements = options.max_kernels = options.max_budgets =
		16;
	assert_int_equal(k2k_registry_create(registry, &options, &admin), 0);
	assert_int_equal(broker_open(&answers.broker, registry), 0);
	answers.clients = clients_open(1);
	inbox.deliver = receive;
	session_begin(&session, &inbox);
}

static void tear_down(void)
{
	session_end(&session, &answers);
	clients_close(&answers.clients);
	broker_close(&answers.broker);
	assert_int_equal(k2k_registry_close(&admin), 0);
	assert_int_equal(k2k_registry_destroy(registry, 0, NULL), 0);
	close(to_observer);
	spawn_wait(observer);
}

static void tenant(k2k_tenant_id id, uint64_t rate, uint32_t kernels)
{
	struct k2k_quota quota = K2K_QUOTA_STANDARD;

	quota.max_messages_per_sec = rate;
	quota.max_concurrent_kernels = kernels;
	assert_int_equal(k2k_tenant_register(admin, id, &quota), 0);
}

/* Returns the answer to one line, valid until the next call. */
static const char *answer(const char *line)
{
	static char text[16384];
	FILE *out = fmemopen(text, sizeof text, "w");
	size_t room, size = strlen(line);
	char *to = line_room(&session.input, &room);

	assert_true(size < room);
	memcpy(to, line, size);
	to[size] = '\n';
	line_read(&session.input, size + 1);
	assert_non_null(out);
	assert_true(answer_line(&session, 0, &answers, out));
	assert_false(answer_line(&session, 0, &answers, out));
	assert_int_equal(fclose(out), 0);
	text[strcspn(text, "\n")] = '\0';
	return text;
}

#define SAYS(line, part) assert_contains(answer(line), part)
#define DECIDES(line, decision) SAYS(line, "\"decision\":\"" decision "\"")
/* Checks the last message in the inbox for a part that no earlier message had. */
#define DELIVERS(part) assert_contains(last_message, part)

/* ---- the tests ------------------------------------------------------------------------ */

TEST(legacy_single_tenant_send_unchanged)
{
	set_up();
	DECIDES("{\"kernel\":\"add\",\"name\":\"a\"}", "ADDED");
	DECIDES("{\"kernel\":\"add\",\"name\":\"b\"}", "ADDED");
	DECIDES("{\"send\":\"a\",\"to\":\"b\"}", "DELIVERED");
	assert_string_equal(last_message, "{\"deliver\":\"b\",\"from\":\"a\",\"tenant\":\"0\","
	                                  "\"org\":\"0\",\"engagement\":\"0\",\"gpu_ns\":\"0\"}");
	DECIDES("{\"send\":\"a\",\"to\":\"nobody\"}", "NOT_FOUND");
	DECIDES("{\"send\":\"stranger\",\"to\":\"b\"}", "DELIVERED");
	inbox_is_full = 1;
	DECIDES("{\"send\":\"a\",\"to\":\"b\"}", "QUEUE_FULL");
	assert_int_equal(delivered, 2);
	struct totals totals = totals_of(1, 0);
	assert_int_equal(totals.tenants, 0);
	assert_int_equal(totals.unknown_tenant, 0);
	assert_int_equal(totals.cross_tenant, 0);
	assert_int_equal(totals.usage_records, 0);
	tear_down();
}

TEST(single_tenant_fast_path_uses_unspecified_tenant)
{
	set_up();
	tenant(42, 0, 0); /* its limits reject everything: no request may be made for it */
	DECIDES("{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":0,\"org\":1,\"engagement\":7}",
	        "ADDED");
	for (int i = 0; i < 50; i++)
		DECIDES("{\"send\":\"a\",\"to\":\"a\"}", "DELIVERED");
	SAYS("{\"send\":\"a\",\"to\":\"a\"}", "\"tenant\":\"0\"");
	assert_false(strstr(answer("{\"send\":\"a\",\"to\":\"a\"}"), "limit"));
	/* GPU time of no tenant belongs to nobody: it is reported, not ignored */
	SAYS("{\"send\":\"a\",\"to\":\"a\",\"gpu_ns\":5}",
	     "\"booked_ns\":\"0\",\"unbooked\":\"unspecified_tenant\"");
	assert_int_equal(delivered, 53);
	struct totals totals = totals_of(42, 7);
	assert_int_equal(totals.code, 0);
	assert_int_equal(totals.admitted, 0);
	assert_int_equal(totals.rejected_rate, 0);
	assert_int_equal(totals.kernels, 0);
	assert_int_equal(totals.gpu_ns, 0);
	assert_int_equal(totals.usage_records, 0);
	tear_down();
}

TEST(cross_tenant_send_rejected_with_tenant_mismatch)
{
	set_up();
	tenant(1, 100, 4);
	tenant(2, 100, 4);
	DECIDES("{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":1}", "ADDED");
	DECIDES("{\"kernel\":\"add\",\"name\":\"b\",\"tenant\":2}", "ADDED");
	DECIDES("{\"kernel\":\"add\",\"name\":\"legacy\"}", "ADDED");
	SAYS("{\"send\":\"a\",\"to\":\"b\",\"gpu_ns\":9}",
	     "\"decision\":\"TENANT_MISMATCH\",\"reason\":null,\"tenant\":\"1\",\"to_tenant\":"
	     "\"2\"");
	DECIDES("{\"send\":\"b\",\"to\":\"a\"}", "TENANT_MISMATCH");
	DECIDES("{\"send\":\"legacy\",\"to\":\"a\"}", "TENANT_MISMATCH");
	DECIDES("{\"send\":\"a\",\"to\":\"legacy\"}", "TENANT_MISMATCH");
	DECIDES("{\"send\":\"stranger\",\"to\":\"a\"}", "TENANT_MISMATCH");
	assert_int_equal(delivered, 0);
	assert_int_equal(totals_of(1, 0).admitted, 0);
	assert_int_equal(totals_of(1, 0).gpu_ns, 0);
	assert_int_equal(totals_of(2, 0).admitted, 0);
	assert_int_equal(totals_of(1, 0).cross_tenant, 5);
	/* An unknown destination counts as the sender's tenant. */
	DECIDES("{\"send\":\"a\",\"to\":\"nobody\"}", "NOT_FOUND");
	assert_int_equal(totals_of(1, 0).admitted, 1);
	assert_int_equal(totals_of(1, 0).cross_tenant, 5);
	tear_down();
}

static struct {
	int count, level, type;
	char actor[32], target[32], fields[512];
} audited;

static void audit_sink(void *context, const struct k2k_audit_event *event)
{
	assert_true(context == &audited);
	audited.count++;
	audited.level = (int)event->level;
	audited.type = (int)event->type;
	snprintf(audited.actor, sizeof audited.actor, "%s", event->actor);
	snprintf(audited.target, sizeof audited.target, "%s",
	         event->target ? event->target : "(null)");
	audited.fields[0] = '\0';
	for (uint32_t i = 0; i < event->field_count; i++) {
		size_t used = strlen(audited.fields);

		snprintf(audited.fields + used, sizeof audited.fields - used, "%s=%s ",
		         event->fields[i].key, event->fields[i].value);
	}
}

TEST(cross_tenant_attempt_recorded_in_audit_sink)
{
	set_up();
	assert_int_equal(broker_set_audit_sink(answers.broker, audit_sink, &audited), 0);
	tenant(1, 100, 4);
	tenant(2, 100, 4);
	answer("{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":1,\"org\":11,\"engagement\":12}");
	answer("{\"kernel\":\"add\",\"name\":\"b\",\"tenant\":2}");
	assert_int_equal(audited.count, 0);
	DECIDES("{\"send\":\"a\",\"to\":\"b\"}", "TENANT_MISMATCH");
	assert_int_equal(audited.count, 1);
	assert_int_equal(audited.level, K2K_AUDIT_SECURITY);
	assert_int_equal(audited.type, K2K_AUDIT_SECURITY_VIOLATION);
	assert_string_equal(audited.actor, "k2k_broker");
	assert_string_equal(audited.target, "b");
	assert_string_equal(audited.fields, "from_tenant=1 to_tenant=2 source_kernel=a "
	                                    "destination_kernel=b org_id=11 engagement_id=12 ");
	assert_int_equal(totals_of(1, 0).cross_tenant, 1);
	assert_int_equal(totals_of(1, 0).admitted, 0);
	tear_down();
}

TEST(same_tenant_send_succeeds_with_audit_tag)
{
	set_up();
	tenant(42, 5000, 4);
	answer("{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42}");
	answer("{\"kernel\":\"add\",\"name\":\"b\",\"tenant\":42}");
	const char *line = answer(
		"{\"send\":\"a\",\"to\":\"b\",\"org\":1,\"engagement\":7,\"gpu_ns\":1500000}");
	assert_contains(line, "\"decision\":\"DELIVERED\",\"reason\":null,\"tenant\":\"42\","
	                      "\"org\":\"1\",\"engagement\":\"7\","
	                      "\"used\":\"1\",\"limit\":\"5000\",\"remaining\":\"4999\",\"retry_"
	                      "after_ns\":\"0\",\"window\":\"");
	assert_contains(line, "\"booked_ns\":\"1500000\"}");
	assert_string_equal(last_message,
	                    "{\"deliver\":\"b\",\"from\":\"a\",\"tenant\":\"42\",\"org\":\"1\","
	                    "\"engagement\":\"7\",\"gpu_ns\":\"1500000\"}");
	struct totals totals = totals_of(42, 7);
	assert_int_equal(totals.admitted, 1);
	assert_int_equal(totals.gpu_ns, 1500000);
	assert_int_equal(totals.cross_tenant, 0);
	tear_down();
}

TEST(engagement_cost_accumulates_across_sends)
{
	set_up();
	tenant(42, 5000, 4);
	answer("{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42}");
	DECIDES("{\"send\":\"a\",\"to\":\"a\",\"org\":1,\"engagement\":7,\"gpu_ns\":100}",
	        "DELIVERED");
	DECIDES("{\"send\":\"a\",\"to\":\"nobody\",\"org\":1,\"engagement\":7,\"gpu_ns\":200}",
	        "NOT_FOUND");
	inbox_is_full = 1;
	SAYS("{\"send\":\"a\",\"to\":\"a\",\"org\":1,\"engagement\":7,\"gpu_ns\":300}",
	     "\"booked_ns\":\"300\"");
	DECIDES("{\"send\":\"a\",\"to\":\"a\",\"org\":2,\"engagement\":7,\"gpu_ns\":"
	        "\"18446744073709551615\"}",
	        "QUEUE_FULL");
	assert_int_equal(delivered, 1);
	struct totals totals = totals_of(42, 7);
	/* An admitted message costs, whether or not it is delivered. */
	assert_int_equal(totals.admitted, 4);
	assert_int_equal(totals.gpu_ns, UINT64_MAX);
	/* another org does not make another engagement */
	assert_int_equal(totals.usage_records, 1);
	assert_contains(
		answer("{\"stats\":true}"),
		"\"admitted\":\"4\",\"delivered\":\"1\",\"queue_full\":\"2\",\"not_found\":\"1\"");
	tear_down();
}

TEST(engagement_cost_separate_across_audit_tags)
{
	set_up();
	tenant(1, 5000, 4);
	tenant(2, 5000, 4);
	answer("{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":1}");
	answer("{\"kernel\":\"add\",\"name\":\"b\",\"tenant\":2}");
	answer("{\"send\":\"a\",\"to\":\"a\",\"engagement\":7,\"gpu_ns\":100}");
	answer("{\"send\":\"a\",\"to\":\"a\",\"engagement\":8,\"gpu_ns\":20}");
	answer("{\"send\":\"a\",\"to\":\"a\",\"engagement\":7,\"gpu_ns\":1}");
	answer("{\"send\":\"b\",\"to\":\"b\",\"engagement\":7,\"gpu_ns\":5000}");
	assert_int_equal(totals_of(1, 7).gpu_ns, 101);
	assert_int_equal(totals_of(1, 8).gpu_ns, 20);
	assert_int_equal(totals_of(2, 7).gpu_ns, 5000);
	assert_int_equal(totals_of(2, 8).gpu_ns, 0);
	assert_int_equal(totals_of(1, 7).admitted, 3);
	assert_int_equal(totals_of(1, 7).usage_records, 3);
	tear_down();
}

static uint64_t number_in(const char *line, const char *key)
{
	const char *at = strstr(line, key);

	assert_true(at);
	return strtoull(at + strlen(key), NULL, 10);
}

TEST(quota_enforcement_rejects_over_rate_limit)
{
	uint64_t window = 0, in_window = 0, admitted = 0, rejected = 0;

	set_up();
	tenant(42, 5, 4);
	tenant(43, 0, 4);
	answer("{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42}");
	answer("{\"kernel\":\"add\",\"name\":\"z\",\"tenant\":43}");
	/*
	 * The second may end between any two lines: count by the window that each answer names,
	 * until one window is used up.
	 */
	for (int refused_here = 0; !refused_here;) {
		const char *line = answer(
			"{\"send\":\"a\",\"to\":\"a\",\"engagement\":7,\"gpu_ns\":10}");
		uint64_t now = number_in(line, "\"window\":\"");

		if (now != window) {
			assert_true(now > window);
			window = now;
			in_window = 0;
		}
		if (strstr(line, "DELIVERED")) {
			in_window++;
			admitted++;
			assert_int_equal(number_in(line, "\"used\":\""), in_window);
			assert_true(in_window <= 5);
		} else {
			assert_contains(line, "\"decision\":\"REJECTED\",\"reason\":\"rate\"");
			assert_contains(line, "\"used\":\"5\",\"limit\":\"5\",\"remaining\":\"0\"");
			assert_true(number_in(line, "\"retry_after_ns\":\"") > 0);
			assert_true(number_in(line, "\"retry_after_ns\":\"") <= 1100000000);
			assert_contains(line, "\"booked_ns\":\"0\"");
			assert_int_equal(in_window, 5);
			refused_here = 1;
			rejected++;
		}
	}
	assert_int_equal(delivered, admitted);
	SAYS("{\"send\":\"z\",\"to\":\"z\"}", "\"decision\":\"REJECTED\",\"reason\":\"rate\"");
	assert_int_equal(totals_of(42, 7).admitted, admitted);
	assert_int_equal(totals_of(42, 7).rejected_rate, rejected);
	assert_int_equal(totals_of(42, 7).gpu_ns, admitted * 10);
	assert_int_equal(totals_of(43, 0).admitted, 0);
	assert_int_equal(totals_of(43, 0).rejected_rate, 1);
	/* Meanwhile the tenant was removed: the kernel is still there, its tenant is not. */
	assert_int_equal(k2k_tenant_deregister(admin, 43, NULL), 0);
	SAYS("{\"send\":\"z\",\"to\":\"z\"}",
	     "\"decision\":\"REJECTED\",\"reason\":\"unknown_tenant\"");
	assert_int_equal(totals_of(43, 0).code, K2K_ENOTENANT);
	assert_int_equal(totals_of(43, 0).unknown_tenant, 1);
	tear_down();
}

TEST(register_tenant_kernel_and_unregister)
{
	set_up();
	tenant(42, 100, 2);
	SAYS("{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42}",
	     "\"kernel\":\"add\",\"name\":\"a\",\"decision\":\"ADDED\",\"reason\":null,\"tenant\":"
	     "\"42\",\"org\":\"0\","
	     "\"engagement\":\"0\",\"used\":\"1\",\"limit\":\"2\",\"remaining\":\"1\"");
	DECIDES("{\"kernel\":\"add\",\"name\":\"b\",\"tenant\":42}", "ADDED");
	assert_int_equal(totals_of(42, 0).kernels, 2);
	SAYS("{\"kernel\":\"add\",\"name\":\"c\",\"tenant\":42}",
	     "\"decision\":\"REFUSED\",\"reason\":\"kernels\"");
	assert_int_equal(totals_of(42, 0).kernels, 2);
	assert_int_equal(totals_of(42, 0).rejected_kernels, 1);
	SAYS("{\"kernel\":\"add\",\"name\":\"c\",\"tenant\":99}",
	     "\"decision\":\"REFUSED\",\"reason\":\"unknown_tenant\"");
	DECIDES("{\"send\":\"c\",\"to\":\"a\"}", "TENANT_MISMATCH"); /* c was never added */
	/* A kernel added again under its own tenant keeps its slot, even if no other is free. */
	DECIDES("{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42,\"engagement\":7}", "UPDATED");
	assert_int_equal(totals_of(42, 0).kernels, 2);
	DECIDES("{\"kernel\":\"remove\",\"name\":\"a\"}", "REMOVED");
	assert_int_equal(totals_of(42, 0).kernels, 1);
	SAYS("{\"kernel\":\"remove\",\"name\":\"a\"}",
	     "\"decision\":\"REFUSED\",\"reason\":\"unknown_kernel\"");
	assert_int_equal(totals_of(42, 0).kernels, 1);
	DECIDES("{\"kernel\":\"add\",\"name\":\"c\",\"tenant\":42}", "ADDED");
	assert_int_equal(totals_of(42, 0).kernels, 2);
	/*
	 * A tenant that is registered again starts at 0; a kernel of the old registration takes a
	 * slot when it is added again.
	 */
	assert_int_equal(k2k_tenant_deregister(admin, 42, NULL), 0);
	tenant(42, 100, 2);
	assert_int_equal(totals_of(42, 0).kernels, 0);
	DECIDES("{\"kernel\":\"remove\",\"name\":\"b\"}", "REMOVED");
	DECIDES("{\"kernel\":\"add\",\"name\":\"c\",\"tenant\":42}", "UPDATED");
	assert_int_equal(totals_of(42, 0).kernels, 1);
	DECIDES("{\"kernel\":\"remove\",\"name\":\"c\"}", "REMOVED");
	assert_int_equal(totals_of(42, 0).kernels, 0);
	tear_down();
}

TEST(tenant_stats_reports_per_tenant_counts)
{
	set_up();
	tenant(1, 100, 4);
	tenant(2, 0, 4);
	answer("{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":1}");
	answer("{\"kernel\":\"add\",\"name\":\"b\",\"tenant\":1}");
	answer("{\"kernel\":\"add\",\"name\":\"z\",\"tenant\":2}");
	answer("{\"kernel\":\"add\",\"name\":\"y\",\"tenant\":9}");
	answer("{\"send\":\"a\",\"to\":\"b\",\"engagement\":7,\"gpu_ns\":\"30\"}");
	answer("{\"send\":\"a\",\"to\":\"nobody\",\"gpu_ns\":4}");
	answer("{\"send\":\"a\",\"to\":\"z\"}");
	answer("{\"send\":\"z\",\"to\":\"z\"}");
	answer("nonsense");
	const char *line = answer("{\"stats\":true}");
	assert_contains(line, "{\"line\":\"10\",\"stats\":true,\"lines\":\"10\",\"malformed\":"
	                      "\"1\",\"kernels\":\"3\",\"kernels_added\":\"3\"");
	assert_contains(line, "\"kernels_refused\":{\"unknown_tenant\":\"1\"},\"sends\":\"4\","
	                      "\"admitted\":\"2\",\"delivered\":\"1\","
	                      "\"queue_full\":\"0\",\"not_found\":\"1\",\"tenant_mismatch\":\"1\","
	                      "\"rejected\":{\"rate\":\"1\"},"
	                      "\"gpu_ns_booked\":\"34\",\"gpu_ns_unbooked\":\"0\",\"unbooked\":"
	                      "\"0\",");
	assert_contains(line, ",\"tenants\":[{\"tenant\":\"1\"");
	const char *first = strstr(line, "{\"tenant\":\"1\""),
		   *second = strstr(line, "{\"tenant\":\"2\"");
	assert_true(first && second && first < second);
	assert_contains(first, "\"kernels\":\"2\",\"kernels_added\":\"2\"");
	assert_contains(first, "\"sends\":\"3\",\"admitted\":\"2\",\"delivered\":\"1\"");
	assert_contains(second, "\"kernels\":\"1\",\"kernels_added\":\"1\"");
	assert_contains(second, "\"sends\":\"1\",\"admitted\":\"0\"");
	assert_int_equal(totals_of(1, 7).admitted, 2);
	assert_int_equal(totals_of(1, 7).gpu_ns, 30);
	assert_int_equal(totals_of(1, 0).gpu_ns, 4);
	assert_int_equal(totals_of(2, 0).rejected_rate, 1);
	assert_int_equal(totals_of(2, 0).cross_tenant, 1);
	tear_down();
}

TEST(re_registering_kernel_moves_it_between_tenants)
{
	set_up();
	tenant(1, 100, 1);
	tenant(2, 100, 1);
	tenant(3, 100, 0);
	DECIDES("{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":1}", "ADDED");
	DECIDES("{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":2}", "MOVED");
	assert_int_equal(totals_of(1, 0).kernels, 0);
	assert_int_equal(totals_of(2, 0).kernels, 1);
	SAYS("{\"send\":\"a\",\"to\":\"a\"}", "\"tenant\":\"2\"");
	/* If the new tenant refuses the kernel, it stays where it was. */
	SAYS("{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":3}",
	     "\"decision\":\"REFUSED\",\"reason\":\"kernels\"");
	SAYS("{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":9}",
	     "\"decision\":\"REFUSED\",\"reason\":\"unknown_tenant\"");
	assert_int_equal(totals_of(2, 0).kernels, 1);
	SAYS("{\"send\":\"a\",\"to\":\"a\"}", "\"tenant\":\"2\"");
	DECIDES("{\"kernel\":\"add\",\"name\":\"b\",\"tenant\":1}", "ADDED");
	SAYS("{\"kernel\":\"add\",\"name\":\"b\",\"tenant\":2}",
	     "\"decision\":\"REFUSED\",\"reason\":\"kernels\"");
	assert_int_equal(totals_of(1, 0).kernels, 1);
	DECIDES("{\"kernel\":\"add\",\"name\":\"a\"}", "MOVED");
	assert_int_equal(totals_of(2, 0).kernels, 0);
	DECIDES("{\"kernel\":\"add\",\"name\":\"b\",\"tenant\":2}", "MOVED");
	assert_int_equal(totals_of(1, 0).kernels, 0);
	assert_int_equal(totals_of(2, 0).kernels, 1);
	assert_int_equal(totals_of(2, 0).admitted, 2);
	SAYS("{\"stats\":true}",
	     "\"kernels\":\"2\",\"kernels_added\":\"2\",\"kernels_moved\":\"3\"");
	tear_down();
}

TEST(send_with_audit_overrides_registration_tag)
{
	set_up();
	tenant(42, 100, 4);
	/* The budget of the kernel's own engagement is 0. */
	assert_int_equal(k2k_budget_set(admin, 42, 7, 0), 0);
	answer("{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42,\"org\":1,\"engagement\":7}");
	SAYS("{\"send\":\"a\",\"to\":\"a\",\"org\":2,\"engagement\":8,\"gpu_ns\":50}",
	     "\"decision\":\"DELIVERED\",\"reason\":null,\"tenant\":\"42\",\"org\":\"2\","
	     "\"engagement\":\"8\"");
	DELIVERS("\"tenant\":\"42\",\"org\":\"2\",\"engagement\":\"8\",\"gpu_ns\":\"50\"");
	assert_int_equal(totals_of(42, 8).gpu_ns, 50);
	assert_int_equal(totals_of(42, 7).gpu_ns, 0);
	assert_int_equal(totals_of(42, 7).admitted, 1);
	/* A message without a tag can't escape the budget of its kernel's engagement. */
	SAYS("{\"send\":\"a\",\"to\":\"a\",\"gpu_ns\":50}",
	     "\"decision\":\"REJECTED\",\"reason\":\"budget\",\"tenant\":\"42\",\"org\":\"1\","
	     "\"engagement\":\"7\",\"used\":\"0\","
	     "\"limit\":\"0\",\"remaining\":\"0\",\"retry_after_ns\":null");
	assert_int_equal(delivered, 1);
	assert_int_equal(totals_of(42, 7).admitted, 1);
	assert_int_equal(totals_of(42, 7).rejected_budget, 1);
	assert_int_equal(totals_of(42, 7).gpu_ns, 0);
	tear_down();
}

TEST(default_audit_tag_behavior)
{
	set_up();
	tenant(42, 100, 4);
	answer("{\"kernel\":\"add\",\"name\":\"tagged\",\"tenant\":42,\"org\":1,\"engagement\":7}");
	answer("{\"kernel\":\"add\",\"name\":\"plain\",\"tenant\":42}");
	/* If the tag is left out or 0/0, the kernel's applies. */
	SAYS("{\"send\":\"tagged\",\"to\":\"plain\",\"gpu_ns\":1}",
	     "\"org\":\"1\",\"engagement\":\"7\"");
	DELIVERS("\"org\":\"1\",\"engagement\":\"7\",\"gpu_ns\":\"1\"");
	SAYS("{\"send\":\"tagged\",\"to\":\"plain\",\"org\":0,\"engagement\":\"0\",\"gpu_ns\":10}",
	     "\"org\":\"1\",\"engagement\":\"7\"");
	DELIVERS("\"org\":\"1\",\"engagement\":\"7\",\"gpu_ns\":\"10\"");
	/* One of the two numbers is enough for a tag. */
	SAYS("{\"send\":\"tagged\",\"to\":\"plain\",\"org\":3,\"gpu_ns\":100}",
	     "\"org\":\"3\",\"engagement\":\"0\"");
	DELIVERS("\"org\":\"3\",\"engagement\":\"0\",\"gpu_ns\":\"100\"");
	SAYS("{\"send\":\"tagged\",\"to\":\"plain\",\"engagement\":8,\"gpu_ns\":1000}",
	     "\"org\":\"0\",\"engagement\":\"8\"");
	DELIVERS("\"org\":\"0\",\"engagement\":\"8\",\"gpu_ns\":\"1000\"");
	/* If neither has a tag: engagement 0, which is one like any other. */
	SAYS("{\"send\":\"plain\",\"to\":\"tagged\",\"gpu_ns\":10000}",
	     "\"org\":\"0\",\"engagement\":\"0\"");
	DELIVERS("\"org\":\"0\",\"engagement\":\"0\",\"gpu_ns\":\"10000\"");
	assert_int_equal(totals_of(42, 7).gpu_ns, 11);
	assert_int_equal(totals_of(42, 0).gpu_ns, 10100);
	assert_int_equal(totals_of(42, 8).gpu_ns, 1000);
	assert_int_equal(totals_of(42, 8).admitted, 5);
	/* A kernel that is added again takes the new tag. */
	answer("{\"kernel\":\"add\",\"name\":\"tagged\",\"tenant\":42,\"org\":1,\"engagement\":9}");
	answer("{\"send\":\"tagged\",\"to\":\"plain\",\"gpu_ns\":5}");
	DELIVERS("\"org\":\"1\",\"engagement\":\"9\",\"gpu_ns\":\"5\"");
	assert_int_equal(totals_of(42, 9).gpu_ns, 5);
	assert_int_equal(k2k_budget_set(admin, 42, 0, 1), 0);
	SAYS("{\"send\":\"plain\",\"to\":\"tagged\"}", "\"reason\":\"budget\"");
	assert_int_equal(delivered, 6);
	assert_int_equal(totals_of(42, 0).rejected_budget, 1);
	tear_down();
}
