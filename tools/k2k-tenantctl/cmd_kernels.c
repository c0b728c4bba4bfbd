/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* kernels: the names in the directory, for whom, and which broker has them */
#include "commands.h"
#include "output.h"
#include "common/printable.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* By tenant, then by name. */
static int compare_kernels(const void *a, const void *b)
{
	const struct k2k_kernel_info *x = a, *y = b;

	/* those whose registration is over come last */
	if ((x->flags ^ y->flags) & K2K_KERNEL_STALE)
		return x->flags & K2K_KERNEL_STALE ? 1 : -1;
	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return strcmp(x->name, y->name);
}

static void print_kernels(struct ctl *ctl, const struct k2k_kernel_info *kernels, size_t count)
{
	struct list list;

	list_begin(&list, ctl, &kernels_table, NULL);
	for (size_t i = 0; i < count; i++) {
		const struct k2k_kernel_info *k = &kernels[i];
		char name[PRINTABLE_KERNEL], address[2 * 16 + 1];
		bool stale = k->flags & K2K_KERNEL_STALE;
		const struct value tenant = { .number = k->id, .none = stale };
		struct value is_stale = NUMBER(stale);

		printable_escape(name, sizeof(name), k->name, sizeof(k->name));
		snprintf(address, sizeof(address), "%016" PRIx64 "%016" PRIx64, k->address.words[0],
		         k->address.words[1]);
		is_stale.color = stale ? "red" : NULL;
		list_row(&list, (const struct value[COL_KERNEL_COUNT]){
					[COL_KERNEL_NAME] = TEXT(name),
					[COL_KERNEL_TENANT] = tenant,
					[COL_KERNEL_STALE] = is_stale,
					[COL_KERNEL_SLOT] = NUMBER(k->broker),
					[COL_KERNEL_PID] = NUMBER(k->pid),
					[COL_KERNEL_ORG] = NUMBER(k->tag.org_id),
					[COL_KERNEL_ENGAGEMENT] = NUMBER(k->tag.engagement_id),
					[COL_KERNEL_GENERATION] = NUMBER(k->generation),
					[COL_KERNEL_INCARNATION] = NUMBER(k->incarnation),
					[COL_KERNEL_ADDRESS] = TEXT(address),
				});
	}
	list_end(&list);
}

int cmd_kernels(struct ctl *ctl)
{
	struct k2k_kernel_info *kernels;
	size_t count;
	int exit_code = fetch_filtered(ctl, LIST_KERNELS, (void **)&kernels, &count);

	if (exit_code)
		return exit_code;
	qsort(kernels, count, sizeof(*kernels), compare_kernels);
	print_kernels(ctl, kernels, count);
	free(kernels);
	return EXIT_DONE;
}
