/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fleet.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MOST = 65536 };

/* Whole lines, each about a metric of the agent: so no other metric can be forged. */
static bool is_an_agents(const char *text, size_t length)
{
	static const char *const begins[] = { "# HELP k2k_fleet_", "# TYPE k2k_fleet_",
		                              "k2k_fleet_" };
	const char *end = text + length;

	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		bool known = false;

		for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
			known = known || !strncmp(text, begins[i], strlen(begins[i]));
		if (!newline || !known)
			return false;
		text = newline + 1;
	}
	return true;
}

static const char *append_from(int fd, char **text, size_t *length)
{
	struct stat st;
	ssize_t got;
	char *room;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size > FILE_MOST)
		return "not a file of metrics";
	room = realloc(*text, *length + FILE_MOST + 1);
	if (!room)
		return strerror(ENOMEM);
	*text = room;
	got = read(fd, room + *length, FILE_MOST);
	if (got < 0)
		return strerror(errno);
	room[*length + (size_t)got] = 0;
	if (!is_an_agents(room + *length, (size_t)got))
		return "a line that is not of k2k-fleetd --metrics";
	*length += (size_t)got;
	return NULL;
}

const char *fleet_append(const char *path, char **text, size_t *length)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	const char *why;

	if (fd < 0)
		return errno == ENOENT ? NULL : strerror(errno);
	why = append_from(fd, text, length);
	close(fd);
	return why;
}
