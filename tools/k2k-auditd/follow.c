/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "follow.h"
#include "report.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/memory.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH = 256 };
#define BACKOFF_FIRST_NS UINT64_C(50000000)
#define BACKOFF_LAST_NS UINT64_C(2000000000)

struct follow {
	const char *name;
	struct k2k_registry *reg;
	char uuid[40];
	bool reported; /* a line says that the registry is there, or that it is not */
	int error;
	uint64_t backoff_ns, next_ns;
	bool registered; /* as a follower, which administrators wait for */
	int refused;     /* the code for which it is not; reported once */
	struct ring_cursor at;
	struct k2k_audit_record records[BATCH];
};

struct follow *follow_new(const char *registry)
{
	struct follow *follow = check_memory(calloc(1, sizeof(*follow)));

	follow->name = registry;
	follow->error = K2K_ENOREGISTRY;
	follow->backoff_ns = BACKOFF_FIRST_NS;
	return follow;
}

void follow_free(struct follow **follow)
{
	if ((*follow)->reg)
		k2k_registry_close(&(*follow)->reg);
	free(*follow);
	*follow = NULL;
}

int follow_error(const struct follow *follow)
{
	return follow->error;
}

/* Without the right to write `live`, or without a free record, it only reads. */
static int open_follower(struct follow *follow)
{
	struct k2k_open_options options = K2K_OPEN_OPTIONS_INIT;
	int code;

	options.flags = K2K_OPEN_FOLLOWER;
	code = k2k_registry_open(follow->name, K2K_ROLE_OBSERVER, &options, &follow->reg);
	follow->registered = !code;
	if (code != K2K_EPERM && code != K2K_EFULL)
		return code;
	if (follow->refused != code)
		report("registry %s: not registered as a follower (%s): events may be overwritten "
		       "before "
		       "they are read, and a registry that requires audit refuses changes",
		       follow->name, k2k_error_detail()->text);
	follow->refused = code;
	return k2k_registry_open(follow->name, K2K_ROLE_OBSERVER, NULL, &follow->reg);
}

static int attach(struct follow *follow)
{
	struct k2k_registry_info info = { .size = sizeof(info) };
	int code = open_follower(follow);

	if (code)
		return code;
	code = k2k_registry_info(follow->reg, &info);
	if (code)
		k2k_registry_close(&follow->reg);
	else
		memcpy(follow->uuid, info.uuid, sizeof(follow->uuid));
	return code;
}

/* Reports it once, in a line and on standard error. */
static size_t gone(struct follow *follow, int code, FILE *out)
{
	const struct k2k_error_detail *detail = k2k_error_detail();
	bool detailed = detail->code == code && detail->text[0];
	json_object *object;
	/* a registry that was destroyed and then is not there is reported once */
	bool news = !follow->reported || (follow->error != code && !(follow->error == K2K_EFENCED &&
	                                                             code == K2K_ENOREGISTRY));

	if (follow->reg)
		k2k_registry_close(&follow->reg);
	follow->error = code;
	follow->reported = true;
	follow->next_ns = clock_monotonic_ns() + follow->backoff_ns;
	follow->backoff_ns = follow->backoff_ns * 2 > BACKOFF_LAST_NS ? BACKOFF_LAST_NS
	                                                              : follow->backoff_ns * 2;
	if (!news)
		return 0;
	object = json_new();
	json_put_text(object, "kind", "registry.gone");
	json_put_text(object, "registry", follow->name);
	json_put_text(object, "error", k2k_errname(code));
	body_write(out, object);
	report("registry %s: %s; waiting for it", follow->name,
	       detailed ? detail->text : k2k_strerror(code));
	return 1;
}

static size_t attached(struct follow *follow, const struct position *begin, FILE *out)
{
	json_object *object = json_new();

	json_put_text(object, "kind", "registry.attached");
	json_put_text(object, "registry", follow->name);
	position_put(begin, object);
	body_write(out, object);
	follow->reported = true;
	return 1;
}

size_t follow_read(struct follow *follow, const struct position *at, FILE *out)
{
	struct position begin = *at;
	bool other, back;
	size_t count;
	int code;

	if (!follow->reg) {
		if (clock_monotonic_ns() < follow->next_ns)
			return 0;
		code = attach(follow);
		if (code)
			return gone(follow, code, out);
		cursor_begin(&follow->at);
	}
	other = strcmp(at->uuid, follow->uuid) != 0;
	if (other)
		position_begin(&begin, follow->uuid);
	for (uint32_t i = 0; i < RINGS_MOST; i++)
		*cursor_next(&follow->at, i) = begin.next[i];
	follow->records[0] = (struct k2k_audit_record){ .size = sizeof(follow->records[0]) };
	code = k2k_audit_read(follow->reg, &follow->at.cursor, K2K_AUDIT_DAMAGED_TOO,
	                      follow->records, BATCH, &count);
	if (code)
		return gone(follow, code, out);
	/* reported only when events can be read, not when the registry can be opened */
	back = follow->error && follow->reported;
	follow->error = 0;
	follow->backoff_ns = BACKOFF_FIRST_NS;
	if (other || back) {
		/* everything is read again, so a damaged ring is reported again */
		memset(follow->at.cursor.damaged, 0, sizeof(follow->at.cursor.damaged));
		for (uint32_t i = 0; i < K2K_AUDIT_FURTHER_RINGS_MAX; i++)
			follow->at.further[i].damaged = 0;
		return attached(follow, &begin, out);
	}
	for (size_t i = 0; i < count; i++) {
		json_object *object = json_new();

		event_put(object, &follow->records[i]);
		body_write(out, object);
	}
	return count;
}

void follow_report(struct follow *follow, const struct position *kept, bool failing)
{
	struct ring_cursor at;

	if (!follow->reg || !follow->registered || strcmp(kept->uuid, follow->uuid) != 0)
		return;
	cursor_begin(&at);
	for (uint32_t i = 0; i < RINGS_MOST; i++)
		*cursor_next(&at, i) = kept->next[i];
	/* if the registry is gone, the next read reports it */
	k2k_audit_kept(follow->reg, &at.cursor, failing ? K2K_AUDIT_FAILING : 0);
}

void follow_wait(struct follow *follow, uint64_t timeout_ns)
{
	uint64_t now = clock_monotonic_ns(),
		 left = follow->next_ns > now ? follow->next_ns - now : 0;
	struct timespec wait;

	if (follow->reg) {
		k2k_audit_wait(follow->reg, &follow->at.cursor, timeout_ns);
		return;
	}
	if (left > timeout_ns)
		left = timeout_ns;
	wait = clock_timespec(left);
	nanosleep(&wait, NULL);
}
