/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "socket_path.h"

#include <errno.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

int socket_lock_directory(int directory)
{
	for (int tries = 0; flock(directory, LOCK_EX | LOCK_NB) != 0; tries++) {
		if (errno != EWOULDBLOCK || tries == 200)
			return -1;
		poll(NULL, 0, 10);
	}
	return 0;
}

int socket_is_alive(const struct sockaddr_un *address, int type)
{
	int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), result;

	if (fd < 0)
		return -1;
	result = connect(fd, (const struct sockaddr *)address, sizeof *address);
	result = result == 0 || errno == EAGAIN             ? 1
	         : errno == ECONNREFUSED || errno == ENOENT ? 0
	                                                    : -1;
	close(fd);
	return result;
}
