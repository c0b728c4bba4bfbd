/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * badinput.h - what a call left behind: names in /dev/shm, descriptors, mappings, threads, shared
 * bytes.
 *
 *	struct traces before = traces_take(name);
 *	... a call that fails ...
 *	CHECK_TRACES(before, name, "what it was");
 *
 * Of /dev/shm only names that contain the registry's: others work there too.
 */
#ifndef K2K_TESTS_BADINPUT_H
#define K2K_TESTS_BADINPUT_H

#include "harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>

/* spawn_wait() with a deadline: a child may hang with all signals blocked. */
HARNESS_USED static void spawn_wait_within(pid_t pid, int seconds)
{
	siginfo_t info;

	for (int i = 0; i < seconds * 1000; i++) {
		info.si_pid = 0;
		assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT), 0);
		if (info.si_pid == pid) {
			spawn_wait(pid);
			return;
		}
		nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
	}
	kill(pid, SIGKILL);
	fail_msg("child %ld hangs", (long)pid);
}

#define TRACES_MAX 131072

struct traces {
	char text[TRACES_MAX];
	size_t used;
};

__attribute__((format(printf, 2, 3))) HARNESS_USED static void traces_add(struct traces *t,
                                                                          const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(t->text + t->used, sizeof t->text - t->used, format, ap);
	va_end(ap);
	assert_true(n >= 0 && (size_t)n < sizeof t->text - t->used);
	t->used += (size_t)n;
}

HARNESS_USED static int traces_by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static const char *traces_registry;

HARNESS_USED static int traces_is_ours(const struct dirent *entry)
{
	return strstr(entry->d_name, traces_registry) != NULL;
}

HARNESS_USED static void traces_names(struct traces *t, const char *registry)
{
	struct dirent **list;
	int n;

	traces_registry = registry;
	n = scandir("/dev/shm", &list, traces_is_ours, traces_by_name);
	for (int i = 0; i < n; i++) {
		struct stat st;
		char path[512];

		snprintf(path, sizeof path, "/dev/shm/%s", list[i]->d_name);
		if (lstat(path, &st) == 0)
			traces_add(t, "name %s inode %lu mode %o uid %u size %lld links %lu\n",
			           list[i]->d_name, (unsigned long)st.st_ino, (unsigned)st.st_mode,
			           (unsigned)st.st_uid, (long long)st.st_size,
			           (unsigned long)st.st_nlink);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
}

HARNESS_USED static void traces_descriptors(struct traces *t)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		char target[256];
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1);

		if (n < 0 || atoi(entry->d_name) == dirfd(dir))
			continue;
		target[n] = '\0';
		/* ctest's own, which another ctest in the same folder renames */
		if (strstr(target, "/LastTest.log"))
			continue;
		traces_add(t, "fd %s %s\n", entry->d_name, target);
	}
	closedir(dir);
}

HARNESS_USED static void traces_mappings(struct traces *t)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];

	assert_non_null(maps);
	while (fgets(line, sizeof line, maps))
		if (strstr(line, "k2k.") || strstr(line, "/dev/shm"))
			traces_add(t, "map %s", line);
	fclose(maps);
}

/*
 * A thread that was joined may still be ending: the kernel says so in its flags (PF_EXITING), field
 * 9.
 */
HARNESS_USED static bool thread_is_ending(const char *id)
{
	char path[64], line[512] = "", *after;
	unsigned int flags = 0;
	FILE *file;

	snprintf(path, sizeof path, "/proc/self/task/%.20s/stat", id);
	file = fopen(path, "re");
	if (!file)
		return true;
	after = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
	fclose(file);
	return !after || sscanf(after, ") %*c %*d %*d %*d %*d %*d %u", &flags) != 1 ||
	       (flags & 0x4);
}

HARNESS_USED static void traces_threads(struct traces *t)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *entry;
	int n = 0;

	assert_non_null(tasks);
	while ((entry = readdir(tasks)))
		n += entry->d_name[0] != '.' && !thread_is_ending(entry->d_name);
	closedir(tasks);
	traces_add(t, "threads %d\n", n);
}

HARNESS_USED static void traces_take(struct traces *t, const char *registry)
{
	t->used = 0;
	t->text[0] = '\0';
	traces_names(t, registry);
	traces_descriptors(t);
	traces_mappings(t);
	traces_threads(t);
}

/* The first line of `text` that `other` lacks. */
HARNESS_USED static const char *traces_missing(const struct traces *text,
                                               const struct traces *other)
{
	static char line[600];

	for (const char *at = text->text; *at; at = strchr(at, '\n') + 1) {
		snprintf(line, sizeof line, "%.*s", (int)(strchr(at, '\n') - at) + 1, at);
		if (!strstr(other->text, line))
			return line;
	}
	return "(nothing)\n";
}

/* A thread that has been joined, and what its table held, may be there for some moments more. */
#define CHECK_TRACES(before, registry, what)                                                     \
	do {                                                                                     \
		static struct traces traces_after;                                               \
		uint64_t traces_end = now_ns() + UINT64_C(5000000000);                           \
		do                                                                               \
			traces_take(&traces_after, (registry));                                  \
		while (strcmp(traces_after.text, (before)->text) != 0 && now_ns() < traces_end); \
		if (strcmp(traces_after.text, (before)->text) != 0) {                            \
			fprintf(stderr, "# gone: %s", traces_missing((before), &traces_after));  \
			fprintf(stderr, "# new: %s", traces_missing(&traces_after, (before)));   \
			fail_msg("%s left something behind", (what));                            \
		}                                                                                \
	} while (0)

/* ---- shared bytes ----------------------------------------------------------- */

/* Both objects of a registry, mapped by the test itself, and a copy of them. */
struct bytes {
	char defs_path[512], live_path[512];
	unsigned char *defs, *live, *defs_copy, *live_copy;
	size_t defs_bytes, live_bytes;
};

HARNESS_USED static void bytes_paths(struct bytes *b, const char *registry)
{
	char prefix[256];
	struct dirent *entry;
	DIR *dir = opendir("/dev/shm");

	assert_non_null(dir);
	snprintf(b->defs_path, sizeof b->defs_path, "/dev/shm/k2k.%s.defs", registry);
	snprintf(prefix, sizeof prefix, "k2k.%s.live.", registry);
	b->live_path[0] = '\0';
	while ((entry = readdir(dir)))
		if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0) {
			assert_false(b->live_path[0]);
			snprintf(b->live_path, sizeof b->live_path, "/dev/shm/%s", entry->d_name);
		}
	closedir(dir);
	assert_true(b->live_path[0]);
}

HARNESS_USED static unsigned char *bytes_map(const char *path, size_t *bytes)
{
	struct stat st;
	void *base;
	int fd = open(path, O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	*bytes = (size_t)st.st_size;
	base = mmap(NULL, *bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(base != MAP_FAILED);
	close(fd);
	return base;
}

HARNESS_USED static void bytes_open(struct bytes *b, const char *registry)
{
	bytes_paths(b, registry);
	b->defs = bytes_map(b->defs_path, &b->defs_bytes);
	b->live = bytes_map(b->live_path, &b->live_bytes);
	b->defs_copy = malloc(b->defs_bytes);
	b->live_copy = malloc(b->live_bytes);
	assert_true(b->defs_copy && b->live_copy);
}

HARNESS_USED static void bytes_copy(struct bytes *b)
{
	memcpy(b->defs_copy, b->defs, b->defs_bytes);
	memcpy(b->live_copy, b->live, b->live_bytes);
}

HARNESS_USED static void bytes_restore(struct bytes *b)
{
	memcpy(b->defs, b->defs_copy, b->defs_bytes);
	memcpy(b->live, b->live_copy, b->live_bytes);
}

/* The first difference, or -1. */
HARNESS_USED static long bytes_differ(const unsigned char *a, const unsigned char *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (a[i] != b[i])
			return (long)i;
	return -1;
}

#define CHECK_BYTES(b, what)                                                              \
	do {                                                                              \
		long bytes_at = bytes_differ((b)->defs, (b)->defs_copy, (b)->defs_bytes); \
		if (bytes_at >= 0)                                                        \
			fail_msg("%s changed byte %ld of defs", (what), bytes_at);        \
		bytes_at = bytes_differ((b)->live, (b)->live_copy, (b)->live_bytes);      \
		if (bytes_at >= 0)                                                        \
			fail_msg("%s changed byte %ld of live", (what), bytes_at);        \
	} while (0)

#endif
