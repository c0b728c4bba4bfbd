/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * command_table.h - the command line as data
 *
 * command_table.c has the table. From it come the parser (main.c), --help (help.c), completion
 * (completion.c) and the manual pages (manual_pages.c). A command, or an option of one, is added
 * there and nowhere else.
 */
#ifndef K2K_TENANTCTL_COMMAND_TABLE_H
#define K2K_TENANTCTL_COMMAND_TABLE_H

#include "ctl.h"

/* What an argument is: says how it is completed, and which units a manual page explains. */
enum value_kind {
	VALUE_NONE,
	VALUE_TEXT,
	VALUE_NUMBER,
	VALUE_SIZE,
	VALUE_RATE,
	VALUE_DURATION, /* not completed */
	/* one of its `words` */
	VALUE_WORD,
	VALUE_TENANT,
	VALUE_ENGAGEMENT,
	VALUE_REGISTRY,
	VALUE_FILE,
	VALUE_GROUP,
	VALUE_USER,
	VALUE_COMMAND,
	VALUE_KINDS
};

struct option_text {
	enum option_id id;
	char letter; /* or 0 */
	const char *name;
	const char *argument; /* as help calls it; null: takes none */
	enum value_kind kind; /* of the argument */
	const char *words;    /* "auto always never": complete, or beside others; or null */
	const char *text;     /* lines */
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
	size_t min, max;                   /* arguments */
	struct operand operands[OPERANDS]; /* of more the last */
	const char *synopsis, *summary;
	/* besides the global ones; an id may come again, with another argument */
	const struct option_text *options;
	size_t option_count;
	/* lines; those that begin with 4 spaces are literal */
	const char *prose;
	const char *exits; /* "1 where ...", or null */
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
extern const char options_prose[];
extern const char *const value_texts[VALUE_KINDS]; /* how it is written; or null */

/*
 * The option that has this name, or letter, in a command (null: none yet); null where there is
 * none.
 */
const struct option_text *find_option(const struct command *command, const char *name,
                                      size_t length);
const struct option_text *find_letter(const struct command *command, char letter);

#endif
