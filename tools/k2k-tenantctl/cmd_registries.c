/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* registries: the registries of this host, including those that can't be read */
#include "registries.h"
#include "commands.h"
#include "accounts.h"
#include "output.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FOLDER "/dev/shm"

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct registry_name *)a)->name,
	              ((const struct registry_name *)b)->name);
}

static bool name_of_file(const char *file, struct registry_name *name)
{
	static const char prefix[] = "k2k.", suffix[] = ".defs";
	size_t length = strlen(file), around = sizeof(prefix) + sizeof(suffix) - 2;

	if (length <= around || length - around > K2K_NAME_MAX ||
	    strncmp(file, prefix, sizeof(prefix) - 1) ||
	    strcmp(file + length - sizeof(suffix) + 1, suffix))
		return false;
	snprintf(name->name, sizeof(name->name), "%.*s", (int)(length - around),
	         file + sizeof(prefix) - 1);
	return good_registry_name(name->name);
}

struct registry_name *registry_names(size_t *count)
{
	struct registry_name *names = NULL, name;
	DIR *dir = opendir(FOLDER);
	struct dirent *entry;
	size_t room = 0;

	*count = 0;
	while (dir && (entry = readdir(dir))) {
		if (!name_of_file(entry->d_name, &name))
			continue;
		if (*count == room) {
			room = room * 2 + 16;
			names = check_memory(realloc(names, room * sizeof(*names)));
		}
		names[(*count)++] = name;
	}
	if (dir)
		closedir(dir);
	if (*count)
		qsort(names, *count, sizeof(*names), compare);
	return names;
}

static void print_registry(struct ctl *ctl, struct list *list, const char *name)
{
	struct k2k_registry_info info = { .size = sizeof(info) };
	struct k2k_open_options options;
	struct k2k_registry *reg;
	char path[sizeof(FOLDER) + K2K_NAME_MAX + 16], owner[USER_TEXT] = "";
	struct stat st;
	int code;

	open_options(ctl, &options);
	code = k2k_registry_open(name, K2K_ROLE_OBSERVER, &options, &reg);
	if (code == K2K_ENOREGISTRY) /* it was destroyed meanwhile */
		return;
	if (!code) {
		code = k2k_registry_info(reg, &info);
		k2k_registry_close(&reg);
	}
	snprintf(path, sizeof(path), FOLDER "/k2k.%s.defs", name);
	if (lstat(path, &st) == 0)
		user_name(owner, st.st_uid);
	const uint64_t unknown = code ? UINT64_MAX : 0;

	list_row(list,
	         (const struct value[COL_REGISTRY_COUNT]){
			 [COL_REGISTRY_NAME] = TEXT(name),
			 [COL_REGISTRY_STATE] = TEXT(code ? k2k_strerror(code) : "usable"),
			 [COL_REGISTRY_ERROR] = TEXT(code ? k2k_errname(code) : NULL),
			 [COL_REGISTRY_OWNER] = TEXT(owner[0] ? owner : NULL),
			 [COL_REGISTRY_TENANTS] = NUMBER(unknown ? unknown : info.tenants.used),
			 [COL_REGISTRY_MAX_TENANTS] = NUMBER(unknown ? unknown
	                                                             : info.tenants.capacity),
			 [COL_REGISTRY_BROKERS] = NUMBER(unknown ? unknown : info.brokers),
			 [COL_REGISTRY_BYTES] = NUMBER(unknown ? unknown
	                                                       : info.defs_bytes + info.live_bytes),
			 [COL_REGISTRY_CREATED] = NUMBER(unknown ? unknown : info.created_at_ns),
			 [COL_REGISTRY_UUID] = TEXT(code ? NULL : info.uuid),
		 });
}

int cmd_registries(struct ctl *ctl)
{
	struct registry_name *names;
	struct list list;
	size_t count;

	names = registry_names(&count);
	list_begin(&list, ctl, &registries_table, NULL);
	for (size_t i = 0; i < count; i++)
		print_registry(ctl, &list, names[i].name);
	list_end(&list);
	free(names);
	return EXIT_DONE;
}
