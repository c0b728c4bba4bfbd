/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dry_run.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static const struct field fields[] = {
	{ "action", NULL, KIND_TEXT, 0 },
	{ "tenant", NULL, KIND_TEXT, 0 },
	{ "text", NULL, KIND_TEXT, 0 },
};
static const struct table table = { "changes", fields, 3, NULL, 0 };

void dryrun_begin(struct list *list, struct ctl *ctl)
{
	static const struct field extra = { "dry_run", NULL, KIND_BOOL, 0 };
	const struct value yes = NUMBER(1);

	list->ctl = ctl;
	if (!ctl->quiet && ctl->format != FORMAT_TABLE)
		list_begin(list, ctl, &table, &(const struct extra){ &extra, &yes, 1 });
}

void dryrun_row(struct list *list, const char *action, const k2k_tenant_id *tenant,
                const char *text, ...)
{
	char line[300], id[24];
	struct value values[3] = { TEXT(action), TEXT(NULL), TEXT(line) };
	va_list args;

	if (list->ctl->quiet)
		return;
	va_start(args, text);
	vsnprintf(line, sizeof(line), text, args);
	va_end(args);
	if (tenant) {
		snprintf(id, sizeof(id), "%" PRIu64, *tenant);
		values[1] = TEXT(id);
	}
	if (list->ctl->format == FORMAT_TABLE)
		printf("would %s %s\n", action, line);
	else
		list_row(list, values);
}

void dryrun_end(struct list *list)
{
	if (!list->ctl->quiet && list->ctl->format != FORMAT_TABLE)
		list_end(list);
}

int dryrun_one(struct ctl *ctl, const char *action, const char *text)
{
	struct list list;

	dryrun_begin(&list, ctl);
	dryrun_row(&list, action, NULL, "%s", text);
	dryrun_end(&list);
	return EXIT_DONE;
}
