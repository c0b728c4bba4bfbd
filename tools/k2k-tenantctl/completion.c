/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * completion: prints the scripts, and answers their question: what may the last word of a command
 * line become? Commands and options come from the table of commands. Ids and names come from the
 * registry, which is opened as an observer without waiting.
 */
#include "commands.h"
#include "completion_scripts.h"
#include "registries.h"
#include "command_table.h"
#include "common/units.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct line {
	const char *registry;
	const char *first;                 /* the command's first word, or null */
	const struct command *command;     /* null until all its words were read */
	const struct option_text *waiting; /* the option whose argument comes next */
	bool unknown;                      /* there is no such command */
	bool dashes;                       /* -- was read */
	char **operands;                   /* of the command */
	size_t operand_count;
};

/*
 * Prints `word` as a candidate if it begins with `typed`. `before` is the part of the user's word
 * in front of `typed`, which stays.
 */
static void offer(const char *typed, const char *before, const char *word, const char *text)
{
	if (strncmp(word, typed, strlen(typed)))
		return;
	printf("%s%s", before, word);
	if (text) {
		size_t length = strcspn(text, ";\n");

		printf("\t%.*s", (int)length, text);
	}
	putchar('\n');
}

/* ---- values ------------------------------------------------------------------ */

static int compare_numbers(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The registry that the line names; null if it can't be read. */
static struct k2k_registry *open_to_complete(const struct line *l)
{
	struct k2k_open_options options = K2K_OPEN_OPTIONS_INIT;
	struct k2k_registry *reg;

	options.flags = K2K_OPEN_TIMEOUT;
	options.actor = CTL_NAME;
	if (!good_registry_name(l->registry) ||
	    k2k_registry_open(l->registry, K2K_ROLE_OBSERVER, &options, &reg))
		return NULL;
	return reg;
}

static bool is_named(const struct line *l, const char *word)
{
	for (size_t i = 0; i < l->operand_count; i++)
		if (!strcmp(l->operands[i], word))
			return true;
	return false;
}

/* A shell would take other names apart, or expand them: they have to be typed. */
static bool is_plain(const char *name)
{
	for (; *name; name++)
		if (!((*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
		      (*name >= '0' && *name <= '9') || strchr("._+-", *name) ||
		      (unsigned char)*name >= 0x80))
			return false;
	return true;
}

/* An id, with the name as its description; and then the name, with the id. */
struct named_tenant {
	char id[UNITS_TEXT], at_name[1 + K2K_TENANT_NAME_MAX + 1]; /* "@vision-team", or "" */
};

static struct named_tenant *read_tenants(struct k2k_registry *reg, size_t *count)
{
	struct named_tenant *tenants;
	uint64_t *ids;
	void *list;

	*count = 0;
	if (fetch_list(reg, LIST_TENANT_IDS, K2K_TENANT_UNSPECIFIED, &list, count)) {
		*count = 0;
		return NULL;
	}
	ids = list;
	qsort(ids, *count, sizeof(*ids), compare_numbers);
	tenants = check_memory(calloc(*count + 1, sizeof(*tenants)));
	for (size_t i = 0; i < *count; i++) {
		struct k2k_tenant_info info = { .size = sizeof(info) };

		units_print_number(tenants[i].id, ids[i]);
		/* without a name if it is gone meanwhile, and also if its counts are damaged */
		if (!k2k_tenant_get(reg, ids[i], &info) && info.name[0])
			snprintf(tenants[i].at_name, sizeof(tenants[i].at_name), "@%s", info.name);
	}
	free(ids);
	return tenants;
}

static void offer_tenants(const struct line *l, const char *typed, const char *before)
{
	struct k2k_registry *reg = open_to_complete(l);
	struct named_tenant *tenants;
	char text[16 + UNITS_TEXT];
	size_t count;

	if (!reg)
		return;
	tenants = read_tenants(reg, &count);
	k2k_registry_close(&reg);
	for (size_t i = 0; i < count; i++)
		if (is_named(l, tenants[i].id) ||
		    (tenants[i].at_name[0] && is_named(l, tenants[i].at_name)))
			tenants[i].id[0] = 0;
	for (size_t i = 0; i < count; i++)
		if (tenants[i].id[0])
			offer(typed, before, tenants[i].id,
			      tenants[i].at_name[0] ? tenants[i].at_name + 1 : NULL);
	for (size_t i = 0; i < count; i++) {
		if (!tenants[i].id[0] || !tenants[i].at_name[0] ||
		    !is_plain(tenants[i].at_name + 1))
			continue;
		snprintf(text, sizeof(text), "tenant %s", tenants[i].id);
		offer(typed, before, tenants[i].at_name, text);
	}
	free(tenants);
}

/* Those of the tenant on the line. */
static void offer_engagements(const struct line *l, const char *typed, const char *before)
{
	struct k2k_registry *reg = l->operand_count ? open_to_complete(l) : NULL;
	k2k_tenant_id tenant = K2K_TENANT_UNSPECIFIED;
	struct k2k_usage_info *usage = NULL;
	struct units_fault fault;
	char text[UNITS_TEXT];
	uint64_t *ids;
	size_t count = 0;
	void *list;

	if (!reg)
		return;
	if (l->operands[0][0] == '@' ? k2k_tenant_find_name(reg, l->operands[0] + 1, &tenant)
	                             : units_parse_id(l->operands[0], &tenant, &fault))
		tenant = K2K_TENANT_UNSPECIFIED;
	if (tenant && !fetch_list(reg, LIST_USAGE, tenant, &list, &count))
		usage = list;
	else
		count = 0;
	k2k_registry_close(&reg);
	ids = check_memory(calloc(count + 1, sizeof(*ids)));
	for (size_t i = 0; i < count; i++)
		ids[i] = usage[i].engagement_id;
	free(usage);
	qsort(ids, count, sizeof(*ids), compare_numbers);
	for (size_t i = 0; i < count; i++) {
		units_print_number(text, ids[i]);
		offer(typed, before, text, NULL);
	}
	free(ids);
}

static void offer_registries(const char *typed, const char *before)
{
	size_t count;
	struct registry_name *names = registry_names(&count);

	for (size_t i = 0; i < count; i++)
		offer(typed, before, names[i].name, NULL);
	free(names);
}

static void offer_groups(const char *typed, const char *before)
{
	struct group *group;

	setgrent();
	while ((group = getgrent()))
		offer(typed, before, group->gr_name, NULL);
	endgrent();
}

static void offer_users(const char *typed, const char *before)
{
	struct passwd *user;

	setpwent();
	while ((user = getpwent()))
		offer(typed, before, user->pw_name, NULL);
	endpwent();
}

static void offer_words(const char *words, const char *typed, const char *before)
{
	char word[40];

	for (; words && *words; words += strspn(words, " ")) {
		size_t length = strcspn(words, " ");

		snprintf(word, sizeof(word), "%.*s", (int)length, words);
		offer(typed, before, word, NULL);
		words += length;
	}
}

/* Completes the last of several columns with commas between them, or one after the - of --sort. */
static void offer_columns(const struct line *l, const char *typed, const char *before)
{
	const struct table *table = l->command ? l->command->table : NULL;
	const char *comma = strrchr(typed, ','), *last = comma ? comma + 1 : typed;
	char name[COLUMN_NAME], *stays;

	last += *last == '-';
	stays = check_memory(malloc(strlen(before) + (size_t)(last - typed) + 1));
	sprintf(stays, "%s%.*s", before, (int)(last - typed), typed);
	for (size_t i = 0; table && i < table->count; i++)
		if (table->fields[i].heading)
			offer(last, stays, column_name(name, &table->fields[i]), NULL);
	free(stays);
}

static void offer_first_words(const char *typed)
{
	for (size_t i = 0, next; i < command_count; i = next) {
		char seconds[80] = "";
		size_t used = 0;

		for (next = i;
		     next < command_count && !strcmp(commands[next].name, commands[i].name); next++)
			if (commands[next].second && used < sizeof(seconds))
				used += (size_t)snprintf(seconds + used, sizeof(seconds) - used,
				                         "%s%s", used ? ", " : "",
				                         commands[next].second);
		offer(typed, "", commands[i].name,
		      commands[i].second ? seconds : commands[i].summary);
	}
}

static void offer_second_words(const char *first, const char *typed)
{
	for (size_t i = 0; i < command_count; i++)
		if (commands[i].second && !strcmp(commands[i].name, first))
			offer(typed, "", commands[i].second, commands[i].summary);
}

static void offer_values(const struct line *l, enum value_kind kind, const char *words,
                         const char *typed, const char *before)
{
	offer_words(words, typed, before);
	switch (kind) {
	case VALUE_TENANT: offer_tenants(l, typed, before); break;
	case VALUE_ENGAGEMENT: offer_engagements(l, typed, before); break;
	case VALUE_REGISTRY: offer_registries(typed, before); break;
	case VALUE_GROUP: offer_groups(typed, before); break;
	case VALUE_USER: offer_users(typed, before); break;
	case VALUE_COMMAND:
		l->operand_count ? offer_second_words(l->operands[0], typed)
				 : offer_first_words(typed);
		break;
	case VALUE_COLUMN: offer_columns(l, typed, before); break;
	case VALUE_FILE: puts(":files"); break;
	default: break;
	}
}

/* ---- commands and options ------------------------------------------------------ */

/* An option of the command; of any command, if it is not known yet. */
static const struct option_text *option_called(const struct line *l, const char *name,
                                               size_t length)
{
	const struct option_text *found = find_option(l->command, name, length);

	for (size_t i = 0; !l->command && !found && i < command_count; i++)
		found = find_option(&commands[i], name, length);
	return found;
}

static const struct option_text *letter_called(const struct line *l, char letter)
{
	const struct option_text *found = find_letter(l->command, letter);

	for (size_t i = 0; !l->command && !found && i < command_count; i++)
		found = find_letter(&commands[i], letter);
	return found;
}

static void offer_options(const struct option_text *options, size_t count, const char *typed)
{
	char spelt[40];

	for (size_t i = 0; i < count; i++) {
		if (i && options[i].id == options[i - 1].id)
			continue;
		snprintf(spelt, sizeof(spelt), "--%s", options[i].name);
		offer(typed, "", spelt, options[i].text);
	}
}

/* The option in a word that also has its argument, at *value; null for any other word. */
static const struct option_text *option_with_value(const struct line *l, const char *word,
                                                   const char **value)
{
	if (!strncmp(word, "--", 2)) {
		const char *equals = strchr(word, '=');
		const struct option_text *o = equals ? option_called(l, word + 2,
		                                                     (size_t)(equals - word) - 2)
		                                     : NULL;

		*value = equals ? equals + 1 : NULL;
		return o && o->argument ? o : NULL;
	}
	for (size_t i = 1; word[0] == '-' && word[i]; i++) {
		const struct option_text *o = letter_called(l, word[i]);

		*value = word + i + 1;
		if (o && o->argument)
			return o;
	}
	return NULL;
}

static const struct command *command_called(const char *first, const char *second)
{
	for (size_t i = 0; i < command_count; i++)
		if (!strcmp(commands[i].name, first) &&
		    (second ? commands[i].second && !strcmp(commands[i].second, second)
		            : !commands[i].second))
			return &commands[i];
	return NULL;
}

/* ---- the line -------------------------------------------------------------------- */

static void take_option(struct line *l, const char *word)
{
	const char *value;
	const struct option_text *o = option_with_value(l, word, &value);

	if (!o && !strncmp(word, "--", 2) && !strchr(word, '=')) {
		o = option_called(l, word + 2, strlen(word) - 2);
		l->waiting = o && o->argument ? o : NULL;
	} else if (o && word[1] != '-' && !*value) {
		l->waiting = o;
	} else if (o && o->id == OPT_REGISTRY) {
		l->registry = value;
	}
}

static void take_word(struct line *l, char *word)
{
	if (l->waiting) {
		if (l->waiting->id == OPT_REGISTRY)
			l->registry = word;
		l->waiting = NULL;
	} else if (!l->dashes && !strcmp(word, "--")) {
		l->dashes = true;
	} else if (!l->dashes && word[0] == '-' && word[1]) {
		take_option(l, word);
	} else if (!l->first) {
		l->first = word;
		l->command = command_called(word, NULL);
	} else if (!l->command) {
		l->command = command_called(l->first, word);
		l->unknown |= !l->command;
	} else {
		l->operands[l->operand_count++] = word;
	}
}

static void offer_word(const struct line *l, const char *typed)
{
	const struct option_text *o = NULL;
	const char *value = "";

	if (!l->waiting && !l->dashes)
		o = option_with_value(l, typed, &value);
	if (l->waiting) {
		offer_values(l, l->waiting->kind, l->waiting->words, typed, "");
	} else if (o) {
		char *before = check_memory(strndup(typed, (size_t)(value - typed)));

		offer_values(l, o->kind, o->words, value, before);
		free(before);
	} else if (!l->dashes && typed[0] == '-') {
		if (l->command)
			offer_options(l->command->options, l->command->option_count, typed);
		offer_options(global_options, global_option_count, typed);
	} else if (!l->first) {
		offer_first_words(typed);
	} else if (l->unknown) {
		return;
	} else if (!l->command) {
		offer_second_words(l->first, typed);
	} else if (l->operand_count < l->command->max) {
		const struct operand *operand = &l->command->operands[0];

		for (size_t i = 0;
		     i < l->operand_count && i + 1 < OPERANDS && l->command->max != MANY; i++)
			operand++;
		offer_values(l, operand->kind, operand->words, typed, "");
	}
}

static void offer_last(struct ctl *ctl, char **words, size_t count)
{
	struct line l = { .registry = ctl->registry };

	l.operands = check_memory(calloc(count, sizeof(*l.operands)));
	for (size_t i = 0; i + 1 < count; i++)
		take_word(&l, words[i]);
	offer_word(&l, words[count - 1]);
	free(l.operands);
}

int cmd_completion(struct ctl *ctl)
{
	const char *what = ctl->arguments[0], *script = completion_script(what);

	if (!strcmp(what, "words")) {
		if (ctl->argument_count < 2)
			return fail_usage(ctl, "completion words: a word is missing; see '" CTL_NAME
			                       " completion --help'");
		offer_last(ctl, ctl->arguments + 1, ctl->argument_count - 1);
		return EXIT_DONE;
	}
	if (!script)
		return fail_usage(
			ctl, "completion '%.100s': no such shell; it is bash, zsh or fish", what);
	if (ctl->argument_count > 1)
		return fail_usage(ctl, "completion: too many arguments; see '" CTL_NAME
		                       " completion --help'");
	fputs(script, stdout);
	return EXIT_DONE;
}
