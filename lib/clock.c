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
	 * a kernel without time namespaces, or no /proc at all, which is reported where it is
	 * needed
	 */
	if (error == ENOENT)
		return 0;
	return k2k_fail_errno(error == ENOMEM ? K2K_ENOMEM : K2K_EIO, error, "/proc",
	                      "can't tell in which time namespace this process is");
}

/* With a wrong offset this process would begin each window at another time than all others. */
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
	fclose(file);
	return 0;
}

static uint64_t read_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * K2K_NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t k2k_clock_monotonic_ns(void)
{
	return read_ns(CLOCK_MONOTONIC);
}

uint64_t k2k_clock_realtime_ns(void)
{
	return read_ns(CLOCK_REALTIME);
}

uint64_t k2k_clock_until_next_second(const struct k2k_clock *clock)
{
	struct timespec tick = { 0, 0 };

	/*
	 * The coarse clock shows a second up to a tick late: a thread that wakes before that would
	 * only have to sleep again.
	 */
	clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
	return K2K_NS_PER_SEC - k2k_clock_exact(clock).ns + (uint64_t)tick.tv_nsec;
}

void k2k_clock_sleep_ns(uint64_t ns)
{
	struct timespec ts = { (time_t)(ns / K2K_NS_PER_SEC), (long)(ns % K2K_NS_PER_SEC) };

	/*
	 * The system call itself, because the C library's function is a cancellation point. A
	 * signal may cut the sleep short: callers look again anyway.
	 */
	syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &ts, NULL);
}
