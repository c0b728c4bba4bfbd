/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * completion: prints the scripts, and answers their question: what may the last word of a command
 * line become? Commands and options come from the table of commands, ids and names from the
 * registry or from the fleet's database (offer_known).
 */
#include "completion.h"
#include "commands.h"
#include "completion_scripts.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void offer(const char *typed, const char *before, const char *word, const char *text)
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

bool is_named(const struct line *l, const char *word)
{
	for (size_t i = 0; i < l->operand_count; i++)
		if (!strcmp(l->operands[i], word))
			return true;
	return false;
}

/* ---- values ------------------------------------------------------------------ */

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
	case VALUE_GROUP: offer_groups(typed, before); break;
	case VALUE_USER: offer_users(typed, before); break;
	case VALUE_COMMAND:
		l->operand_count ? offer_second_words(l->operands[0], typed)
				 : offer_first_words(typed);
		break;
	case VALUE_COLUMN: offer_columns(l, typed, before); break;
	case VALUE_FILE: puts(":files"); break;
	default: offer_known(l, kind, typed, before); break;
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

static bool names_place(const struct option_text *o)
{
	return o->id == OPT_REGISTRY || o->id == OPT_DATABASE;
}

static void take_option(struct line *l, const char *word)
{
	const char *value;
	const struct option_text *o = option_with_value(l, word, &value);

	if (!o && !strncmp(word, "--", 2) && !strchr(word, '=')) {
		o = option_called(l, word + 2, strlen(word) - 2);
		l->waiting = o && o->argument ? o : NULL;
	} else if (o && word[1] != '-' && !*value) {
		l->waiting = o;
	} else if (o && names_place(o)) {
		l->place = value;
	}
}

static void take_word(struct line *l, char *word)
{
	if (l->waiting) {
		if (names_place(l->waiting))
			l->place = word;
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
	struct line l = { .place = ctl->registry };

	l.operands = check_memory(calloc(count, sizeof(*l.operands)));
	for (size_t i = 0; i + 1 < count; i++)
		take_word(&l, words[i]);
	offer_word(&l, words[count - 1]);
	free(l.operands);
}

int cmd_completion(struct ctl *ctl)
{
	const char *what = ctl->arguments[0];

	if (!strcmp(what, "words")) {
		if (ctl->argument_count < 2)
			return fail_usage(ctl, "completion words: a word is missing; see '" CTL_NAME
			                       " completion --help'");
		offer_last(ctl, ctl->arguments + 1, ctl->argument_count - 1);
		return EXIT_DONE;
	}
	if (!completion_is_for(what))
		return fail_usage(
			ctl, "completion '%.100s': no such shell; it is bash, zsh or fish", what);
	if (ctl->argument_count > 1)
		return fail_usage(ctl, "completion: too many arguments; see '" CTL_NAME
		                       " completion --help'");
	completion_print(stdout, what, CTL_NAME);
	return EXIT_DONE;
}
