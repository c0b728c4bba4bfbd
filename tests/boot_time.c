/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * boot_time.c - preloaded into programs that run in a time namespace, so that they don't find out
 *
 * The library subtracts what a time namespace adds to the clock, so in one it still sees when the
 * machine booted. Kernels without such namespaces lack this link, and then nothing is subtracted:
 * the namespace's clock is the clock of a machine that booted at another time.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

ssize_t readlink(const char *restrict path, char *restrict to, size_t size);
ssize_t readlink(const char *restrict path, char *restrict to, size_t size)
{
	if (strcmp(path, "/proc/self/ns/time") == 0) {
		errno = ENOENT;
		return -1;
	}
	return syscall(SYS_readlinkat, AT_FDCWD, path, to, size);
}
