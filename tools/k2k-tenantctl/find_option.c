/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Options by their names and letters; see command_table.h. */
#include "command_table.h"

#include <string.h>

static const struct option_text *option_among(const struct option_text *options, size_t count,
                                              const char *name, size_t length, char letter)
{
	for (size_t i = 0; i < count; i++)
		if (name ? strlen(options[i].name) == length &&
		                    !memcmp(options[i].name, name, length)
		         : letter && options[i].letter == letter)
			return &options[i];
	return NULL;
}

const struct option_text *find_option(const struct command *command, const char *name,
                                      size_t length)
{
	const struct option_text *found = option_among(global_options, global_option_count, name,
	                                               length, 0);

	return found || !command
	               ? found
	               : option_among(command->options, command->option_count, name, length, 0);
}

const struct option_text *find_letter(const struct command *command, char letter)
{
	const struct option_text *found = option_among(global_options, global_option_count, NULL, 0,
	                                               letter);

	return found || !command
	               ? found
	               : option_among(command->options, command->option_count, NULL, 0, letter);
}
