/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * k2k-tenantctl-pages DIR VERSION: run by the build and not installed. Writes the manual pages of
 * k2k-tenantctl and of its commands as scdoc into DIR, and the completion scripts, k2k-fleetctl's
 * too. It links only the tables of commands and columns.
 */
#include "completion_scripts.h"
#include "command_table.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of a command of one word, nothing */
#define SECOND(c) (c)->second ? " " : "", (c)->second ? (c)->second : ""

static const char *directory;

static FILE *begin_file(const char *name)
{
	char path[4096];
	FILE *f;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", directory, name) >= sizeof(path) ||
	    !(f = fopen(path, "w"))) {
		perror(path);
		exit(1);
	}
	return f;
}

static void end_file(FILE *f)
{
	if (fflush(f) || ferror(f) || fclose(f)) {
		perror(directory);
		exit(1);
	}
}

/* ---- scdoc -------------------------------------------------------------------- */

/* Escapes what scdoc would interpret. */
static void escape(FILE *f, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		fprintf(f, strchr("\\*_#[]|`~^+-", text[i]) ? "\\%c" : "%c", text[i]);
}

static void plain(FILE *f, const char *text)
{
	escape(f, text, strlen(text));
}

static void literal(FILE *f, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		fprintf(f, text[i] == '\\' ? "\\\\" : "%c", text[i]);
}

/* Paragraphs, one a line; lines that begin with 4 spaces are literal. */
static void prose(FILE *f, const char *text)
{
	bool block = false;

	while (*text) {
		size_t length = strcspn(text, "\n");
		bool indented = !strncmp(text, "    ", 4);

		if (indented != block)
			fputs(indented ? "\n```\n" : "```\n\n", f);
		block = indented;
		if (indented)
			literal(f, text + 4, length - 4);
		else
			escape(f, text, length);
		putc('\n', f);
		text += length + (text[length] == '\n');
	}
	fputs(block ? "```\n\n" : "\n", f);
}

/* Words in capitals stand for values, and are underlined. */
static void synopsis(FILE *f, const char *text)
{
	while (*text) {
		size_t capitals = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
		       letters = strspn(text, "abcdefghijklmnopqrstuvwxyz-");

		if (capitals > 0 || letters > 0) {
			size_t length = capitals ? capitals : letters;

			putc(capitals ? '_' : '*', f);
			escape(f, text, length);
			putc(capitals ? '_' : '*', f);
			text += length;
		} else {
			escape(f, text++, 1);
		}
	}
}

static void options(FILE *f, const struct option_text *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct option_text *o = &list[i];

		if (o->letter)
			fprintf(f, "*\\-%c*, ", o->letter);
		fputs("*\\-\\-", f);
		plain(f, o->name);
		putc('*', f);
		if (o->argument) {
			putc(' ', f);
			synopsis(f, o->argument);
		}
		fputs("\n\t", f);
		plain(f, o->text);
		fputs("\n\n", f);
	}
}

static void term(FILE *f, const char *name, const char *text)
{
	fputc('*', f);
	plain(f, name);
	fputs("*\n\t", f);
	plain(f, text);
	fputs("\n\n", f);
}

static void head(FILE *f, const char *name, const char *version)
{
	fprintf(f, "%s(1) \"k2k-registry %s\" \"k2k-registry\"\n\n# NAME\n\n%s - ", name, version,
	        name);
}

/* ---- the pages ------------------------------------------------------------------ */

static bool begins_group(size_t i)
{
	return !i || strcmp(commands[i].name, commands[i - 1].name);
}

static void see_also(FILE *f)
{
	fputs("# SEE ALSO\n\n", f);
	for (size_t i = 0; i < command_count; i++)
		if (begins_group(i))
			fprintf(f, "*k2k-tenantctl-%s*(1),\n", commands[i].name);
	fputs("*k2k-broker*(1), *k2k-auditd*(1), *k2k-exporter*(1), *k2k\\_registry.h*(3)\n", f);
}

static void main_page(const char *version)
{
	FILE *f = begin_file(CTL_NAME ".1.scd");

	head(f, CTL_NAME, version);
	fprintf(f, "%s\n\n", program_summary);
	fputs("# SYNOPSIS\n\n"
	      "*k2k-tenantctl* [_OPTIONS_] _COMMAND_ ...\n\n# DESCRIPTION\n\n"
	      "Message brokers that share a GPU host ask a registry in shared memory whether a "
	      "tenant may send now, how much of its limits is left, and whom to bill. This program "
	      "creates that registry, defines tenants and their limits in it, and shows what they "
	      "use.\n\n"
	      "Data goes to standard output, messages to standard error. With *\\-J* the output is "
	      "one JSON object, whose \"schema\" is \"" CTL_SCHEMA
	      "\"; ids, and numbers whose names end with \\_ns, \\_bytes or \\_total, are strings "
	      "of decimal digits, and a limit that is unlimited is null. Errors are objects too. "
	      "Tables are for people, and may change.\n\n# COMMANDS\n\n",
	      f);
	for (size_t i = 0; i < command_count; i++) {
		synopsis(f, commands[i].synopsis);
		fputs("\n\t", f);
		plain(f, commands[i].summary);
		fprintf(f, "; see *k2k-tenantctl-%s*(1)\n\n", commands[i].name);
	}
	fputs("# OPTIONS\n\n", f);
	options(f, global_options, global_option_count);
	prose(f, options_prose);
	fputs("# UNITS\n\n", f);
	for (size_t i = 0; i < VALUE_KINDS; i++)
		if (value_texts[i]) {
			plain(f, value_texts[i]);
			fputs("\n\n", f);
		}
	plain(f, limits_prose);
	fputs("\n\nIf a value can't be read, the message names the position of the fault, and "
	      "nothing "
	      "is changed.\n\n# EXIT STATUS\n\n",
	      f);
	for (size_t i = 0; i < exit_text_count; i++) {
		char code[12];

		snprintf(code, sizeof(code), "%d", exit_texts[i].code);
		term(f, code, exit_texts[i].text);
	}
	fputs("# ENVIRONMENT\n\n", f);
	term(f, "K2K_REGISTRY", "the registry, unless -r names it");
	term(f, "NO_COLOR",
	     "if it is set and not empty, output has no colours, unless --color asks for them");
	term(f, "TERM", "if it is 'dumb', output has no colours either");
	fputs("# FILES\n\n", f);
	term(f, "/dev/shm/k2k.NAME.defs",
	     "definitions of the registry NAME, written by administrators; whoever may read it may "
	     "see everything");
	term(f, "/dev/shm/k2k.NAME.live.UUID",
	     "counters, leases and audit events, written by brokers; whoever may write it may be a "
	     "broker");
	fprintf(f,
	        "# EXAMPLES\n\n```\n" CTL_NAME " init\n" CTL_NAME " %s\n" CTL_NAME
	        " list -J\n```\n\n",
	        program_example);
	see_also(f);
	end_file(f);
}

static bool mentions(const struct command *c, enum value_kind kind)
{
	for (size_t i = 0; i < c->option_count; i++)
		if (c->options[i].kind == kind)
			return true;
	for (size_t i = 0; i < OPERANDS; i++)
		if (c->operands[i].kind == kind)
			return true;
	return false;
}

static void exits_and_units(FILE *f, const struct command *c, size_t count)
{
	bool any = false;

	fputs("# EXIT STATUS\n\n", f);
	for (size_t i = 0; i < count; i++) {
		if (!c[i].exits)
			continue;
		if (count > 1)
			fprintf(f, "Of *%s%s%s*: ", c[i].name, SECOND(&c[i]));
		plain(f, c[i].exits);
		fputs(".\n", f);
		any = true;
	}
	fputs(any ? "Else 0, or one of the codes in *k2k-tenantctl*(1).\n\n"
	          : "0, or one of the codes in *k2k-tenantctl*(1).\n\n",
	      f);
	any = false;
	for (size_t kind = 0; kind < VALUE_KINDS; kind++) {
		bool needed = false;

		for (size_t i = 0; i < count; i++)
			needed |= mentions(&c[i], (enum value_kind)kind);
		if (!needed || !value_texts[kind])
			continue;
		if (!any)
			fputs("# UNITS\n\n", f);
		any = true;
		plain(f, value_texts[kind]);
		fputs("\n\n", f);
	}
}

static void columns(FILE *f, const struct command *c, size_t count)
{
	bool any = false;

	for (size_t i = 0; i < count; i++) {
		const struct table *table = c[i].table;
		char name[COLUMN_NAME];

		if (!table)
			continue;
		if (!any)
			fputs("# COLUMNS\n\n", f);
		any = true;
		if (count > 1)
			fprintf(f, "## %s%s%s\n\n", c[i].name, SECOND(&c[i]));
		for (size_t n = 0; n < table->count; n++)
			if (table->fields[n].heading) {
				plain(f, column_name(name, &table->fields[n]));
				putc('\n', f);
			}
		putc('\n', f);
	}
}

/* One page for all commands that begin with the same word. */
static void command_page(const struct command *c, size_t count, const char *version)
{
	char name[80], file[96];
	bool any = false;
	FILE *f;

	snprintf(name, sizeof(name), CTL_NAME "-%s", c->name);
	snprintf(file, sizeof(file), "%s.1.scd", name);
	f = begin_file(file);
	head(f, name, version);
	for (size_t i = 0; i < count; i++) {
		fputs(i ? "; " : "", f);
		plain(f, c[i].summary);
	}
	fputs("\n\n# SYNOPSIS\n\n", f);
	for (size_t i = 0; i < count; i++) {
		fputs("*k2k-tenantctl* [_OPTIONS_] ", f);
		synopsis(f, c[i].synopsis);
		fputs(i + 1 < count ? "++\n" : "\n\n", f);
	}
	fputs("# DESCRIPTION\n\n", f);
	for (size_t i = 0; i < count; i++) {
		char first = (char)toupper((unsigned char)c[i].summary[0]);

		if (count > 1) {
			fputs("## ", f);
			fprintf(f, "%s%s%s\n\n", c[i].name, SECOND(&c[i]));
		}
		putc(first, f);
		plain(f, c[i].summary + 1);
		fputs(strchr(c[i].summary, '?') ? "\n\n" : ".\n\n", f);
		if (c[i].prose)
			prose(f, c[i].prose);
	}
	for (size_t i = 0; i < count; i++) {
		if (!c[i].option_count)
			continue;
		if (!any)
			fputs("# OPTIONS\n\n", f);
		any = true;
		if (count > 1)
			fprintf(f, "## %s%s%s\n\n", c[i].name, SECOND(&c[i]));
		options(f, c[i].options, c[i].option_count);
	}
	fputs(any ? "Those of all commands are in *k2k-tenantctl*(1).\n\n" : "", f);
	columns(f, c, count);
	exits_and_units(f, c, count);
	fputs("# EXAMPLES\n\n```\n", f);
	for (size_t i = 0; i < count; i++) {
		fputs(CTL_NAME " ", f);
		literal(f, c[i].example, strlen(c[i].example));
		putc('\n', f);
	}
	fputs("```\n\n# SEE ALSO\n\n*k2k-tenantctl*(1)\n", f);
	end_file(f);
}

static void script(const char *shell, const char *program, const char *name)
{
	FILE *f = begin_file(name);

	completion_print(f, shell, program);
	end_file(f);
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fputs("usage: k2k-tenantctl-pages DIR VERSION\n", stderr);
		return 2;
	}
	directory = argv[1];
	main_page(argv[2]);
	for (size_t i = 0, next; i < command_count; i = next) {
		for (next = i + 1; next < command_count && !begins_group(next); next++)
			;
		command_page(&commands[i], next - i, argv[2]);
	}
	script("bash", CTL_NAME, CTL_NAME ".bash");
	script("zsh", CTL_NAME, "_" CTL_NAME);
	script("fish", CTL_NAME, CTL_NAME ".fish");
	script("bash", "k2k-fleetctl", "k2k-fleetctl.bash");
	script("zsh", "k2k-fleetctl", "_k2k-fleetctl");
	script("fish", "k2k-fleetctl", "k2k-fleetctl.fish");
	return 0;
}
