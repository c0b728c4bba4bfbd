/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "document.h"
#include "common/units.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

bool fleet_cut(const char *text, bool fleet, char left[FLEET_TEXT], bool *over,
               struct units_fault *fault)
{
	const char *slash = strrchr(text, '/');
	size_t length = slash ? (size_t)(slash - text) : 0;

	*over = slash && !strcmp(slash, "/fleet");
	if (*over && !fleet) {
		*fault = (struct units_fault){
			length + 2, "only documents of k2k-fleetctl have limits over a fleet"
		};
		return false;
	}
	if (*over && length >= FLEET_TEXT) {
		*fault = (struct units_fault){ FLEET_TEXT, "the text is too long" };
		return false;
	}
	if (*over)
		snprintf(left, FLEET_TEXT, "%.*s", (int)length, text);
	return true;
}

const char *fleet_fault(const struct entry *e, bool fleet)
{
	if (fleet && e->rate.shared && !(e->fleet & FLEET_RATE))
		return "alone is of a rate over a fleet, like 5k/s/fleet";
	if (e->fleet & FLEET_RATE &&
	    (e->rate.policy != K2K_RATE_WINDOW || e->rate.period != K2K_PERIOD_SECOND))
		return "a rate over a fleet counts in each second, and is no bucket";
	if ((e->fleet & FLEET_RATE && e->rate.number == K2K_UNLIMITED) ||
	    (e->fleet & FLEET_KERNELS && e->kernels == K2K_UNLIMITED_KERNELS) ||
	    (e->fleet & FLEET_GPU_MEMORY && e->gpu_memory_bytes == K2K_UNLIMITED))
		return "what is unlimited is no limit over a fleet";
	return NULL;
}

int budget_parse(const char *text, bool fleet, struct engagement_ns *budget,
                 struct units_fault *fault)
{
	char amount[FLEET_TEXT];
	bool over;

	if (!fleet_cut(text, fleet, amount, &over, fault))
		return -1;
	if (!over)
		return units_parse_renewing(text, &budget->ns, &budget->renewal, fault);
	if (units_parse_duration(amount, &budget->ns, fault))
		return -1;
	budget->renewal = UNITS_FLEET;
	*fault = (struct units_fault){ strlen(amount) + 1,
		                       "what is unlimited is no budget over a fleet" };
	return budget->ns == UINT64_MAX ? -1 : 0;
}

void periods_print(FILE *out, const struct k2k_budget_info *budget,
                   const struct k2k_budget_use *closed, size_t count)
{
	fprintf(out, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRId64, budget->period,
	        budget->began_at_ns, budget->used_ns, budget->corrected_ns);
	for (size_t i = 0; i < count; i++)
		fprintf(out, " %" PRIu64 " %" PRIu64, closed[i].began_at_ns, closed[i].used_ns);
}

/* A number at *at, which moves behind it and the space that follows, if any. */
static bool take(const char **at, bool is_signed, uint64_t *number)
{
	char *end;

	if (!isdigit((unsigned char)**at) && !(is_signed && **at == '-'))
		return false;
	errno = 0;
	*number = is_signed ? (uint64_t)strtoll(*at, &end, 10) : strtoull(*at, &end, 10);
	if (errno || (*end && *end != ' '))
		return false;
	*at = *end ? end + 1 : end;
	return true;
}

bool periods_parse(const char *text, struct k2k_budget_image *image)
{
	struct k2k_budget_use *closed = check_memory(
		calloc(K2K_BUDGET_PERIODS_KEPT, sizeof(*closed)));
	uint64_t corrected = 0;
	uint32_t count = 0;
	bool good = take(&text, false, &image->period) && take(&text, false, &image->began_at_ns) &&
	            take(&text, false, &image->used_ns) && take(&text, true, &corrected);

	while (good && *text && count < K2K_BUDGET_PERIODS_KEPT) {
		closed[count].size = sizeof(*closed);
		good = take(&text, false, &closed[count].began_at_ns) &&
		       take(&text, false, &closed[count].used_ns);
		count++;
	}
	good = good && !*text && image->period > count;
	for (uint32_t i = 0; good && i < count; i++)
		closed[i].period = image->period - count + i;
	image->corrected_ns = (int64_t)corrected;
	image->closed = closed;
	image->closed_count = count;
	return good;
}

size_t images_add(struct document *d, uint64_t engagement)
{
	if (d->image_count == d->image_room) {
		d->image_room = d->image_room * 2 + 64;
		d->images = check_memory(realloc(d->images, d->image_room * sizeof(*d->images)));
	}
	d->images[d->image_count] = (struct k2k_budget_image){ .engagement_id = engagement };
	return d->image_count++;
}

void images_free(struct document *d)
{
	for (size_t i = 0; i < d->image_count; i++)
		free((void *)(uintptr_t)d->images[i].closed);
	free(d->images);
}

int signed_parse(const char *text, uint64_t *value, struct units_fault *fault)
{
	bool minus = *text == '-';
	int code = units_parse_count(text + minus, 0, minus ? UINT64_C(1) << 63 : INT64_MAX, value,
	                             fault);

	if (code)
		fault->position += minus;
	else if (minus)
		*value = -*value;
	return code;
}

void budgets_drop_unlimited(struct engagements *list, size_t first, size_t *count)
{
	size_t kept = first;

	for (size_t i = first; i < first + *count; i++)
		if (list->list[i].ns != K2K_UNLIMITED)
			list->list[kept++] = list->list[i];
	list->count = kept;
	*count = kept - first;
}

void document_free(struct document *document)
{
	for (size_t i = 0; i < document->source_count; i++)
		free(document->sources[i].name);
	free(document->sources);
	free(document->name);
	free(document->entries);
	free(document->budgets.list);
	free(document->corrections.list);
	free(document->periods.list);
	images_free(document);
	free(document->costs.list);
	*document = (struct document){ 0 };
}
