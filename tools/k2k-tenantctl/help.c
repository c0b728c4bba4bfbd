/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "help.h"
#include "commands.h"
#include "command_table.h"
#include "suggest.h"

#include <stdio.h>
#include <string.h>

#define TEXT_COLUMN 24 /* at least */
#define LINE 96

/*
 * Prints words up to `length`, which begin at `column` and are wrapped to LINE; further lines are
 * indented. Returns the column after the last word.
 */
static size_t wrap(size_t column, size_t indent, const char *text, size_t length)
{
	const char *end = text + length;
	bool first = true;

	while (text < end) {
		size_t word = strcspn(text, " \n");

		if (text + word > end)
			word = (size_t)(end - text);
		if (!first && column + 1 + word > LINE) {
			printf("\n%*s", (int)indent, "");
			column = indent;
		} else if (!first) {
			putchar(' ');
			column++;
		}
		printf("%.*s", (int)word, text);
		column += word;
		text += word;
		text += strspn(text, " ");
		first = false;
	}
	return column;
}

static void print_prose(const char *text)
{
	while (*text) {
		size_t length = strcspn(text, "\n");

		if (!strncmp(text, "    ", 4))
			printf("%.*s", (int)length, text);
		else
			wrap(0, 0, text, length);
		putchar('\n');
		text += length + (text[length] == '\n');
	}
}

/* "  -o, --output FORM", or next to such options "      --dry-run". Returns its width. */
static size_t spell(char *text, size_t room, const struct option_text *o, bool letters)
{
	char letter[6] = "";

	if (o->letter)
		snprintf(letter, sizeof(letter), "-%c, ", o->letter);
	return (size_t)snprintf(text, room, "  %s--%s%s%s", !letter[0] && letters ? "    " : letter,
	                        o->name, o->argument ? " " : "", o->argument ? o->argument : "");
}

static void print_options(const struct option_text *options, size_t count)
{
	size_t column = TEXT_COLUMN;
	bool letters = false;
	char spelt[80];

	for (size_t i = 0; i < count; i++)
		letters |= options[i].letter != 0;
	for (size_t i = 0; i < count; i++) {
		size_t width = spell(spelt, sizeof(spelt), &options[i], letters) + 3;

		column = width > column ? width : column;
	}
	for (size_t i = 0; i < count; i++) {
		spell(spelt, sizeof(spelt), &options[i], letters);
		printf("%-*s", (int)column, spelt);
		wrap(column, column, options[i].text, strlen(options[i].text));
		putchar('\n');
	}
}

static void print_exit_codes(void)
{
	size_t column = (size_t)printf("Exit codes:");

	for (size_t i = 0; i < exit_text_count; i++) {
		bool last = i + 1 == exit_text_count, full;
		char text[160];

		snprintf(text, sizeof(text), "%d %s%s", exit_texts[i].code, exit_texts[i].text,
		         last ? "." : ",");
		full = column + 1 + strlen(text) > LINE;
		putchar(full ? '\n' : ' ');
		column = wrap(full ? 0 : column + 1, 0, text, strlen(text));
	}
	putchar('\n');
}

static void print_columns(const struct table *table)
{
	size_t column = (size_t)printf("Columns:");
	char name[COLUMN_NAME];

	for (size_t i = 0; i < table->count; i++) {
		if (!table->fields[i].heading)
			continue;
		column_name(name, &table->fields[i]);
		if (column + 1 + strlen(name) > LINE - 1)
			column = (size_t)printf("\n") - 1;
		column += (size_t)printf(column ? " %s" : "%s", name);
	}
	puts(".");
}

static void print_one(const struct command *c)
{
	printf("usage: " CTL_NAME " [OPTIONS] %s\n%s\n", c->synopsis, c->summary);
	if (c->option_count || c->prose || c->exits)
		putchar('\n');
	print_options(c->options, c->option_count);
	if (c->table)
		print_columns(c->table);
	if (c->prose)
		print_prose(c->prose);
	if (c->exits)
		printf("Exit code %s.\n", c->exits);
	printf("\nexample: " CTL_NAME " %s\n", c->example);
}

/* Is there exactly this command, of one word (second is null) or of two? */
static bool is_command(const char *command, const char *second)
{
	for (size_t i = 0; i < command_count; i++)
		if (!strcmp(commands[i].name, command) &&
		    (second ? commands[i].second && !strcmp(commands[i].second, second)
		            : !commands[i].second))
			return true;
	return false;
}

bool help_print(const char *command, const char *second)
{
	bool printed = false;

	if (!command) {
		printf("usage: " CTL_NAME " [OPTIONS] COMMAND ...\n%s\n\n", program_summary);
		for (size_t i = 0; i < command_count; i++)
			printf("  %-42s %s\n", commands[i].synopsis, commands[i].summary);
		putchar('\n');
		print_options(global_options, global_option_count);
		print_prose(options_prose);
		putchar('\n');
		print_exit_codes();
		printf("\nexample: " CTL_NAME " %s\n", program_example);
		return true;
	}
	for (size_t i = 0; i < command_count; i++) {
		const struct command *c = &commands[i];

		if (strcmp(c->name, command) ||
		    (c->second && second && strcmp(c->second, second)) ||
		    (c->second && !second && is_command(command, NULL)) ||
		    (!c->second && second && is_command(command, second)))
			continue;
		if (printed)
			putchar('\n');
		print_one(c);
		printed = true;
	}
	if (printed)
		puts("Global options and exit codes: " CTL_NAME " --help");
	return printed;
}

int help_unknown(struct ctl *ctl, char **words, size_t count)
{
	const char *first = words[0], *second = count > 1 ? words[1] : NULL;
	struct guess guess = { first, NULL, 0 }, guess_second = { second ? second : "", NULL, 0 };
	struct word_list seconds = { .last = "or" };
	char meant[80] = "";

	for (size_t i = 0; i < command_count; i++) {
		guess_offer(&guess, commands[i].name);
		seconds.total += !strcmp(commands[i].name, first);
	}
	for (size_t i = 0; i < command_count; i++)
		if (!strcmp(commands[i].name, first) && commands[i].second) {
			word_list_add(&seconds, commands[i].second);
			guess_offer(&guess_second, commands[i].second);
		}
	if (!seconds.total) {
		if (guess.best)
			snprintf(meant, sizeof(meant), "; did you mean '%s'?", guess.best);
		return fail_usage(ctl, "'%.100s': unknown command%s%s", first, meant,
		                  meant[0] ? "" : "; '" CTL_NAME " --help' lists them");
	}
	if (!second)
		return fail_usage(ctl, "%s: %s is missing; see '" CTL_NAME " %s --help'", first,
		                  seconds.text, first);
	if (guess_second.best)
		snprintf(meant, sizeof(meant), "; did you mean '%s %s'?", first, guess_second.best);
	return fail_usage(ctl, "%s '%.100s': unknown command; it is %s%s", first, second,
	                  seconds.text, meant);
}

int cmd_help(struct ctl *ctl)
{
	const char *first = ctl->argument_count > 0 ? ctl->arguments[0] : NULL;

	if (help_print(first, ctl->argument_count > 1 ? ctl->arguments[1] : NULL))
		return EXIT_DONE;
	return help_unknown(ctl, ctl->arguments, ctl->argument_count);
}
