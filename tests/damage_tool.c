/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * damage_tool.c - k2k-tenantctl on a registry with one bit flipped: list, show, check, repair.
 *
 *	damage_tool K2K-TENANTCTL [FLIPS]
 *
 * Each command ends by itself, with an exit code that its help names, and says why if it is not 0.
 * The bits are random (the seed is printed; K2K_TEST_SEED sets it), half of them in fields in use.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define HARNESS_TIMEOUT_S 3600
#define HARNESS_OWN_MAIN
#include "damage_fields.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>

extern char **environ;

/* an answer takes about 100 ms; longer if the machine is busy */
#define COMMAND_MS 5000

static struct damage d;
static struct region regions[REGIONS];
static const char *tool;
static unsigned long flips = 60;
static uint64_t seed;

static uint64_t draw(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* Runs the command to its end: its exit code, and what it wrote to standard error. */
static int run_tool(char *const argv[], char *said, size_t room)
{
	posix_spawn_file_actions_t actions;
	uint64_t deadline = now_ns() + COMMAND_MS * 1000000ull;
	size_t used = 0;
	int fds[2], status;
	pid_t pid;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, fds[1], 2);
	assert_int_equal(posix_spawn(&pid, tool, &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
	for (;;) {
		struct pollfd readable = { fds[0], POLLIN, 0 };
		uint64_t now = now_ns();
		ssize_t n;

		if (now >= deadline ||
		    poll(&readable, 1, (int)((deadline - now) / 1000000) + 1) == 0) {
			kill(pid, SIGKILL);
			fail_msg("%s hangs", argv[3]);
		}
		n = read(fds[0], said + used, used + 1 < room ? room - used - 1 : 0);
		if (n <= 0)
			break;
		used += (size_t)n;
	}
	said[used] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		fail_msg("%s: signal %d: %s", argv[3], WTERMSIG(status), said);
	return WEXITSTATUS(status);
}

enum { CODES = 16 };
static const struct command {
	const char *words[3];
	int allowed[6]; /* ends with -1 */
} commands[] = {
	/*
	 * 6: damaged, of another layout or boot; 7: not to be trusted; 9: some tenants are damaged;
	 * 3: no such tenant; 1: found
	 */
	{ { "list", NULL }, { 0, 6, 7, 9, -1 } },
	{ { "show", "1", NULL }, { 0, 3, 6, 7, -1 } },
	{ { "check", NULL }, { 0, 1, 6, 7, -1 } },
	{ { "repair", NULL }, { 0, 6, 7, -1 } },
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };
static unsigned long answers[COMMANDS][CODES];

static void ask(const struct command *command, const char *what)
{
	char said[4096];
	char *argv[8] = { (char *)(uintptr_t)tool, (char *)(uintptr_t) "-r",
		          (char *)(uintptr_t)d.name, NULL };
	const int *allowed = command->allowed;
	int code;

	for (int i = 0; i < 3; i++)
		argv[3 + i] = (char *)(uintptr_t)command->words[i];
	code = run_tool(argv, said, sizeof said);
	while (*allowed >= 0 && *allowed != code)
		allowed++;
	if (*allowed < 0)
		fail_msg("%s: %s ended with %d: %s", what, command->words[0], code, said);
	if (code && !said[0])
		fail_msg("%s: %s ended with %d, and does not say why", what, command->words[0],
		         code);
	assert_true(code < CODES);
	answers[command - commands][code]++;
	if (access(d.bytes.defs_path, F_OK) != 0 || access(d.bytes.live_path, F_OK) != 0)
		fail_msg("%s: %s removed the registry", what, command->words[0]);
}

TEST(the_command_answers_on_a_damaged_registry)
{
	size_t bits;

	damage_populate(&d);
	regions_of(&d.map, regions);
	bits = (d.bytes.defs_bytes + d.bytes.live_bytes) * 8;
	for (unsigned long i = 0; i < flips;) {
		size_t at = draw() % bits, byte = at / 8;
		bool in_defs = byte < d.bytes.defs_bytes;
		size_t offset = in_defs ? byte : byte - d.bytes.defs_bytes;
		struct meaning meaning;
		char what[128];

		meaning_of(&d.map, regions,
		           (in_defs ? d.admin->defs.base : d.admin->live.base) + offset, at % 8,
		           &meaning);
		if (i % 2 && (!meaning.region || meaning.use == IDLE))
			continue;
		i++;
		snprintf(what, sizeof what, "bit %zu of byte %zu of %s (%s.%s)", at % 8, offset,
		         in_defs ? "defs" : "live", meaning.region ? meaning.region->name : "-",
		         meaning.field->name);
		(in_defs ? d.bytes.defs : d.bytes.live)[offset] ^= (unsigned char)(1u << at % 8);
		for (int c = 0; c < COMMANDS; c++)
			ask(&commands[c], what);
		bytes_restore(&d.bytes);
	}
	for (int c = 0; c < COMMANDS; c++) {
		printf("# %-7s", commands[c].words[0]);
		for (int code = 0; code < CODES; code++)
			if (answers[c][code])
				printf("  exit %d: %lu", code, answers[c][code]);
		putchar('\n');
	}
}

int main(int argc, char **argv)
{
	const char *text = getenv("K2K_TEST_SEED");

	if (argc < 2) {
		fputs("usage: damage_tool K2K-TENANTCTL [FLIPS]\n", stderr);
		return 2;
	}
	tool = argv[1];
	if (argc > 2)
		flips = strtoul(argv[2], NULL, 10);
	seed = text ? strtoull(text, NULL, 0) : now_ns();
	seed += !seed;
	printf("# K2K_TEST_SEED=%" PRIu64 "\n", seed);
	return harness_main(1, argv);
}
