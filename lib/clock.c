/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "error.h"

static int no_offset(int error)
{
	/*
	 * The kernel has no time namespaces; or there is no /proc, which a later step that needs it
	 * reports.
	 */
	if (error == ENOENT)
		return 0;
	return k2k_fail_errno(error == ENOMEM ? K2K_ENOMEM : K2K_EIO, error, "/proc",
	                      "can't tell in which time namespace this process is");
}

/* With a wrong offset this process would begin each window at another time than the others. */
int k2k_clock_open(struct k2k_clock *clock)
{
	char own[64] = "", children[64] = "";
	FILE *file;
	long long seconds, ns;
	char name[32];

	memset(clock, 0, sizeof(*clock));
	if (readlink("/proc/self/ns/time", own, sizeof(own) - 1) < 0 ||
	    readlink("/proc/self/ns/time_for_children", children, sizeof(children) - 1) < 0)
		return no_offset(errno);
	if (strcmp(own, children) != 0)
		return k2k_fail(K2K_EIO, "clock", "time namespace",
		                "this process and its children are in different time namespaces: "
		                "execute once more");
	file = fopen("/proc/self/timens_offsets", "re");
	if (!file)
		return no_offset(errno);
	while (fscanf(file, "%31s %lld %lld", name, &seconds, &ns) == 3)
		if (strcmp(name, "monotonic") == 0)
			clock->offset_ns = seconds * (int64_t)K2K_NS_PER_SEC + ns;
		else if (strcmp(name, "boottime") == 0)
			clock->boot_offset_ns = seconds * (int64_t)K2K_NS_PER_SEC + ns;
	fclose(file);
	return 0;
}

void k2k_clock_simulate(struct k2k_clock *clock, const uint64_t *monotonic_ns,
                        const uint64_t *wall_ns)
{
	/* A lock-free atomic has the size of its number. relaxed, both: before the first call */
	k2k_store_relaxed(&clock->injected_ns, (const k2k_u64 *)(const void *)monotonic_ns);
	k2k_store_relaxed(&clock->injected_wall_ns, (const k2k_u64 *)(const void *)wall_ns);
}

static uint64_t read_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * K2K_NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

struct k2k_instant k2k_clock_read_other(const struct k2k_clock *clock, clockid_t id)
{
	/* relaxed, both: as in k2k_clock_read(); a number that publishes nothing else */
	const k2k_u64 *injected_ns = k2k_load_relaxed(&clock->injected_ns);
	uint64_t ns = injected_ns ? k2k_load_relaxed(injected_ns)
	                          : read_ns(id) - (uint64_t)clock->offset_ns;

	return (struct k2k_instant){ ns / K2K_NS_PER_SEC, ns % K2K_NS_PER_SEC };
}

uint64_t k2k_clock_monotonic_ns(void)
{
	return read_ns(CLOCK_MONOTONIC);
}

uint64_t k2k_clock_realtime_ns(void)
{
	return read_ns(CLOCK_REALTIME);
}

static uint64_t read_wall_ns(const struct k2k_clock *clock, clockid_t id)
{
	/* relaxed, both: as in k2k_clock_read() */
	const k2k_u64 *injected_ns = k2k_load_relaxed(&clock->injected_wall_ns);

	return k2k_unlikely(injected_ns != NULL) ? k2k_load_relaxed(injected_ns) : read_ns(id);
}

uint64_t k2k_clock_wall_ns(const struct k2k_clock *clock)
{
	return read_wall_ns(clock, CLOCK_REALTIME_COARSE);
}

uint64_t k2k_clock_wall_exact_ns(const struct k2k_clock *clock)
{
	return read_wall_ns(clock, CLOCK_REALTIME);
}

uint64_t k2k_clock_boot_ns(const struct k2k_clock *clock)
{
	/* relaxed, both: as in k2k_clock_read() */
	const k2k_u64 *injected_ns = k2k_load_relaxed(&clock->injected_ns);

	return k2k_unlikely(injected_ns != NULL)
	               ? k2k_load_relaxed(injected_ns)
	               : read_ns(CLOCK_BOOTTIME) - (uint64_t)clock->boot_offset_ns;
}

uint64_t k2k_clock_until_next_second(const struct k2k_clock *clock)
{
	struct timespec tick = { 0, 0 };

	/*
	 * The coarse clock shows a second up to a tick late. A thread that wakes before it does
	 * would only have to sleep again.
	 */
	clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
	return K2K_NS_PER_SEC - k2k_clock_exact(clock).ns + (uint64_t)tick.tv_nsec;
}

void k2k_clock_sleep_ns(uint64_t ns)
{
	struct timespec ts = { (time_t)(ns / K2K_NS_PER_SEC), (long)(ns % K2K_NS_PER_SEC) };

	/*
	 * This makes the system call itself, because the C library's function is a cancellation
	 * point. A signal may end the sleep early: all callers check their condition again.
	 */
	syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &ts, NULL);
}
