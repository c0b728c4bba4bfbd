/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit_badinput.c - every public call, used wrongly.
 *
 * One table (badinput_table.h) lists every function of the header: how it is called correctly, in
 * which roles, and all the ways to call it wrongly. The tests below run over the table; one of them
 * compares it with the header, so that a function missing from the table is noticed.
 */
#include "badinput_table.h"
#include "layout.h"

/* ---- a registry with every role open ------------------------------------------------------ */

struct fixture {
	const char *name;
	struct k2k_registry *handles[4]; /* by role */
	struct k2k_registry *watcher;    /* an observer opened by the test itself */
	struct bytes bytes;
};

/* The seconds in which agents last looked for deaths and at thresholds. */
static void forget_seconds(struct bytes *bytes)
{
	size_t deaths = offsetof(struct k2k_shm_live, deaths_second);
	size_t alerts = offsetof(struct k2k_shm_live, alerts_second);

	memcpy(bytes->live_copy + deaths, bytes->live + deaths, sizeof(uint32_t));
	memcpy(bytes->live_copy + alerts, bytes->live + alerts, sizeof(uint32_t));
}

/*
 * What an agent writes to the trail about earlier calls, a second later: the wake word and the
 * events.
 */
static void forget_trail(struct bytes *bytes)
{
	const struct k2k_shm_header *header = (const void *)bytes->live;
	size_t wake = offsetof(struct k2k_shm_live, audit_wake);
	int found = 0;

	memcpy(bytes->live_copy + wake, bytes->live + wake, sizeof(uint32_t));
	forget_seconds(bytes);
	for (uint32_t i = 0; i < header->section_count; i++) {
		const struct k2k_shm_section *section = &header->sections[i];

		if (section->kind != K2K_SECTION_EVENTS)
			continue;
		memcpy(bytes->live_copy + section->offset_bytes,
		       bytes->live + section->offset_bytes, section->count * section->stride_bytes);
		found++;
	}
	assert_int_equal(found, 1);
}

/* Copies all shared bytes once the brokers' helpers have answered all grace periods so far. */
static void copy_bytes(struct fixture *f)
{
	struct k2k_broker_info list[K2K_BROKERS_MAX];
	size_t count, behind;

	do {
		list[0].size = sizeof list[0];
		list[0].flags = 0;
		assert_int_equal(k2k_broker_list(f->watcher, list, K2K_BROKERS_MAX, &count), 0);
		behind = 0;
		for (size_t i = 0; i < count; i++)
			behind += list[i].grace_behind != 0;
	} while (behind);
	bytes_copy(&f->bytes);
}

static void set_up(struct fixture *f)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	struct k2k_budget budget = { 1, 1000000 };
	struct k2k_quota quota = K2K_QUOTA_STANDARD;

	memset(f, 0, sizeof *f);
	options.max_tenants = 16;
	options.max_engagements = 64;
	options.max_budgets = 16;
	options.max_kernels = 16;
	options.max_audit_events = 4; /* All bytes are compared after each call. */
	f->name = fresh_registry();
	assert_int_equal(k2k_registry_create(f->name, &options, NULL), 0);
	for (int role = K2K_ROLE_ADMIN; role <= K2K_ROLE_OBSERVER; role++)
		assert_int_equal(
			k2k_registry_open(f->name, (enum k2k_role)role, NULL, &f->handles[role]),
			0);
	assert_int_equal(k2k_registry_open(f->name, K2K_ROLE_OBSERVER, NULL, &f->watcher), 0);
	quota.budget_count = 1;
	quota.budgets = &budget;
	assert_int_equal(k2k_tenant_register(f->handles[K2K_ROLE_ADMIN], ID, &quota), 0);
	assert_int_equal(k2k_budget_set_renewing(f->handles[K2K_ROLE_ADMIN], ID, RENEWING, 1000000,
	                                         K2K_RENEWAL_DAY),
	                 0);
	bytes_open(&f->bytes, f->name);
}

static void check_bytes(struct fixture *f, const char *what)
{
	struct bytes seen = f->bytes;

	/* Compares at one moment: a helper may close an event during a comparison. */
	seen.live = malloc(seen.live_bytes);
	assert_non_null(seen.live);
	memcpy(seen.live, f->bytes.live, seen.live_bytes);
	forget_trail(&seen);
	CHECK_BYTES(&seen, what);
	free(seen.live);
}

/* ---- tests --------------------------------------------------------------------------------- */

/* Reads the names of all declarations from the header itself. */
TEST(every_function_of_the_header_is_in_the_table)
{
	static char text[1 << 20];
	FILE *file = fopen(K2K_HEADER, "re");
	int declared = 0;
	size_t n;

	assert_non_null(file);
	n = fread(text, 1, sizeof text - 1, file);
	assert_true(n > 1000 && n < sizeof text - 1);
	fclose(file);
	for (char *at = text; (at = strstr(at, "\nK2K_API ")) != NULL;) {
		char name[64] = "", *end = strchr(at + 1, '(');

		assert_non_null(end);
		for (char *p = at + 9; p < end; p++)
			if (strncmp(p, "k2k_", 4) == 0)
				snprintf(name, sizeof name, "%.*s", (int)(end - p), p);
		if (!find_entry(name))
			fail_msg("\"%s\" is in the header, but not in the table of this test",
			         name);
		if (!dlsym(RTLD_DEFAULT, name))
			fail_msg("%s is in the header, but the library does not export it", name);
		declared++;
		at = end;
	}
	assert_int_equal(declared, ENTRIES);
}

TEST(a_null_handle_is_invalid_in_every_call)
{
	for (int i = 0; i < ENTRIES; i++)
		for (int variant = 0; table[i].call && variant < VARIANTS; variant++) {
			int expected = 0, code = table[i].call(NULL, variant, &expected);

			if (expected == NONE)
				continue;
			if (expected == K2K_EUNSPECIFIED)
				assert_true(code == K2K_EUNSPECIFIED || code == K2K_EINVAL);
			else
				CHECK_CODE(code, K2K_EINVAL, what_of(&table[i], 0, variant));
		}
}

TEST(right_calls_succeed_in_their_roles_and_only_there)
{
	static struct traces before;
	static struct fixture f;

	set_up(&f);
	for (int i = 0; i < ENTRIES; i++)
		for (int role = K2K_ROLE_ADMIN; table[i].call && role <= K2K_ROLE_OBSERVER;
		     role++) {
			bool allowed = table[i].roles & (1 << role);
			int expected = allowed ? 0 : K2K_EROLE;

			copy_bytes(&f);
			traces_take(&before, f.name);
			CHECK_CODE(table[i].call(f.handles[role], 0, &expected),
			           allowed ? 0 : K2K_EROLE, what_of(&table[i], role, 0));
			CHECK_TRACES(&before, f.name, what_of(&table[i], role, 0));
			if (!allowed)
				check_bytes(&f, what_of(&table[i], role, 0));
			if (!allowed)
				assert_int_equal(k2k_error_detail()->code, K2K_EROLE);
		}
}

TEST(wrong_arguments_answer_the_fitting_error_and_change_nothing)
{
	static struct traces before;
	static struct fixture f;
	int tried = 0;

	set_up(&f);
	for (int i = 0; i < ENTRIES; i++)
		for (int role = K2K_ROLE_ADMIN; table[i].call && role <= K2K_ROLE_OBSERVER; role++)
			for (int variant = 1; (table[i].roles & (1 << role)) && variant < VARIANTS;
			     variant++) {
				int expected = K2K_EINVAL, code;

				copy_bytes(&f);
				traces_take(&before, f.name);
				code = table[i].call(f.handles[role], variant, &expected);
				if (expected == NONE)
					continue;
				CHECK_CODE(code, expected, what_of(&table[i], role, variant));
				CHECK_TRACES(&before, f.name, what_of(&table[i], role, variant));
				if (expected == K2K_EINVAL &&
				    strstr(table[i].name, "_release") == NULL) {
					check_bytes(&f, what_of(&table[i], role, variant));
					assert_int_equal(k2k_error_detail()->code, K2K_EINVAL);
					assert_true(k2k_error_detail()->text[0] != '\0');
				}
				tried++;
			}
	assert_true(tried > 300);
}

TEST(plain_rejections_leave_the_detail_alone)
{
	static const int32_t plain[] = { K2K_ERATE,   K2K_EBUDGET,   K2K_EKERNELS,
		                         K2K_EGPUMEM, K2K_ENOTENANT, K2K_EUNBOOKED,
		                         K2K_EGONE,   K2K_ENOTHELD,  K2K_ESTALE };
	struct k2k_quota none = K2K_QUOTA_STANDARD;
	struct k2k_budget empty = { 1, 0 };
	static struct fixture f;
	int rejected = 0;

	set_up(&f);
	none.max_messages_per_sec = none.max_gpu_memory_bytes = none.max_concurrent_kernels = 0;
	assert_int_equal(k2k_tenant_register(f.handles[K2K_ROLE_ADMIN], 20, &none), 0);
	none = (struct k2k_quota)K2K_QUOTA_UNLIMITED;
	none.budget_count = 1;
	none.budgets = &empty;
	assert_int_equal(k2k_tenant_register(f.handles[K2K_ROLE_ADMIN], 21, &none), 0);
	for (int i = -8; i < ENTRIES; i++)
		for (int role = K2K_ROLE_ADMIN; role <= K2K_ROLE_OBSERVER; role++)
			for (int variant = 1; variant < VARIANTS; variant++) {
				struct k2k_registry *reg = f.handles[role],
						    *broker = f.handles[K2K_ROLE_BROKER];
				struct k2k_error_detail before, after;
				int expected = K2K_EINVAL, code;

				if (i >= 0 && !(table[i].roles & (1 << role)))
					break;
				if (i < 0 && (role > 1 || variant > 1))
					break;
				assert_int_equal(k2k_registry_open("no such name", K2K_ROLE_ADMIN,
				                                   NULL, &reg),
				                 K2K_EINVAL);
				before = *k2k_error_detail();
				switch (i) {
				case -8:
					code = k2k_message_admit(broker, 20, tag, 1, NULL);
					assert_int_equal(code, K2K_ERATE);
					break;
				case -7:
					code = k2k_quota_check(broker, 20, tag, 1, NULL);
					assert_int_equal(code, K2K_ERATE);
					break;
				case -6:
					code = k2k_message_admit(broker, 21, tag, 1, NULL);
					assert_int_equal(code, K2K_EBUDGET);
					break;
				case -5:
					code = k2k_quota_check(broker, 21, tag, 1, NULL);
					assert_int_equal(code, K2K_EBUDGET);
					break;
				case -4:
					code = k2k_kernel_acquire(broker, 20, NULL, NULL);
					assert_int_equal(code, K2K_EKERNELS);
					break;
				case -3:
					code = k2k_gpu_memory_acquire(broker, 20, 1, NULL, NULL);
					assert_int_equal(code, K2K_EGPUMEM);
					break;
				case -2:
					assert_int_equal(
						k2k_usage_track(broker, ID, tag, UINT64_MAX), 0);
					code = k2k_usage_track(broker, ID, tag, 1);
					assert_int_equal(code, K2K_EUNBOOKED);
					break;
				case -1:
					code = k2k_kernel_release_id(broker, 20);
					assert_int_equal(code, K2K_ENOTHELD);
					break;
				default: code = table[i].call(f.handles[role], variant, &expected);
				}
				after = *k2k_error_detail();
				for (size_t p = 0; p < sizeof plain / sizeof plain[0]; p++)
					if (code == plain[p]) {
						if (memcmp(&before, &after, sizeof before) != 0)
							fail_msg("%s wrote the detail: %s",
							         i < 0 ? k2k_errname(code)
							               : what_of(&table[i], role,
							                         variant),
							         after.text);
						rejected++;
					}
			}
	assert_true(rejected > 25);
}

/* Tests the caller's pointer, and a copy of it that the caller made before the close. */
TEST(a_closed_handle_is_invalid_in_every_call)
{
	static struct traces before, opened;
	static struct fixture f;

	set_up(&f);
	for (int role = K2K_ROLE_ADMIN; role <= K2K_ROLE_OBSERVER; role++) {
		struct k2k_registry *kept = f.handles[role];

		assert_int_equal(k2k_registry_close(&f.handles[role]), 0);
		assert_null(f.handles[role]);
		assert_int_equal(k2k_registry_close(&f.handles[role]), K2K_EINVAL);
		copy_bytes(&f);
		traces_take(&before, f.name);
		for (int i = 0; i < ENTRIES; i++)
			for (int variant = 0; table[i].call && variant < VARIANTS; variant++) {
				int expected = K2K_EINVAL,
				    code = table[i].call(kept, variant, &expected);

				if (expected != NONE && code != K2K_EUNSPECIFIED)
					CHECK_CODE(code, K2K_EINVAL,
					           what_of(&table[i], role, variant));
			}
		assert_int_equal(k2k_registry_close(&kept), K2K_EINVAL);
		forget_seconds(&f.bytes);
		CHECK_BYTES(&f.bytes, "a closed handle");
		CHECK_TRACES(&before, f.name, "a closed handle");
	}
	/* Closing releases everything that the open took, 20 times over. */
	traces_take(&opened, f.name);
	for (int i = 0; i < 20; i++) {
		for (int role = K2K_ROLE_ADMIN; role <= K2K_ROLE_OBSERVER; role++)
			assert_int_equal(k2k_registry_open(f.name, (enum k2k_role)role, NULL,
			                                   &f.handles[role]),
			                 0);
		for (int role = K2K_ROLE_ADMIN; role <= K2K_ROLE_OBSERVER; role++)
			assert_int_equal(k2k_registry_close(&f.handles[role]), 0);
		CHECK_TRACES(&opened, f.name, "open and close");
	}
}

static void in_child(struct fixture *f, bool handlers_ran)
{
	static struct traces before;

	traces_take(&before, f->name);
	for (int role = K2K_ROLE_ADMIN; role <= K2K_ROLE_OBSERVER; role++)
		for (int i = 0; i < ENTRIES; i++)
			for (int variant = 0; table[i].call && variant < VARIANTS; variant++) {
				int expected = K2K_EINVAL,
				    code = table[i].call(f->handles[role], variant, &expected);

				/* wrong arguments may be found first */
				if (expected == NONE || (variant > 0 && code == K2K_EINVAL) ||
				    code == K2K_EUNSPECIFIED)
					continue;
				CHECK_CODE(code, K2K_EFORKED, what_of(&table[i], role, variant));
				assert_int_equal(k2k_error_detail()->code, K2K_EFORKED);
			}
	CHECK_TRACES(&before, f->name, "a forked child's calls");
	for (int role = K2K_ROLE_ADMIN; role <= K2K_ROLE_OBSERVER; role++) {
		struct k2k_registry *kept = f->handles[role],
				    *fresh = (struct k2k_registry *)&before;
		int code = k2k_registry_open(f->name, (enum k2k_role)role, NULL, &fresh);

		CHECK_CODE(code, handlers_ran ? 0 : K2K_EFORKED, "open in a child");
		assert_true(handlers_ran ? fresh != NULL : fresh == NULL);
		assert_int_equal(k2k_registry_close(&f->handles[role]), K2K_EFORKED);
		assert_null(f->handles[role]);
		assert_int_equal(k2k_tenant_count(kept, &(size_t){ 0 }), K2K_EFORKED);
		if (handlers_ran) {
			assert_int_equal(k2k_tenant_count(fresh, &(size_t){ 0 }), 0);
			assert_int_equal(k2k_registry_close(&fresh), 0);
		}
	}
}

static void fork_test(pid_t (*how)(void), bool handlers_ran)
{
	static struct traces before;
	static struct fixture f;
	pid_t pid;

	set_up(&f);
	for (int i = 0; i < ENTRIES; i++) /* makes the thread's first calls */
		for (int role = K2K_ROLE_ADMIN; table[i].call && role <= K2K_ROLE_OBSERVER; role++)
			table[i].call(f.handles[role], 0, &(int){ 0 });
	traces_take(&before, f.name);
	copy_bytes(&f);
	fflush(NULL);
	pid = how();
	assert_true(pid >= 0);
	if (pid == 0) {
		in_child(&f, handlers_ran);
		_exit(0);
	}
	spawn_wait_within(pid, 10);
	if (!handlers_ran)
		check_bytes(&f, "a forked child");
	CHECK_TRACES(&before, f.name, "a forked child");
	/* The parent's handles are unchanged, and so are its leases and its life lock. */
	for (int i = 0; i < ENTRIES; i++)
		for (int role = K2K_ROLE_ADMIN; table[i].call && role <= K2K_ROLE_OBSERVER; role++)
			if (table[i].roles & (1 << role))
				CHECK_CODE(table[i].call(f.handles[role], 0, &(int){ 0 }), 0,
				           what_of(&table[i], role, 0));
	assert_int_equal(k2k_registry_destroy(f.name, 0, NULL), K2K_EBUSY);
	assert_int_equal(k2k_error_detail()->pid, getpid());
}

TEST(a_forked_child_is_told_so_in_every_call_and_may_open_for_itself)
{
	fork_test(fork, true);
}

TEST(a_child_of_the_bare_fork_is_told_so_even_in_open)
{
	fork_test(_Fork, false);
}

/* A create that should also open, and can't, fails as a whole. */
TEST(a_create_that_cannot_open_leaves_no_registry)
{
	static struct fixture f;
	const char *name = fresh_registry();
	pid_t pid;

	set_up(&f);
	fflush(NULL);
	pid = _Fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		static struct traces before;
		struct k2k_registry *reg = (struct k2k_registry *)&before;

		traces_take(&before, name);
		assert_int_equal(k2k_registry_create(name, NULL, &reg), K2K_EFORKED);
		assert_null(reg);
		CHECK_TRACES(&before, name, "create in a child by _Fork()");
		_exit(0);
	}
	spawn_wait_within(pid, 10);
}

TEST(a_destroyed_registry_is_fenced_in_every_call)
{
	static struct fixture f;

	set_up(&f);
	assert_int_equal(k2k_registry_destroy(f.name, 0, NULL), K2K_EBUSY);
	assert_int_equal(k2k_error_detail()->pid, getpid());
	assert_int_equal(k2k_registry_destroy(f.name, K2K_DESTROY_FORCE, NULL), 0);
	for (int role = K2K_ROLE_ADMIN; role <= K2K_ROLE_OBSERVER; role++)
		for (int i = 0; i < ENTRIES; i++) {
			if (!table[i].call || !(table[i].roles & (1 << role)))
				continue;
			if (strcmp(table[i].name, "k2k_registry_set_audit_sink") == 0)
				/* writes nothing shared; is fenced only after another call was */
				continue;
			WAIT_UNTIL(table[i].call(f.handles[role], 0, &(int){ 0 }) == K2K_EFENCED,
			           5);
		}
	for (int role = K2K_ROLE_ADMIN; role <= K2K_ROLE_OBSERVER; role++) {
		assert_int_equal(call_set_sink(f.handles[role], 0, &(int){ 0 }), K2K_EFENCED);
		assert_int_equal(k2k_registry_close(&f.handles[role]), 0);
	}
}

/* ---- calls without a handle ------------------------------------------------------------------ */

TEST(names_that_are_no_names_are_refused)
{
	char longest[K2K_NAME_MAX + 2];
	const char *bad[] = { NULL,  "",    "a/b",      "../x", ".",    "a.b",
		              "a b", "a\n", "\xc3\xa4", "%s%n", longest };
	static struct traces before;

	memset(longest, 'x', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct k2k_registry *reg = (struct k2k_registry *)&before;

		traces_take(&before, "/no/");
		assert_int_equal(k2k_registry_create(bad[i], NULL, NULL), K2K_EINVAL);
		assert_int_equal(k2k_registry_create(bad[i], NULL, &reg), K2K_EINVAL);
		assert_null(reg);
		reg = (struct k2k_registry *)&before;
		assert_int_equal(k2k_registry_open(bad[i], K2K_ROLE_OBSERVER, NULL, &reg),
		                 K2K_EINVAL);
		assert_null(reg);
		assert_int_equal(k2k_registry_destroy(bad[i], K2K_DESTROY_FORCE, NULL), K2K_EINVAL);
		assert_string_equal(k2k_error_detail()->field, "name");
	}
}

TEST(create_and_plan_refuse_wrong_options_and_leave_nothing)
{
	static struct traces before;
	const char *name = fresh_registry();

	/* The first call makes a sanitizer start a thread of its own. */
	{
		struct k2k_registry_plan plan = { .size = sizeof plan };

		assert_int_equal(k2k_registry_plan(NULL, &plan), 0);
	}
	for (int i = 0; i < 30; i++) {
		struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
		struct k2k_registry_plan plan = { .size = sizeof plan };
		struct k2k_registry *reg = (struct k2k_registry *)&before;

		options.max_tenants = 16;
		switch (i) {
		case 0: options.max_tenants = (1u << 24) + 1; break;
		case 1: options.max_tenants = UINT64_MAX; break;
		case 2: options.max_tenants = (UINT64_C(1) << 32) + 1; break;
		case 3: options.max_engagements = (1u << 28) + 1; break;
		case 4: options.max_leases = (UINT64_C(1) << 32) + 16; break;
		case 5: options.max_budgets = UINT64_MAX; break;
		case 6:
			options.flags = K2K_CREATE_MODE;
			options.mode = 0;
			break;
		case 7:
			options.flags = K2K_CREATE_MODE;
			options.mode = 0400;
			break;
		case 8:
			options.flags = K2K_CREATE_MODE;
			options.mode = 0200;
			break;
		case 9:
			options.flags = K2K_CREATE_MODE;
			options.mode = 04600;
			break;
		case 10:
			options.flags = K2K_CREATE_MODE;
			options.mode = UINT32_MAX;
			break;
		case 11: options.max_engagements = UINT64_MAX; break;
		default:
			if (!spoil(i - 12, &options.size, &options.flags))
				continue;
		}
		traces_take(&before, name);
		CHECK_CODE(k2k_registry_create(name, &options, &reg), K2K_EINVAL, "create");
		assert_null(reg);
		CHECK_CODE(k2k_registry_plan(&options, &plan), K2K_EINVAL, "plan");
		CHECK_TRACES(&before, name, "create with wrong options");
	}
	for (int i = 0; i < 8; i++) {
		struct k2k_registry_plan plan = { .size = sizeof plan };

		if (spoil(i, &plan.size, &plan.flags))
			assert_int_equal(k2k_registry_plan(NULL, &plan), K2K_EINVAL);
	}
	assert_int_equal(k2k_registry_plan(NULL, NULL), K2K_EINVAL);
	assert_int_equal(
		k2k_registry_open(name, K2K_ROLE_ADMIN, NULL, &(struct k2k_registry *){ NULL }),
		K2K_ENOREGISTRY);
}

TEST(open_and_destroy_refuse_wrong_arguments_and_leave_nothing)
{
	static struct traces before;
	static const int roles[] = { 0, 4, -1, 7, INT_MAX, INT_MIN };
	struct k2k_registry *reg;
	static struct fixture f;

	set_up(&f);
	assert_int_equal(k2k_registry_close(&f.handles[K2K_ROLE_BROKER]), 0);
	copy_bytes(&f);
	traces_take(&before, f.name);
	assert_int_equal(k2k_registry_open(f.name, K2K_ROLE_ADMIN, NULL, NULL), K2K_EINVAL);
	assert_int_equal(k2k_registry_close(NULL), K2K_EINVAL);
	for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
		reg = f.handles[K2K_ROLE_ADMIN];
		assert_int_equal(k2k_registry_open(f.name, (enum k2k_role)roles[i], NULL, &reg),
		                 K2K_EINVAL);
		assert_null(reg);
	}
	for (int i = 0; i < 9; i++) {
		struct k2k_open_options options = K2K_OPEN_OPTIONS_INIT;
		char longest[65];

		memset(longest, 'x', 64);
		longest[64] = '\0';
		if (i == 8)
			options.actor = longest;
		else if (!spoil(i, &options.size, &options.flags))
			continue;
		for (int role = K2K_ROLE_ADMIN; role <= K2K_ROLE_OBSERVER; role++)
			CHECK_CODE(k2k_registry_open(f.name, (enum k2k_role)role, &options, &reg),
			           K2K_EINVAL, "open");
		if (i < 8)
			CHECK_CODE(k2k_registry_destroy(f.name, K2K_DESTROY_FORCE, &options),
			           K2K_EINVAL, "destroy");
	}
	assert_int_equal(k2k_registry_destroy(f.name, 2, NULL), K2K_EINVAL);
	assert_int_equal(k2k_registry_destroy(f.name, UINT32_MAX, NULL), K2K_EINVAL);
	for (int role = K2K_ROLE_ADMIN; role <= K2K_ROLE_OBSERVER; role++)
		assert_int_equal(
			k2k_registry_open("no-such-registry", (enum k2k_role)role, NULL, &reg),
			K2K_ENOREGISTRY);
	assert_int_equal(k2k_registry_destroy("no-such-registry", 0, NULL), K2K_ENOREGISTRY);
	assert_int_equal(k2k_registry_create(f.name, NULL, &reg), K2K_EEXIST);
	assert_null(reg);
	forget_seconds(&f.bytes);
	CHECK_BYTES(&f.bytes, "open and destroy with wrong arguments");
	CHECK_TRACES(&before, f.name, "open and destroy with wrong arguments");
}

TEST(the_65th_broker_is_refused_and_leaves_nothing)
{
	static struct traces before;
	struct k2k_registry *brokers[K2K_BROKERS_MAX], *one_more = (struct k2k_registry *)&before;
	static struct fixture f;

	set_up(&f);
	assert_int_equal(k2k_registry_close(&f.handles[K2K_ROLE_BROKER]), 0);
	for (int i = 0; i < K2K_BROKERS_MAX; i++)
		assert_int_equal(k2k_registry_open(f.name, K2K_ROLE_BROKER, NULL, &brokers[i]), 0);
	copy_bytes(&f);
	traces_take(&before, f.name);
	assert_int_equal(k2k_registry_open(f.name, K2K_ROLE_BROKER, NULL, &one_more),
	                 K2K_ENOBROKERSLOT);
	assert_null(one_more);
	CHECK_TRACES(&before, f.name, "the 65th broker");
	forget_seconds(&f.bytes);
	CHECK_BYTES(&f.bytes, "the 65th broker");
	assert_int_equal(k2k_registry_close(&brokers[17]), 0);
	assert_int_equal(k2k_registry_open(f.name, K2K_ROLE_BROKER, NULL, &one_more), 0);
}

TEST(lists_with_too_little_room_say_how_much_is_needed)
{
	k2k_tenant_id ids[4] = { 0, 0, 0, 99 };
	struct k2k_budget_info budgets[3] = { { .size = sizeof budgets[0] } };
	static struct fixture f;
	size_t count;

	set_up(&f);
	for (k2k_tenant_id id = 40; id < 45; id++)
		assert_int_equal(k2k_tenant_register(f.handles[K2K_ROLE_ADMIN], id, NULL), 0);
	assert_int_equal(k2k_tenant_ids(f.handles[K2K_ROLE_OBSERVER], ids, 3, &count), 0);
	assert_int_equal(count, 6);
	assert_int_equal(ids[3], 99);
	assert_int_equal(k2k_tenant_ids(f.handles[K2K_ROLE_OBSERVER], NULL, 0, &count), 0);
	assert_int_equal(count, 6);
	for (uint64_t e = 50; e < 55; e++)
		assert_int_equal(k2k_budget_set(f.handles[K2K_ROLE_ADMIN], ID, e, e), 0);
	budgets[2].id = 99;
	assert_int_equal(k2k_budget_list(f.handles[K2K_ROLE_OBSERVER], ID, budgets, 2, &count), 0);
	assert_int_equal(count, 7);
	assert_int_equal(budgets[2].id, 99);
	assert_int_equal(k2k_budget_list(f.handles[K2K_ROLE_OBSERVER], K2K_TENANT_UNSPECIFIED, NULL,
	                                 0, &count),
	                 0);
	assert_int_equal(count, 7);
}

TEST(every_code_has_a_name_and_a_text_of_its_own)
{
	static const int codes[] = {
		K2K_OK,           K2K_EPERM,        K2K_ENOREGISTRY,
		K2K_EIO,          K2K_ENOMEM,       K2K_EBUSY,
		K2K_EEXIST,       K2K_EINVAL,       K2K_EFULL,
		K2K_EUNSPECIFIED, K2K_ENOTENANT,    K2K_ENOBUDGET,
		K2K_ERATE,        K2K_EBUDGET,      K2K_EKERNELS,
		K2K_EGPUMEM,      K2K_EUNBOOKED,    K2K_EGONE,
		K2K_ENOTHELD,     K2K_ESTALE,       K2K_ENOBROKERSLOT,
		K2K_ELAYOUT,      K2K_EBOOT,        K2K_EOWNER,
		K2K_ECORRUPT,     K2K_EFENCED,      K2K_EFORKED,
		K2K_EROLE,        K2K_ENOAUDIT,     K2K_ESUSPENDED,
		K2K_ENOKERNEL,    K2K_ECROSSTENANT,
	};
	const int count = sizeof codes / sizeof codes[0];
	static char text[1 << 20];
	FILE *file = fopen(K2K_HEADER, "re");
	int declared = 0;

	for (int i = 0; i < count; i++) {
		assert_true(k2k_strerror(codes[i]) && k2k_strerror(codes[i])[0]);
		assert_int_equal(strncmp(k2k_errname(codes[i]), "K2K_", 4), 0);
		assert_true(strcmp(k2k_errname(codes[i]), k2k_errname(12345)) != 0);
		assert_true(strcmp(k2k_strerror(codes[i]), k2k_strerror(12345)) != 0);
		for (int j = 0; j < i; j++) {
			assert_true(strcmp(k2k_strerror(codes[i]), k2k_strerror(codes[j])) != 0);
			assert_true(strcmp(k2k_errname(codes[i]), k2k_errname(codes[j])) != 0);
		}
	}
	assert_true(k2k_strerror(INT_MIN) && k2k_errname(INT_MAX) && k2k_strerror(1) &&
	            k2k_errname(-3));
	/* The header lists exactly these codes. */
	assert_non_null(file);
	text[fread(text, 1, sizeof text - 1, file)] = '\0';
	fclose(file);
	for (char *at = text; (at = strstr(at, "\n\tK2K_")) != NULL; at++) {
		char name[40];
		int value, known = 0;

		if (sscanf(at, " %39[A-Z0-9_] = %d,", name, &value) != 2 ||
		    (name[4] != 'E' && strcmp(name, "K2K_OK") != 0) || value > 0)
			continue;
		for (int i = 0; i < count; i++)
			known += codes[i] == value && strcmp(k2k_errname(value), name) == 0;
		if (known != 1)
			fail_msg("%s = %d of the header is \"%s\"", name, value,
			         k2k_errname(value));
		declared++;
	}
	assert_int_equal(declared, count);
}

TEST(names_of_levels_and_types_are_never_null)
{
	static const int others[] = { 0, -1, 5, 99, INT_MAX, INT_MIN };
	char version[32];

	assert_string_equal(k2k_audit_level_name(K2K_AUDIT_INFO), "Info");
	assert_string_equal(k2k_audit_level_name(K2K_AUDIT_WARNING), "Warning");
	assert_string_equal(k2k_audit_level_name(K2K_AUDIT_SECURITY), "Security");
	assert_string_equal(k2k_audit_type_name(K2K_AUDIT_SECURITY_VIOLATION), "SecurityViolation");
	assert_string_equal(k2k_audit_type_name(K2K_AUDIT_RESOURCE_LIMIT_EXCEEDED),
	                    "ResourceLimitExceeded");
	assert_string_equal(k2k_audit_type_name(K2K_AUDIT_AUTHORIZATION_CHECK),
	                    "AuthorizationCheck");
	assert_string_equal(k2k_audit_type_name(K2K_AUDIT_CONFIGURATION_CHANGE),
	                    "ConfigurationChange");
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		assert_non_null(k2k_audit_level_name((enum k2k_audit_level)others[i]));
		assert_non_null(k2k_audit_type_name((enum k2k_audit_type)others[i]));
	}
	snprintf(version, sizeof version, "%d.%d.%d", K2K_VERSION_MAJOR, K2K_VERSION_MINOR,
	         K2K_VERSION_PATCH);
	assert_string_equal(k2k_version(), version);
	assert_int_equal(k2k_is_cross_tenant(0, 0), 0);
	assert_int_equal(k2k_is_cross_tenant(0, 1), 1);
	assert_int_equal(k2k_is_cross_tenant(UINT64_MAX, UINT64_MAX), 0);
	assert_int_equal(k2k_is_cross_tenant(UINT64_MAX, 0), 1);
	assert_int_equal(k2k_is_cross_tenant(UINT64_C(1) << 32, 0), 1);
}
