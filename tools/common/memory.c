/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "memory.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* No stdio: it may need memory. What it still holds is dropped, so no half answer gets out. */
void out_of_memory(void)
{
	char text[] = ": out of memory\n";
	const struct iovec parts[] = {
		{ program_invocation_short_name, strlen(program_invocation_short_name) },
		{ text, sizeof(text) - 1 },
	};
	ssize_t written = writev(STDERR_FILENO, parts, 2);

	(void)written;
	_exit(10);
}

void *check_memory(void *memory)
{
	if (!memory)
		out_of_memory();
	return memory;
}

FILE *text_open(char **text, size_t *size)
{
	return check_memory(open_memstream(text, size));
}

void text_close(FILE *stream)
{
	int failed = ferror(stream);

	if (fclose(stream) || failed)
		out_of_memory();
}
