/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * boot_time.c - preloaded into programs that run in a time namespace, to hide the namespace from
 * them
 *
 * The library subtracts the offset of its time namespace from the clock, so it would still see when
 * the machine booted. Kernels without time namespaces lack this link, and then the library
 * subtracts nothing: the namespace's clock looks like that of a machine that booted at another
 * time.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

__attribute__((visibility("default"))) ssize_t readlink(const char *restrict path,
                                                        char *restrict to, size_t size);
ssize_t readlink(const char *restrict path, char *restrict to, size_t size)
{
	if (strcmp(path, "/proc/self/ns/time") == 0) {
		errno = ENOENT;
		return -1;
	}
	return syscall(SYS_readlinkat, AT_FDCWD, path, to, size);
}
