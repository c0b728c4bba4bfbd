/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bodies.h"
#include "common/json.h"
#include "common/memory.h"

#include <stdlib.h>
#include <string.h>

void body_write(FILE *out, json_object *object)
{
	json_write_members(out, object);
	putc('\n', out);
}

void bodies_add(struct bodies *bodies, json_object *object)
{
	struct bodies more = { 0 };
	FILE *out = bodies_begin(&more);

	if (!bodies_are_taken(bodies))
		fwrite(bodies->bytes + bodies->taken, 1, bodies->size - bodies->taken, out);
	body_write(out, object);
	text_close(out);
	bodies_free(bodies);
	*bodies = more;
}

FILE *bodies_begin(struct bodies *bodies)
{
	bodies_free(bodies);
	return text_open(&bodies->bytes, &bodies->size);
}

void bodies_free(struct bodies *bodies)
{
	free(bodies->bytes);
	*bodies = (struct bodies){ 0 };
}

bool bodies_are_taken(const struct bodies *bodies)
{
	return bodies->taken == bodies->size;
}

const char *bodies_at(const struct bodies *bodies, size_t offset, size_t *size)
{
	const char *body = bodies->bytes + offset;

	*size = (size_t)((char *)memchr(body, '\n', bodies->size - offset) - body);
	return body;
}
