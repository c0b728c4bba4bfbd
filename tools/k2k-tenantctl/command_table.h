/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * command_table.h - the command line as data
 *
 * command_table.c has the table, command_texts.c the texts that all commands share. The parser
 * (main.c), --help (help.c), completion (completion.c) and the manual pages (manual_pages.c) read
 * them, so a command or an option is added there and nowhere else.
 */
#ifndef K2K_TENANTCTL_COMMAND_TABLE_H
#define K2K_TENANTCTL_COMMAND_TABLE_H

#include "columns.h"
#include "ctl.h"

/* What an argument is: decides how it is completed and which units a manual page explains. */
enum value_kind {
	VALUE_NONE,
	VALUE_TEXT,
	VALUE_NUMBER,
	VALUE_SIZE,
	VALUE_RATE,
	VALUE_DURATION,
	VALUE_WORD, /* one of `words`, in any case */
	VALUE_COLUMN,
	VALUE_TENANT,
	VALUE_ENGAGEMENT,
	VALUE_REGISTRY,
	VALUE_FILE,
	VALUE_GROUP,
	VALUE_USER,
	VALUE_COMMAND,
	/* of k2k-fleetctl, in the database */
	VALUE_FLEET_TENANT,
	VALUE_FLEET_HOST,
	VALUE_FLEET_ROLE,
	VALUE_KINDS
};

struct option_text {
	enum option_id id;
	char letter; /* or 0 */
	const char *name;
	const char *argument; /* its name in the help; null: the option takes none */
	enum value_kind kind; /* of the argument */
	const char *words;    /* "auto always never": all of a VALUE_WORD, or some among others */
	const char *text;     /* completion offers it up to the first ';' */
};

struct operand {
	enum value_kind kind;
	const char *words;
};

#define MANY SIZE_MAX
#define OPERANDS 3

struct command {
	const char *name, *second; /* "budget" and "audit" have a second word */
	int (*run)(struct ctl *ctl);
	size_t min, max;                   /* number of arguments */
	struct operand operands[OPERANDS]; /* the last describes all further arguments */
	const char *synopsis, *summary;
	/* next to the global ones; one id may occur several times, with other arguments */
	const struct option_text *options;
	size_t option_count;
	const struct table *table; /* what --columns, --sort and --filter are about, or null */
	bool json_in_pipes;        /* the form of output is JSON unless chosen, or on a terminal */
	/* One paragraph a line, or null; a line that begins with 4 spaces is literal. */
	const char *prose;
	const char *exits; /* "1 if ...", or null */
	const char *example;
};

struct exit_text {
	int code;
	const char *text;
};

extern const struct command commands[];
extern const size_t command_count;
extern const struct option_text global_options[];
extern const size_t global_option_count;
extern const struct exit_text exit_texts[];
extern const size_t exit_text_count;
extern const char program_summary[];
extern const char program_example[];
extern const char options_prose[];
extern const char limits_prose[];
extern const char *const value_texts[VALUE_KINDS]; /* how such a value is written, or null */

/* The option of that name or letter in a command, which may be null; null if there is none. */
const struct option_text *find_option(const struct command *command, const char *name,
                                      size_t length);
const struct option_text *find_letter(const struct command *command, char letter);

#endif
