/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * damage_bits.c - flips each bit of a populated registry, one at a time, and makes every call
 *
 * There is no signal, no hang, no undocumented answer, no change outside of the registry; check
 * finds what damage_fields.h says that it must.
 *
 *	damage_bits [--stride N]
 *
 * takes every N-th bit, from one that the seed determines (printed; K2K_TEST_SEED sets it); without
 * --stride each bit. The tables at the end show the answers, and for each field what check found.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define HARNESS_TIMEOUT_S 3600
#define HARNESS_OWN_MAIN
#include "damage_fields.h"

#include <fcntl.h>

#define CALL_MS 100
#define HANGS_S 30 /* one flip, with all its calls: a call that never ends */
#define FAILURES_SHOWN 20

static size_t stride = 1, first_bit;
static struct damage d;
static struct region regions[REGIONS];

/* ---- what is being done, for a message after a signal ---------------------------------------- */

static struct {
	size_t byte;
	unsigned int bit;
	const char *call;
	struct meaning meaning;
} doing;

static int failures;

static const char *doing_text(void)
{
	static const char *const uses[] = { "live", "retired", "idle" };
	static char text[256];

	snprintf(text, sizeof text, "bit %u of byte %zu of %s (%s.%s, %s, record %" PRIu32 "), %s",
	         doing.bit,
	         doing.byte < d.bytes.defs_bytes ? doing.byte : doing.byte - d.bytes.defs_bytes,
	         doing.byte < d.bytes.defs_bytes ? "defs" : "live",
	         doing.meaning.region ? doing.meaning.region->name : "-",
	         doing.meaning.field ? doing.meaning.field->name : "-", uses[doing.meaning.use],
	         doing.meaning.index, doing.call);
	return text;
}

static void on_signal(int number)
{
	static const char before[] = "# killed by a signal at ";
	const char *text = doing_text();

	if (write(2, before, sizeof before - 1) < 0 || write(2, text, strlen(text)) < 0 ||
	    write(2, "\n", 1) < 0)
		_exit(1);
	signal(number, SIG_DFL);
	raise(number);
}

__attribute__((format(printf, 1, 2))) static void wrong(const char *format, ...)
{
	va_list ap;

	if (++failures > FAILURES_SHOWN)
		return;
	fprintf(stderr, "# %s: ", doing_text());
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
}

/* ---- calls ----------------------------------------------------------------------------------- */

/* clang-format off */
#define CALLS(X) \
	X(get) X(is_registered) X(ids) X(info) X(budget_list) X(broker_list) X(lease_list) \
	X(usage_list) X(engagement) X(engagement_for) X(quota_check) X(admit) X(record) \
	X(track) X(acquire) X(release) X(cross_tenant) X(check) X(repair) X(audit_read) \
	X(kernel_find) X(kernel_list) X(kernel_add) X(kernel_remove) X(route) \
	X(audit_stats) X(audit_follower_list) X(open_observer) X(open_broker) X(open_admin)
#define AS_ENUM(name) CALL_##name,
#define AS_TEXT(name) #name,
enum call { CALLS(AS_ENUM) CALL_COUNT };
static const char *const call_names[] = { CALLS(AS_TEXT) };
/* clang-format on */

enum { CODES_MAX = 12 };
static struct tally {
	uint64_t slowest_ns;
	struct {
		int code;
		uint64_t count;
	} codes[CODES_MAX];
} tallies[CALL_COUNT];

static uint64_t began_ns;
static bool told; /* a call answered CORRUPT */

/* `allowed` ends with 1. */
static int answered(enum call call, int code, const int *allowed)
{
	uint64_t took_ns = spent_ns() - began_ns;
	struct tally *tally = &tallies[call];
	int i = 0;

	doing.call = call_names[call];
	while (*allowed != 1 && *allowed != code)
		allowed++;
	if (*allowed == 1)
		wrong("answered %d (%s): %s", code, k2k_errname(code), k2k_error_detail()->text);
	if (code == K2K_ECORRUPT) {
		told = true;
		if (k2k_error_detail()->code != code || !k2k_error_detail()->object[0] ||
		    !k2k_error_detail()->text[0])
			wrong("CORRUPT, and does not say what");
	}
	if (took_ns > CALL_MS * 1000000u)
		wrong("took %" PRIu64 " ms", took_ns / 1000000);
	if (took_ns > tally->slowest_ns)
		tally->slowest_ns = took_ns;
	while (i < CODES_MAX - 1 && tally->codes[i].count && tally->codes[i].code != code)
		i++;
	tally->codes[i].code = code;
	tally->codes[i].count++;
	return code;
}

#define ASK(name, answer, ...)                      \
	(doing.call = #name, began_ns = spent_ns(), \
	 answered(CALL_##name, (answer), (const int[]){ 0, K2K_ECORRUPT, ##__VA_ARGS__, 1 }))

static uint64_t digest;

static void digest_bytes(const void *bytes, size_t n)
{
	for (const unsigned char *p = bytes; n; p++, n--)
		digest = (digest ^ *p) * UINT64_C(0x100000001b3);
}

#define DIGEST(value) digest_bytes(&(value), sizeof(value))

/* Each list answers at most what the tables hold. */
static void digest_list(int code, const void *list, size_t size, size_t count, size_t capacity)
{
	DIGEST(code);
	if (code)
		return;
	if (count > capacity)
		wrong("%zu elements, of at most %zu", count, capacity);
	else
		digest_bytes(list, size * count);
}

static void ask_of_tenant(struct k2k_registry *reg, k2k_tenant_id id)
{
	struct k2k_tenant_info info;
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	uint64_t ns = 0;
	int code, registered = 0;

	memset(&info, 0, sizeof info);
	info.size = sizeof info;
	code = ASK(get, k2k_tenant_get(reg, id, &info), K2K_ENOTENANT);
	if (!code && info.id != id)
		wrong("answered tenant %" PRIu64 " for %" PRIu64, info.id, id);
	DIGEST(code);
	DIGEST(info);
	code = ASK(is_registered, k2k_tenant_is_registered(reg, id, &registered));
	DIGEST(code);
	DIGEST(registered);
	code = ASK(engagement_for, k2k_usage_engagement_for(reg, id, damage_tag, &ns),
	           K2K_ENOTENANT);
	DIGEST(code);
	DIGEST(ns);
	code = ASK(quota_check, k2k_quota_check(reg, id, damage_tag, 900, &verdict), K2K_ENOTENANT,
	           K2K_ERATE, K2K_EBUDGET, K2K_ESUSPENDED);
	DIGEST(code);
	DIGEST(verdict);
	if (!code && verdict.used > verdict.limit)
		wrong("%" PRIu64 " used of %" PRIu64 ", and not rejected", verdict.used,
		      verdict.limit);
}

/* Every event that is there, and no more than can be. */
static void ask_trail(struct k2k_registry *reg)
{
	static struct k2k_audit_record records[128];
	struct k2k_audit_position further[K2K_AUDIT_FURTHER_RINGS_MAX] = { { 0 } };
	struct k2k_audit_cursor cursor = K2K_AUDIT_CURSOR_INIT;
	struct k2k_audit_stats stats = { .size = sizeof stats };
	struct k2k_audit_follower_info follower = { .size = sizeof follower };
	size_t count, all = 0;

	cursor.further = further;
	cursor.further_count = K2K_AUDIT_FURTHER_RINGS_MAX;
	ASK(audit_stats, k2k_audit_stats(reg, &stats));
	ASK(audit_follower_list, k2k_audit_follower_list(reg, &follower, 1, &count));
	do {
		records[0].size = sizeof records[0];
		if (ASK(audit_read, k2k_audit_read(reg, &cursor, K2K_AUDIT_OPEN_TOO, records, 128,
		                                   &count)) != 0)
			return;
		for (size_t i = 0; i < count; i++) {
			const struct k2k_audit_record *e = &records[i];

			if (e->ring >= K2K_RINGS_LOW + K2K_AUDIT_FURTHER_RINGS_MAX ||
			    e->kind >= K2K_EVENT_KINDS ||
			    !e->kind != !!(e->flags & K2K_AUDIT_LOST) ||
			    !memchr(e->actor, 0, sizeof e->actor) ||
			    !memchr(e->source, 0, sizeof e->source) ||
			    !memchr(e->destination, 0, sizeof e->destination))
				wrong("event %" PRIu64 " of ring %u can't be", e->sequence,
				      e->ring);
		}
		all += count;
	} while (count && all < 10000);
	if (all > (reg->map.sizes.events + 1) * reg->map.sizes.rings)
		wrong("%zu events, of at most %u", all,
		      reg->map.sizes.events * reg->map.sizes.rings);
}

/* The answers of all reads as one number. */
static uint64_t ask_all(struct k2k_registry *reg)
{
	static struct k2k_budget_info budgets[64];
	static struct k2k_lease_info leases[64];
	static struct k2k_usage_info usage[64];
	static struct k2k_broker_info brokers[K2K_SLOTS_DEFAULT];
	static k2k_tenant_id ids[64];
	const struct k2k_sizes *sizes = &reg->map.sizes;
	struct k2k_registry_info info = { .size = sizeof info };
	struct k2k_kernel_info kernel = K2K_KERNEL_INFO_INIT;
	uint64_t ns = 0;
	size_t count = 0;
	int code;

	digest = UINT64_C(0xcbf29ce484222325);
	for (int i = 0; i < DAMAGE_IDS; i++)
		ask_of_tenant(reg, d.ids[i]);
	code = ASK(ids, k2k_tenant_ids(reg, ids, 64, &count));
	digest_list(code, ids, sizeof *ids, count, sizes->tenants);
	budgets[0].size = sizeof *budgets;
	budgets[0].flags = 0;
	code = ASK(budget_list, k2k_budget_list(reg, 0, budgets, 64, &count));
	digest_list(code, budgets, sizeof *budgets, count, sizes->budgets);
	leases[0].size = sizeof *leases;
	leases[0].flags = 0;
	code = ASK(lease_list, k2k_lease_list(reg, 0, leases, 64, &count));
	/* one record may be in the lists of several tenants, where they are damaged */
	digest_list(code, leases, sizeof *leases, count < 64 ? count : 0, 64);
	usage[0].size = sizeof *usage;
	usage[0].flags = 0;
	code = ASK(usage_list, k2k_usage_list(reg, 0, usage, 64, &count));
	digest_list(code, usage, sizeof *usage, count, sizes->engagements);
	code = ASK(engagement, k2k_usage_engagement(reg, damage_tag, &ns));
	DIGEST(code);
	DIGEST(ns);
	if (ASK(kernel_find, k2k_kernel_find(reg, "a", &kernel), K2K_ENOKERNEL) == 0 &&
	    strcmp(kernel.name, "a") != 0)
		wrong("answered kernel %.64s for a", kernel.name);
	if (ASK(kernel_list, k2k_kernel_list(reg, 0, NULL, 0, &count)) == 0 &&
	    count > sizes->kernels)
		wrong("%zu kernels, of at most %u", count, sizes->kernels);
	/* these two tell of numbers for people, too: no part of the digest */
	brokers[0].size = sizeof *brokers;
	brokers[0].flags = 0;
	ASK(broker_list, k2k_broker_list(reg, brokers, K2K_SLOTS_DEFAULT, &count));
	ASK(info, k2k_registry_info(reg, &info));
	ask_trail(reg);
	return digest;
}

static void send_all(struct k2k_registry *reg)
{
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	struct k2k_lease lease = K2K_LEASE_INIT;
	struct k2k_route route = K2K_ROUTE_INIT;

	for (int i = 0; i < DAMAGE_IDS; i++) {
		k2k_tenant_id id = d.ids[i];

		ASK(admit, k2k_message_admit(reg, id, damage_tag, 1, &verdict), K2K_ENOTENANT,
		    K2K_ERATE, K2K_EBUDGET, K2K_ESUSPENDED);
		ASK(record, k2k_message_record(reg, id), K2K_ENOTENANT);
		ASK(track, k2k_usage_track(reg, id, damage_tag, 1), K2K_ENOTENANT, K2K_EUNBOOKED);
		lease.amount = 0;
		ASK(acquire, k2k_kernel_acquire(reg, id, &lease, &verdict), K2K_ENOTENANT,
		    K2K_EKERNELS, K2K_EFULL, K2K_EBUSY, K2K_ESUSPENDED);
		if (lease.amount)
			ASK(release, k2k_kernel_release(reg, &lease), K2K_ENOTHELD, K2K_ESTALE);
	}
	ASK(track, k2k_usage_track(reg, 1, (struct k2k_audit_tag){ 1, 99 }, 1), K2K_ENOTENANT,
	    K2K_EUNBOOKED);
	ASK(acquire, k2k_gpu_memory_acquire(reg, 1, 10, NULL, NULL), K2K_ENOTENANT, K2K_EGPUMEM,
	    K2K_EFULL, K2K_EBUSY, K2K_ESUSPENDED);
	ASK(release, k2k_gpu_memory_release_id(reg, 1, 10), K2K_ENOTENANT, K2K_ENOTHELD);
	ASK(cross_tenant, k2k_audit_cross_tenant(reg, 1, 2, "x", "y", damage_tag));
	ASK(kernel_add, k2k_kernel_add(reg, "c", 4, damage_tag, NULL, NULL), K2K_EEXIST,
	    K2K_ENOTENANT, K2K_EKERNELS, K2K_EFULL, K2K_EBUSY, K2K_ESUSPENDED);
	ASK(route, k2k_message_route(reg, "c", "a", damage_tag, 1, &route, NULL), K2K_ENOTHELD,
	    K2K_ESTALE, K2K_ECROSSTENANT, K2K_ERATE, K2K_EBUDGET, K2K_EBUSY, K2K_ESUSPENDED);
	ASK(kernel_remove, k2k_kernel_remove(reg, "c"), K2K_ENOKERNEL, K2K_ENOTHELD);
}

/* Whether it found something. */
static bool check_finds(struct k2k_registry *reg)
{
	static struct k2k_finding list[8];
	size_t count = 0;

	list[0].size = sizeof *list;
	list[0].flags = 0;
	if (ASK(check, k2k_registry_check(reg, list, 8, &count)) != 0)
		return true;
	for (size_t i = 0; i < count && i < 8; i++)
		if (!list[i].invariant[0] || !list[i].object[0] || !list[i].text[0])
			wrong("a finding that says nothing");
	return count > 0;
}

/* ---- field by field -------------------------------------------------------------------------- */

enum { ROWS_MAX = 512 };
static struct row {
	const char *region;
	const struct field *field;
	enum use use;
	uint64_t flips, found, told, changed;
} rows[ROWS_MAX];
static int row_count;

static struct row *row_of(const struct meaning *meaning)
{
	const char *region = meaning->region ? meaning->region->name : "-";
	struct row *row = rows;

	while (row < rows + row_count &&
	       (row->field != meaning->field || row->use != meaning->use ||
	        strcmp(row->region, region) != 0))
		row++;
	if (row == rows + row_count) {
		assert_true(row_count < ROWS_MAX);
		row_count++;
		row->region = region;
		row->field = meaning->field;
		row->use = meaning->use;
	}
	return row;
}

static void print_tables(void)
{
	static const char *const policies[] = { "all", "part", "any", "nothing" }, *const uses[] = {
		"live", "retired", "idle"
	};
	uint64_t flips = 0, found = 0, meant = 0, meant_found = 0, silent = 0;

	printf("# %-14s %10s  answers\n", "call", "slowest us");
	for (int c = 0; c < CALL_COUNT; c++) {
		if (!tallies[c].codes[0].count)
			continue;
		printf("# %-14s %10" PRIu64, call_names[c], tallies[c].slowest_ns / 1000);
		for (int i = 0; i < CODES_MAX && tallies[c].codes[i].count; i++)
			printf("  %s %" PRIu64,
			       tallies[c].codes[i].code ? k2k_errname(tallies[c].codes[i].code) + 4
			                                : "OK",
			       tallies[c].codes[i].count);
		putchar('\n');
	}
	if (!row_count)
		return;
	printf("# %-12s %-22s %-7s %7s %7s %7s %7s %7s\n", "record", "field", "use", "bits",
	       "found", "told", "changed", "policy");
	for (int i = 0; i < row_count; i++) {
		const struct row *row = &rows[i];
		enum policy policy = row->field->policy[row->use];

		printf("# %-12s %-22s %-7s %7" PRIu64 " %7" PRIu64 " %7" PRIu64 " %7" PRIu64
		       " %7s  %s\n",
		       row->region, row->field->name, uses[row->use], row->flips, row->found,
		       row->told, row->changed, policies[policy],
		       (policy == PART || policy == ANY) && row->field->why ? row->field->why : "");
		flips += row->flips;
		found += row->found;
		if (policy == FOUND || policy == PART) {
			meant += row->flips;
			meant_found += row->found;
		}
		silent += row->changed;
	}
	printf("# %" PRIu64 " bits flipped: check found %" PRIu64 " (%.1f %%); of %" PRIu64
	       " that are not free to be anything %.2f %%\n",
	       flips, found, 100.0 * (double)found / (double)flips, meant,
	       100.0 * (double)meant_found / (double)meant);
	printf("# %" PRIu64 " changed an answer, and neither check nor a call told of it\n",
	       silent);
}

/* ---- the flips ------------------------------------------------------------------------------- */

static unsigned char *byte_at(size_t byte)
{
	return byte < d.bytes.defs_bytes ? d.bytes.defs + byte
	                                 : d.bytes.live + (byte - d.bytes.defs_bytes);
}

/* The same byte in the mapping of the administrator's handle, whose address shows the field. */
static const unsigned char *mapped_at(size_t byte)
{
	return byte < d.bytes.defs_bytes ? d.admin->defs.base + byte
	                                 : d.admin->live.base + (byte - d.bytes.defs_bytes);
}

static void flip(size_t byte, unsigned int bit)
{
	doing.byte = byte;
	doing.bit = bit;
	doing.call = "-";
	meaning_of(&d.map, regions, mapped_at(byte), bit, &doing.meaning);
	alarm(HANGS_S);
	*byte_at(byte) ^= (unsigned char)(1u << bit);
}

static void files_are_there(void)
{
	if (access(d.bytes.defs_path, F_OK) != 0 || access(d.bytes.live_path, F_OK) != 0) {
		wrong("removed the registry");
		fail_msg("without it no more calls can be made");
	}
}

static void set_up(void)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGALRM };

	damage_populate(&d);
	regions_of(&d.map, regions);
	for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
		signal(signals[i], on_signal);
	if (check_finds(d.admin) || check_finds(d.observer))
		fail_msg("the undamaged registry is not clean");
	bytes_restore(&d.bytes);
}

static void flip_and_ask(size_t byte, unsigned int bit, uint64_t undamaged)
{
	struct k2k_repair_info repaired = { .size = sizeof repaired };
	uint64_t answers;
	struct row *row;
	bool found;

	flip(byte, bit);
	told = false;
	row = row_of(&doing.meaning);
	row->flips++;
	answers = ask_all(d.observer);
	found = check_finds(d.admin);
	row->found += found;
	row->told += told;
	row->changed += answers != undamaged && !found && !told;
	if (!found && doing.meaning.field->policy[doing.meaning.use] == FOUND)
		wrong("check does not find it");
	if (answers != undamaged && doing.meaning.field->policy[doing.meaning.use] == NOTHING)
		wrong("it means nothing, and yet changes an answer");
	send_all(d.a);
	ASK(repair, k2k_registry_repair(d.admin, &repaired));
	if (bit == 0)
		check_finds(d.observer);
	files_are_there();
	bytes_restore(&d.bytes);
}

/* Another registry, which must not change. */
static struct damage other;

static void make_other(void)
{
	struct k2k_registry *admin;

	other.name = fresh_registry();
	DAMAGE_MUST(k2k_registry_create(
		other.name,
		&(struct k2k_create_options){ .size = sizeof(struct k2k_create_options),
	                                      .max_tenants = 16,
	                                      .max_engagements = 16,
	                                      .max_budgets = 16,
	                                      .max_kernels = 16,
	                                      .max_brokers = damage_brokers() },
		&admin));
	DAMAGE_MUST(k2k_tenant_register(admin, 1, NULL));
	DAMAGE_MUST(k2k_registry_close(&admin));
	bytes_open(&other.bytes, other.name);
	bytes_copy(&other.bytes);
}

TEST(no_flipped_bit_crashes_hangs_or_spreads)
{
	static struct traces before;
	uint64_t undamaged;
	size_t bits, done = 0;
	char prefix[32];

	snprintf(prefix, sizeof prefix, "test-%ld-", (long)harness_pid);
	/*
	 * this thread asks the kernel itself, with the same answers: handing the questions to
	 * agents, and waiting for them, would take most of the time
	 */
	k2k_agent_in_caller = true;
	set_up();
	make_other();
	undamaged = ask_all(d.observer);
	check_finds(d.admin);
	send_all(d.a);
	bytes_restore(&d.bytes);
	memset(tallies, 0, sizeof tallies);
	traces_take(&before, prefix);
	bits = (d.bytes.defs_bytes + d.bytes.live_bytes) * 8;
	for (size_t at = first_bit % stride; at < bits; at += stride, done++)
		flip_and_ask(at / 8, (unsigned int)(at % 8), undamaged);
	alarm(0);
	CHECK_TRACES(&before, prefix, "a flip");
	CHECK_BYTES(&other.bytes, "a flip");
	assert_int_equal(ask_all(d.observer), undamaged);
	assert_int_equal(check_finds(d.admin), false);
	print_tables();
	if (failures)
		fail_msg("%d failures", failures);
}

/* ---- attach ---------------------------------------------------------------------------------- */

static void open_damaged(bool is_header)
{
	static const struct {
		enum call call;
		enum k2k_role role;
	} roles[] = {
		{ CALL_open_observer, K2K_ROLE_OBSERVER },
		{ CALL_open_broker, K2K_ROLE_BROKER },
		{ CALL_open_admin, K2K_ROLE_ADMIN },
	};
	struct k2k_open_options options = K2K_OPEN_OPTIONS_INIT;

	options.flags = K2K_OPEN_TIMEOUT;
	options.timeout_ns = 20000000;
	for (int i = 0; i < 3; i++) {
		struct k2k_registry *reg;
		int code;

		doing.call = call_names[roles[i].call];
		began_ns = spent_ns();
		code = answered(roles[i].call,
		                k2k_registry_open(d.name, roles[i].role, &options, &reg),
		                is_header ? (const int[]){ K2K_ECORRUPT, K2K_ELAYOUT, K2K_EBOOT,
		                                           K2K_EOWNER, 1 }
		                          : (const int[]){ 0, K2K_ECORRUPT, 1 });
		if (code) {
			if (k2k_error_detail()->code != code || !k2k_error_detail()->object[0] ||
			    !k2k_error_detail()->text[0])
				wrong("%s, and does not say what", k2k_errname(code));
			continue;
		}
		k2k_tenant_is_registered(reg, 1, &(int){ 0 });
		k2k_registry_close(&reg);
	}
	files_are_there();
	bytes_restore(&d.bytes);
}

/*
 * With damage to the header or the directory nobody attaches. With damage to the words behind them
 * or to the broker slots, an attach works or reports the damage.
 */
TEST(an_attach_survives_each_flipped_bit)
{
	static struct traces before;
	char prefix[32];
	size_t slots, bits, count = 0;

	snprintf(prefix, sizeof prefix, "test-%ld-", (long)harness_pid);
	set_up();
	open_damaged(false);
	memset(tallies, 0, sizeof tallies);
	traces_take(&before, prefix);
	bits = sizeof(struct k2k_shm_defs) * 8;
	for (size_t at = first_bit % stride; at < bits; at += stride, count++) {
		flip(at / 8, (unsigned int)(at % 8));
		open_damaged(at / 8 < sizeof(struct k2k_shm_header));
	}
	for (size_t at = first_bit % stride; at < bits; at += stride, count++) {
		flip(d.bytes.defs_bytes + at / 8, (unsigned int)(at % 8));
		open_damaged(at / 8 < sizeof(struct k2k_shm_header));
	}
	slots = d.bytes.defs_bytes +
	        (size_t)((unsigned char *)d.map.slots - (unsigned char *)d.map.live);
	for (size_t at = first_bit % stride; at < 4 * sizeof(struct k2k_shm_slot) * 8;
	     at += stride, count++) {
		flip(slots + at / 8, (unsigned int)(at % 8));
		open_damaged(false);
	}
	alarm(0);
	CHECK_TRACES(&before, prefix, "an attach");
	printf("# %zu bits flipped\n", count);
	print_tables();
	if (failures)
		fail_msg("%d failures", failures);
}

int main(int argc, char **argv)
{
	const char *seed = getenv("K2K_TEST_SEED");
	unsigned long number = seed ? strtoul(seed, NULL, 0) : (unsigned long)now_ns();

	if (argc > 2 && strcmp(argv[1], "--stride") == 0) {
		stride = strtoul(argv[2], NULL, 10);
		if (stride == 0) {
			fprintf(stderr, "damage_bits: a stride is at least 1\n");
			return 2;
		}
		argv[2] = argv[0];
		argv += 2;
		argc -= 2;
	}
	first_bit = number;
	if (stride > 1)
		printf("# every %zuth bit, from %lu (K2K_TEST_SEED=%lu)\n", stride, number % stride,
		       number);
	return harness_main(argc, argv);
}
