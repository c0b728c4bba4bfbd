/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * crash_instructions - that the points of crash_points leave nothing out
 *
 * 1. admit and register, killed after every single instruction.
 * 2. The stores to the shared objects, counted in another way: the mappings are read-only, each
 *    store faults, is let through alone, and is looked at before and after. As many of them change
 *    something as crash_points finds by comparing the objects after each instruction. (A store of
 *    what is there already makes no new state.)
 */
#define HARNESS_TIMEOUT_S 3600

#include "crash_run.h"

#include <ucontext.h>

static const struct operation *operation_named(const char *name)
{
	for (size_t i = 0; i < sizeof admin_operations / sizeof admin_operations[0]; i++)
		if (strcmp(admin_operations[i].name, name) == 0)
			return &admin_operations[i];
	for (size_t i = 0; i < sizeof broker_operations / sizeof broker_operations[0]; i++)
		if (strcmp(broker_operations[i].name, name) == 0)
			return &broker_operations[i];
	fail_msg("no operation %s", name);
}

static void kill_at_every_instruction(const char *name)
{
	kill_everywhere(operation_named(name), STATE_EMPTY, true);
	check_reached();
}

TEST(every_instruction_of_admit)
{
	kill_at_every_instruction("admit");
}
TEST(every_instruction_of_admit_rolling_the_window)
{
	kill_at_every_instruction("admit, rolling the window");
}
TEST(every_instruction_of_register)
{
	kill_at_every_instruction("register");
}

/* ---- stores that fault ----------------------------------------------------------------------- */

enum { RANGES = 4, LONGEST_STORE = 64, TRAP_FLAG = 0x100 };

static struct {
	unsigned char *base;
	size_t bytes;
} ranges[RANGES];
static volatile bool counting;
static uint64_t stores_seen, changes_seen;
static unsigned char *store_at, store_before[LONGEST_STORE];
static size_t store_range;

/*
 * The library's calls of mmap, by either name, come here (--wrap): what an operation maps itself is
 * watched too.
 */
void *__real_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);

static void watch(unsigned char *base, size_t bytes)
{
	for (size_t i = 0; i < RANGES; i++)
		if (!ranges[i].base) {
			ranges[i].base = base;
			ranges[i].bytes = bytes;
			assert_int_equal(mprotect(base, bytes, PROT_READ), 0);
			return;
		}
	fail_msg("more than %d shared mappings", RANGES);
}

void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	void *base = __real_mmap(address, bytes, protection, flags, fd, offset);

	if (counting && base != MAP_FAILED && (flags & MAP_SHARED) && fd >= 0 &&
	    (protection & PROT_WRITE))
		watch(base, bytes);
	return base;
}

void *__wrap_mmap64(void *address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	return __wrap_mmap(address, bytes, protection, flags, fd, offset);
}

/*
 * No thread beside it: all signals are blocked there, and a store of its own to the trail would end
 * the process.
 */
int __real_k2k_helper_start(struct k2k_helper *helper);
int __wrap_k2k_helper_start(struct k2k_helper *helper);

int __wrap_k2k_helper_start(struct k2k_helper *helper)
{
	return counting ? 0 : __real_k2k_helper_start(helper);
}

static void on_store(int number, siginfo_t *info, void *context)
{
	ucontext_t *user = context;
	unsigned char *at = info->si_addr;
	size_t i = 0;

	while (i < RANGES && !(at >= ranges[i].base && at < ranges[i].base + ranges[i].bytes))
		i++;
	if (i == RANGES) {
		signal(number, SIG_DFL);
		return;
	}
	store_at = at;
	store_range = i;
	memcpy(store_before, at,
	       (size_t)(ranges[i].base + ranges[i].bytes - at) < LONGEST_STORE
	               ? (size_t)(ranges[i].base + ranges[i].bytes - at)
	               : LONGEST_STORE);
	mprotect(ranges[i].base, ranges[i].bytes, PROT_READ | PROT_WRITE);
	user->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

/* Left out in crash_scene.h too. */
static bool wakes_readers(void)
{
	const struct k2k_shm_header *header = (const void *)ranges[store_range].base;

	return header->magic == K2K_LIVE_MAGIC &&
	       store_at == ranges[store_range].base + offsetof(struct k2k_shm_live, audit_wake);
}

static void after_store(int number, siginfo_t *info, void *context)
{
	ucontext_t *user = context;
	size_t left = (size_t)(ranges[store_range].base + ranges[store_range].bytes - store_at);

	(void)number, (void)info;
	stores_seen++;
	changes_seen += !wakes_readers() &&
	                memcmp(store_before, store_at,
	                       left < LONGEST_STORE ? left : LONGEST_STORE) != 0;
	mprotect(ranges[store_range].base, ranges[store_range].bytes, PROT_READ);
	user->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
}

static void catch_stores(struct k2k_registry *reg)
{
	struct sigaction store = { .sa_sigaction = on_store, .sa_flags = SA_SIGINFO };
	struct sigaction trap = { .sa_sigaction = after_store, .sa_flags = SA_SIGINFO };

	if (reg)
		k2k_helper_stop(&reg->helper);
	assert_true(sigaction(SIGSEGV, &store, NULL) == 0 && sigaction(SIGTRAP, &trap, NULL) == 0);
	if (reg && reg->defs.writable)
		watch(reg->defs.base, reg->defs.bytes);
	if (reg && reg->live.writable)
		watch(reg->live.base, reg->live.bytes);
	counting = true;
}

struct count {
	uint64_t stores, changes;
};

static struct count count_stores(const struct operation *operation, enum state state)
{
	struct count *count = shared_bytes(sizeof *count), result;
	struct scene scene;
	pid_t pid;

	scene_open(&scene, operation, state);
	if (scene.bystander)
		pause_bystander(&scene);
	pid = spawn();
	if (pid == 0) {
		struct victim victim = { .name = scene.name,
			                 .lease = K2K_LEASE_INIT,
			                 .clock_ns = &scene.stage->clock_ns };

		k2k_agent_in_caller = true;
		if (operation->role)
			victim.reg = open_with_clock(&scene, operation->role);
		if (operation->prepare)
			operation->prepare(&victim);
		catch_stores(victim.reg);
		assert_int_equal(operation->run(&victim), operation->expected);
		counting = false;
		count->stores = stores_seen;
		count->changes = changes_seen;
		_exit(0);
	}
	spawn_wait(pid);
	scene_close(&scene);
	result = *count;
	munmap(count, sizeof *count);
	return result;
}

static void compare(const struct operation *operation, enum state state)
{
	struct points points = { 0 };
	struct count count;

	/*
	 * a creator's objects have no name while it fills them: nobody else can see those stores,
	 * nor can crash_points
	 */
	if (!is_wanted(operation) || operation->no_registry)
		return;
	/*
	 * again where somebody's helper had its turn while the victim was stepped: a store that is
	 * left out is left out each time
	 */
	for (int i = 0; i == 0 || (i < 4 && count.changes < points.changes); i++) {
		points_free(&points);
		assert_true(discover(&points, operation, state, false, NULL));
		count = count_stores(operation, state);
	}
	printf("# stores | %s | %s | %" PRIu64 " | %" PRIu64 " | %zu\n", operation->name,
	       state_names[state], count.stores, count.changes, points.changes);
	fflush(stdout);
	assert_int_equal(count.changes, points.changes);
	points_free(&points);
}

TEST(no_store_is_left_out)
{
	for (size_t i = 0; i < sizeof admin_operations / sizeof admin_operations[0]; i++)
		compare(&admin_operations[i], STATE_HALF_FULL);
	for (size_t i = 0; i < sizeof broker_operations / sizeof broker_operations[0]; i++)
		compare(&broker_operations[i], STATE_HALF_FULL);
}
