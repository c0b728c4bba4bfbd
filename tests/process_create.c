/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* process_create - many creators of one name, creators that die, and what they leave in /dev/shm */
#include "process.h"

#include <fcntl.h>

enum { CREATORS = 16 };

static int create_small(const char *name, struct k2k_registry **handle)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;

	options.max_tenants = options.max_engagements = options.max_kernels = options.max_budgets =
		options.max_leases = 16;
	options.max_audit_events = 4;
	return k2k_registry_create(name, &options, handle);
}

TEST(of_sixteen_racing_creators_exactly_one_wins_and_nothing_of_the_others_is_left)
{
	enum { ROUNDS = 40 };
	struct shared {
		struct meeting meeting;
		atomic_int won, lost, other;
	} *shared = shared_bytes(sizeof *shared);
	const char *name = fresh_registry();
	pid_t creators[CREATORS];

	for (int i = 0; i < CREATORS; i++) {
		creators[i] = spawn();
		if (creators[i] != 0)
			continue;
		for (int round = 0; round < ROUNDS; round++) {
			struct k2k_registry *admin = NULL;
			int code;

			meet(&shared->meeting, CREATORS + 1);
			code = create_small(name, &admin);
			assert_true((code == 0) == (admin != NULL));
			atomic_fetch_add(code == 0            ? &shared->won
			                 : code == K2K_EEXIST ? &shared->lost
			                                      : &shared->other,
			                 1);
			if (code && code != K2K_EEXIST)
				fail_msg("create: %s (%s)", k2k_errname(code),
				         k2k_error_detail()->text);
			/* The losers find the winner's registry, complete. */
			if (code == K2K_EEXIST)
				admin = open_as(name, K2K_ROLE_ADMIN);
			assert_int_equal(k2k_registry_close(&admin), 0);
			meet(&shared->meeting, CREATORS + 1);
		}
		exit(0);
	}
	for (int round = 0; round < ROUNDS; round++) {
		int lives;

		meet(&shared->meeting, CREATORS + 1);
		meet(&shared->meeting, CREATORS + 1);
		assert_int_equal(atomic_exchange(&shared->won, 0), 1);
		assert_int_equal(atomic_exchange(&shared->lost, 0), CREATORS - 1);
		assert_int_equal(objects_of(name, &lives), 1);
		assert_int_equal(lives, 1);
		assert_int_equal(k2k_registry_destroy(name, 0, NULL), 0);
		check_nothing_left(name);
	}
	wait_all(creators, CREATORS);
}

TEST(creators_openers_and_destroyers_of_one_name_see_a_whole_registry_or_none)
{
	enum { ACTORS = 6, STEPS = 150 };
	const char *name = fresh_registry();
	pid_t actors[ACTORS];
	int names, lives;

	for (int i = 0; i < ACTORS; i++) {
		actors[i] = spawn();
		if (actors[i] != 0)
			continue;
		random_seed((uint64_t)i);
		for (int step = 0; step < STEPS; step++) {
			struct k2k_registry *reg = NULL;
			size_t count = 0;
			int code;

			switch (i % 3) {
			case 0:
				code = create_small(name, NULL);
				if (code != 0 && code != K2K_EEXIST)
					fail_msg("create: %s (%s)", k2k_errname(code),
					         k2k_error_detail()->text);
				break;
			case 1:
				code = k2k_registry_destroy(name, K2K_DESTROY_FORCE, NULL);
				if (code != 0 && code != K2K_ENOREGISTRY)
					fail_msg("destroy: %s (%s)", k2k_errname(code),
					         k2k_error_detail()->text);
				break;
			default:
				code = k2k_registry_open(
					name, step % 2 ? K2K_ROLE_BROKER : K2K_ROLE_ADMIN, NULL,
					&reg);
				if (code == K2K_ENOREGISTRY)
					break;
				if (code)
					fail_msg("open: %s (%s)", k2k_errname(code),
					         k2k_error_detail()->text);
				code = k2k_tenant_count(reg, &count);
				if (code != 0 && code != K2K_EFENCED)
					fail_msg("count: %s (%s)", k2k_errname(code),
					         k2k_error_detail()->text);
				assert_int_equal(count, 0);
				assert_int_equal(k2k_registry_close(&reg), 0);
			}
		}
		exit(0);
	}
	wait_all(actors, ACTORS);
	/* Whatever the last step was: one name or none, and no unreferenced live object. */
	names = objects_of(name, &lives);
	assert_int_equal(names, lives);
	assert_true(lives <= 1);
	if (lives)
		assert_int_equal(k2k_registry_destroy(name, 0, NULL), 0);
	check_nothing_left(name);
}

static void make_file(const char *format, ...)
{
	char path[256];
	va_list ap;
	int fd;

	va_start(ap, format);
	vsnprintf(path, sizeof path, format, ap);
	va_end(ap);
	fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "mine", 4), 4);
	close(fd);
}

static int exists(const char *format, ...)
{
	char path[256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(path, sizeof path, format, ap);
	va_end(ap);
	return access(path, F_OK) == 0;
}

TEST(creators_killed_at_any_moment_leave_nothing_once_the_next_has_created)
{
	enum { KILLS = 120 };
	static const char uuid[] = "01234567-89ab-4def-8123-456789abcdef";
	const char *name = fresh_registry();
	struct k2k_registry *neighbour;
	char neighbour_name[80];
	uint64_t longest_ns;
	int lives;

	/* Registries whose names begin alike, and files that belong to no registry, all stay. */
	snprintf(neighbour_name, sizeof neighbour_name, "%s-2", name);
	assert_int_equal(create_small(neighbour_name, &neighbour), 0);
	make_file("/dev/shm/k2k.%s.live.%s", name, uuid);
	make_file("/dev/shm/k2k.%s.live.notes", name);
	make_file("/dev/shm/k2k.%s.txt", name);
	longest_ns = now_ns();
	assert_int_equal(create_small(name, NULL), 0);
	assert_int_equal(k2k_registry_destroy(name, 0, NULL), 0);
	longest_ns = now_ns() - longest_ns;
	random_seed(1);
	for (int i = 0; i < KILLS; i++) {
		struct gate ready;
		pid_t creator;

		gate_make(&ready);
		creator = spawn();
		if (creator == 0) {
			struct k2k_registry *admin = NULL;

			gate_open(&ready);
			for (;;) {
				if (create_small(name, &admin) == 0)
					k2k_registry_close(&admin);
				k2k_registry_destroy(name, 0, NULL);
			}
		}
		gate_wait(&ready);
		close(ready.fd[0]);
		close(ready.fd[1]);
		pause_ns(random_below(2 * longest_ns + 1));
		spawn_kill(creator);
		/*
		 * The creator was killed in destroy: create completes that, or finds the registry
		 * whole.
		 */
		int code = create_small(name, NULL);
		for (uint64_t end = now_ns() + 5000000000u; code == K2K_EEXIST && now_ns() < end;) {
			struct k2k_registry *admin;

			if (k2k_registry_open(name, K2K_ROLE_ADMIN, NULL, &admin) == 0) {
				check_clean(admin);
				assert_int_equal(k2k_registry_close(&admin), 0);
				break;
			}
			code = create_small(name, NULL);
		}
		assert_true(code == 0 || code == K2K_EEXIST);
		assert_int_equal(objects_of(name, &lives), 1);
		assert_int_equal(lives, 1 + 2);
		assert_int_equal(k2k_registry_destroy(name, 0, NULL), 0);
		assert_int_equal(objects_of(name, &lives), 0);
		assert_int_equal(lives, 2);
	}
	assert_true(exists("/dev/shm/k2k.%s.live.%s", name, uuid));
	assert_true(exists("/dev/shm/k2k.%s.live.notes", name));
	assert_true(exists("/dev/shm/k2k.%s.txt", name));
	check_clean(neighbour);
	close_and_destroy(neighbour_name, &neighbour);
}
