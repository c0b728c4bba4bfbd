/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "help.h"
#include "commands.h"
#include "accounts.h"
#include "command_table.h"

#include <stdio.h>
#include <string.h>

#define TEXT_COLUMN 24 /* at least */
#define EXIT_LINE 96

/* "  -o, --output FORM" or, beside such, "      --dry-run". Returns its width. */
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
		const char *text = options[i].text;

		spell(spelt, sizeof(spelt), &options[i], letters);
		for (const char *shown = spelt; *text; shown = "") {
			size_t length = strcspn(text, "\n");

			printf("%-*s%.*s\n", (int)column, shown, (int)length, text);
			text += length + (text[length] == '\n');
		}
	}
}

static void print_exit_codes(void)
{
	size_t column = (size_t)printf("Exit codes:");

	for (size_t i = 0; i < exit_text_count; i++) {
		char text[160];
		size_t width = (size_t)snprintf(text, sizeof(text), "%d %s%s", exit_texts[i].code,
		                                exit_texts[i].text,
		                                i + 1 < exit_text_count ? "," : ".\n");
		bool wrap = column + 1 + width > EXIT_LINE;

		printf("%s%s", wrap ? "\n" : " ", text);
		column = wrap ? width : column + 1 + width;
	}
}

static void print_one(const struct command *c)
{
	printf("usage: " CTL_NAME " [OPTIONS] %s\n%s\n", c->synopsis, c->summary);
	if (c->option_count || c->prose[0] || c->exits)
		putchar('\n');
	print_options(c->options, c->option_count);
	fputs(c->prose, stdout);
	if (c->exits)
		printf("Exit code %s.\n", c->exits);
	printf("\nexample: " CTL_NAME " %s\n", c->example);
}

bool help_print(const char *command, const char *second)
{
	bool printed = false;

	if (!command) {
		puts("usage: " CTL_NAME " [OPTIONS] COMMAND ...\nadministers tenants and their "
		     "quotas in a shared registry\n");
		for (size_t i = 0; i < command_count; i++)
			printf("  %-42s %s\n", commands[i].synopsis, commands[i].summary);
		putchar('\n');
		print_options(global_options, global_option_count);
		printf("%s\n", options_prose);
		print_exit_codes();
		puts("\nexample: " CTL_NAME " register 42 --rate 5k/s --budget 7=1h");
		return true;
	}
	for (size_t i = 0; i < command_count; i++) {
		const struct command *c = &commands[i];

		if (strcmp(c->name, command) || (c->second && second && strcmp(c->second, second)))
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

/* "set, unset or list": the second words of a command. */
static void second_words(const char *first, char *text, size_t room)
{
	size_t count = 0, at = 0, used = 0;

	for (size_t i = 0; i < command_count; i++)
		count += !strcmp(commands[i].name, first);
	text[0] = 0;
	for (size_t i = 0; i < command_count; i++) {
		if (strcmp(commands[i].name, first) || used >= room)
			continue;
		used += (size_t)snprintf(text + used, room - used, "%s%s",
		                         !at               ? ""
		                         : at + 1 == count ? " or "
		                                           : ", ",
		                         commands[i].second);
		at++;
	}
}

int help_unknown(struct ctl *ctl, char **words, size_t count)
{
	const char *first = words[0], *second = count > 1 ? words[1] : NULL;
	struct guess guess = { first, NULL, 0 }, guess_second = { second ? second : "", NULL, 0 };
	bool group = false;
	char all[80], meant[80] = "";

	for (size_t i = 0; i < command_count; i++) {
		group |= !strcmp(commands[i].name, first);
		guess_offer(&guess, commands[i].name);
		if (second && !strcmp(commands[i].name, first))
			guess_offer(&guess_second, commands[i].second ? commands[i].second : "");
	}
	if (!group) {
		if (guess.best)
			snprintf(meant, sizeof(meant), "; did you mean '%s'?", guess.best);
		return fail_usage(ctl, "'%.100s': unknown command%s%s", first, meant,
		                  meant[0] ? "" : "; '" CTL_NAME " --help' lists them");
	}
	second_words(first, all, sizeof(all));
	if (!second)
		return fail_usage(ctl, "%s: %s is missing; see '" CTL_NAME " %s --help'", first,
		                  all, first);
	if (guess_second.best)
		snprintf(meant, sizeof(meant), "; did you mean '%s %s'?", first, guess_second.best);
	return fail_usage(ctl, "%s '%.100s': unknown command; it is %s%s", first, second, all,
	                  meant);
}

int cmd_help(struct ctl *ctl)
{
	const char *first = ctl->argument_count > 0 ? ctl->arguments[0] : NULL;

	if (help_print(first, ctl->argument_count > 1 ? ctl->arguments[1] : NULL))
		return EXIT_DONE;
	return help_unknown(ctl, ctl->arguments, ctl->argument_count);
}
