/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* document_file.c - the bytes of a document: reads them, verifies the checksum of a saved one */
#include "document.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int read_file(struct ctl *ctl, const char *path, char **data, size_t *length)
{
	int fd = ctl->text           ? -1
	         : strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC)
	                             : STDIN_FILENO;
	size_t room = 1 << 16;
	ssize_t got = 0;
	int error;

	*data = NULL;
	*length = 0;
	if (ctl->text) {
		*data = check_memory(strdup(ctl->text));
		*length = strlen(ctl->text);
		return 0;
	}
	if (fd >= 0) {
		*data = check_memory(malloc(room));
		while ((got = read(fd, *data + *length, room - *length - 1)) > 0 ||
		       (got < 0 && errno == EINTR)) {
			if (got > 0)
				*length += (size_t)got;
			if (room - *length < 4096)
				*data = check_memory(realloc(*data, room *= 2));
		}
	}
	error = errno;
	if (fd > STDERR_FILENO)
		close(fd);
	if (fd >= 0 && got == 0) {
		(*data)[*length] = 0;
		return 0;
	}
	free(*data);
	*data = NULL;
	return fail_with(ctl, error == EACCES || error == EPERM ? K2K_EPERM : K2K_EIO, "%s: %s",
	                 fd == STDIN_FILENO ? "standard input" : path, strerror(error));
}

int document_read_text(struct ctl *ctl, const char *name, const char *text,
                       struct document *document)
{
	int exit_code;

	ctl->text = text;
	exit_code = document_read(ctl, &name, 1, DOCUMENT_PLAIN, document);
	ctl->text = NULL;
	return exit_code;
}

bool document_looks_saved(const char *data)
{
	return strstr(data, CHECKSUM_MARK) != NULL;
}

int document_verify(struct ctl *ctl, const char *name, const char *data, size_t length)
{
	static const char mark[] = CHECKSUM_MARK;
	size_t tail = sizeof(mark) - 1 + 16 + sizeof("\"}\n") - 1;
	char expected[64];

	if (!document_looks_saved(data))
		return fail_usage(ctl,
		                  "%s: has no checksum: it was truncated, or was not written by "
		                  "'save'",
		                  name);
	if (length < tail || memcmp(data + length - tail, mark, sizeof(mark) - 1))
		return fail_usage(
			ctl, "%s: does not end with its checksum: something was cut off or added",
			name);
	snprintf(expected, sizeof(expected), "%016" PRIx64 "\"}\n", crc64(0, data, length - tail));
	if (memcmp(data + length - 16 - 3, expected, 16 + 3))
		return fail_usage(
			ctl, "%s: the checksum is wrong: the file was corrupted or changed", name);
	return 0;
}
