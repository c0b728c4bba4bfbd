/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* k2k-tenantctl: parses the command line by the table of commands, and runs the command */
#include "commands.h"
#include "help.h"
#include "output.h"
#include "command_table.h"
#include "suggest.h"
#include "view.h"
#include "common/service.h"

#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* getopt_long's values: option ids come after all characters. */
enum { OPTION_BASE = 256, LETTERS = 3 + 2 * ('z' - 'A' + 1) };

/* The options of all commands; fits() checks later whether the command takes them. */
static struct option long_options[OPT_END + 1];

static void name_options(const struct option_text *options, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct option *o = long_options;

		while (o->name && o->val != OPTION_BASE + (int)options[i].id)
			o++;
		*o = (struct option){ options[i].name,
			              options[i].argument ? required_argument : no_argument, NULL,
			              OPTION_BASE + (int)options[i].id };
	}
}

static void read_table(void)
{
	name_options(global_options, global_option_count);
	for (size_t i = 0; i < command_count; i++)
		name_options(commands[i].options, commands[i].option_count);
}

/*
 * One letter may mean different options in different commands (-f): commands whose first word is
 * `first` win over others.
 */
static const struct option_text *option_of_letter(const char *first, char letter)
{
	const struct option_text *found = find_letter(NULL, letter);

	for (int others = 0; others <= 1; others++)
		for (size_t i = 0; i < command_count && !found; i++)
			if (others || !strcmp(commands[i].name, first))
				found = find_letter(&commands[i], letter);
	return found;
}

/* getopt's string of all letters; `order` is '+' to make it stop at the first word. */
static void spell_letters(char letters[LETTERS], const char *order, const char *first)
{
	size_t used = (size_t)sprintf(letters, "%s:", order);

	for (int letter = 'A'; letter <= 'z'; letter++) {
		const struct option_text *o = option_of_letter(first, (char)letter);

		if (o)
			used += (size_t)sprintf(letters + used, "%c%s", letter,
			                        o->argument ? ":" : "");
	}
}

/*
 * The first error in the options. It is reported after all of them are read, because a later -J
 * decides its form.
 */
struct complaint {
	char text[300];
};

static void complain(struct complaint *c, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void complain(struct complaint *c, const char *format, ...)
{
	va_list args;

	if (c->text[0])
		return;
	va_start(args, format);
	vsnprintf(c->text, sizeof(c->text), format, args);
	va_end(args);
}

static const char *option_name(int id)
{
	for (const struct option *o = long_options; o->name; o++)
		if (o->val == OPTION_BASE + id)
			return o->name;
	return "?";
}

/* An option id from getopt's value; -1 if it is none. */
static int option_of(int value, const char *first)
{
	const struct option_text *o = value > 0 && value < OPTION_BASE
	                                      ? option_of_letter(first, (char)value)
	                                      : NULL;

	return o                                                       ? (int)o->id
	       : value >= OPTION_BASE && value < OPTION_BASE + OPT_END ? value - OPTION_BASE
	                                                               : -1;
}

static void guess_option(struct guess *guess, const struct option_text *options, size_t count)
{
	for (size_t i = 0; i < count; i++)
		guess_offer(guess, options[i].name);
}

/* Suggests options of the command that begins with `first` before those of others. */
static void complain_of_unknown(struct complaint *c, const char *word, const char *first)
{
	char typed[64];
	struct guess guess = { typed, NULL, 0 };

	snprintf(typed, sizeof(typed), "%.*s", (int)strcspn(word, "=") - 2, word + 2);
	guess_option(&guess, global_options, global_option_count);
	for (int others = 0; others <= 1 && !guess.best; others++)
		for (size_t i = 0; i < command_count; i++)
			if (others || !strcmp(commands[i].name, first))
				guess_option(&guess, commands[i].options, commands[i].option_count);
	if (guess.best)
		complain(c, "unknown option '--%s'; did you mean '--%s'?", typed, guess.best);
	else
		complain(c, "unknown option '--%s'; see '" CTL_NAME " --help'", typed);
}

static void complain_of_option(struct complaint *c, int answer, char **argv, const char *first)
{
	int id = option_of(optopt, first);

	if (answer == ':')
		complain(c, "--%s: its argument is missing", option_name(id));
	else if (id >= 0)
		complain(c, "--%s: takes no argument", option_name(id));
	else if (optopt >= '0' && optopt <= '9')
		complain(c,
		         "'-%c...': numbers have no sign, at position 1; see '" CTL_NAME " --help'",
		         optopt);
	else if (optopt)
		complain(c, "unknown option '-%c'; see '" CTL_NAME " --help'", optopt);
	else
		complain_of_unknown(c, argv[optind - 1], first);
}

/*
 * getopt accepts abbreviated names. They are refused: scripts that use them would break with the
 * next option that begins alike.
 */
static bool in_full(char **argv, int index)
{
	const char *word = argv[optind - 1], *name = long_options[index].name;
	size_t length;

	if (optarg == word) /* the argument is a separate word */
		word = argv[optind - 2];
	length = strcspn(word, "=") - 2;
	return strlen(name) == length;
}

/* Another word is reported by good_words(). */
static enum format read_format(const char *text)
{
	return !strcasecmp(text, "json")  ? FORMAT_JSON
	       : !strcasecmp(text, "csv") ? FORMAT_CSV
	                                  : FORMAT_TABLE;
}

/* The first word after options, or "". */
static const char *first_word(int argc, char **argv)
{
	char letters[LETTERS];

	spell_letters(letters, "+", "");
	while (getopt_long(argc, argv, letters, long_options, NULL) != -1)
		;
	return optind < argc ? argv[optind] : "";
}

static void read_options(struct ctl *ctl, struct complaint *c, int argc, char **argv)
{
	char letters[LETTERS];
	const char *first;
	int answer, index;

	opterr = 0;
	first = first_word(argc, argv);
	optind = 0; /* from the start */
	spell_letters(letters, "", first);
	while (index = -1,
	       (answer = getopt_long(argc, argv, letters, long_options, &index)) != -1) {
		int id = option_of(answer, first);

		if (answer == ':' || answer == '?' || id < 0) {
			complain_of_option(c, answer, argv, first);
			continue;
		}
		if (index >= 0 && !in_full(argv, index)) {
			complain_of_unknown(
				c, optarg == argv[optind - 1] ? argv[optind - 2] : argv[optind - 1],
				first);
			continue;
		}
		ctl->option[id] = optarg ? optarg : "";
		if (id == OPT_OUTPUT)
			ctl->format = read_format(optarg);
		else if (id == OPT_JSON)
			ctl->format = FORMAT_JSON;
		else if (id == OPT_BUDGET)
			ctl->budgets[ctl->budget_count++] = optarg;
		else if (id == OPT_ALERT)
			ctl->alerts[ctl->alert_count++] = optarg;
		else if (id == OPT_FILE)
			ctl->files[ctl->file_count++] = optarg;
		else if (id == OPT_FILTER)
			ctl->filters[ctl->filter_count++] = optarg;
	}
	ctl->dry_run = ctl->option[OPT_DRY_RUN] != NULL;
	ctl->yes = ctl->option[OPT_YES] != NULL;
	ctl->quiet = ctl->option[OPT_QUIET] != NULL;
	ctl->arguments = argv + optind;
	ctl->argument_count = (size_t)(argc - optind);
}

static bool wants_color(const char *when)
{
	const char *none = getenv("NO_COLOR"), *term = getenv("TERM");

	if (when && strcasecmp(when, "auto"))
		return !strcasecmp(when, "always");
	return isatty(STDOUT_FILENO) && !(none && *none) && !(term && !strcmp(term, "dumb"));
}

/* Refuses a word that an option does not know. */
static bool good_word(struct ctl *ctl, const struct option_text *o, const char *typed)
{
	struct guess guess = { typed, NULL, 0 };
	struct word_list known = { .last = "or", .total = 1 };
	char *words = check_memory(strdup(o->words)), *rest = words, *word;
	bool good = false;

	for (const char *space = words; (space = strchr(space, ' ')); space++)
		known.total++;
	while (!good && (word = strsep(&rest, " "))) {
		good = !strcasecmp(typed, word);
		guess_offer(&guess, word);
		word_list_add(&known, word);
	}
	if (!good)
		fail_usage(ctl, "--%s '%.100s': unknown value; it is %s%s%s%s", o->name, typed,
		           known.text, guess.best ? "; did you mean '" : "",
		           guess.best ? guess.best : "", guess.best ? "'?" : "");
	free(words);
	return good;
}

static bool good_words(struct ctl *ctl, const struct option_text *options, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (options[i].kind == VALUE_WORD && ctl->option[options[i].id] &&
		    !good_word(ctl, &options[i], ctl->option[options[i].id]))
			return false;
	return true;
}

static bool settle_globals(struct ctl *ctl)
{
	if (!settle_place(ctl) || !good_words(ctl, global_options, global_option_count))
		return false;
	ctl->color = wants_color(ctl->option[OPT_COLOR]);
	ctl->timeout_ns = UINT64_C(5000000000);
	if (ctl->option[OPT_TIMEOUT] &&
	    !arg_seconds(ctl, "--timeout", ctl->option[OPT_TIMEOUT], &ctl->timeout_ns))
		return false;
	/* 73 years: the sum with any clock's time still fits in 64 bits */
	if (ctl->timeout_ns > UINT64_C(1) << 61)
		ctl->timeout_ns = UINT64_C(1) << 61;
	return true;
}

/* Removes the command's words from the arguments. Null after an error was reported. */
static const struct command *find_command(struct ctl *ctl)
{
	const char *first = ctl->arguments[0],
		   *second = ctl->argument_count > 1 ? ctl->arguments[1] : "";

	for (size_t i = 0; i < command_count; i++) {
		const struct command *c = &commands[i];

		if (strcmp(c->name, first) || (c->second && strcmp(c->second, second)))
			continue;
		ctl->arguments += c->second ? 2 : 1;
		ctl->argument_count -= c->second ? 2 : 1;
		return c;
	}
	help_unknown(ctl, ctl->arguments, ctl->argument_count);
	return NULL;
}

static bool takes(const struct command *c, int id)
{
	for (size_t i = 0; i < global_option_count; i++)
		if ((int)global_options[i].id == id)
			return true;
	for (size_t i = 0; i < c->option_count; i++)
		if ((int)c->options[i].id == id)
			return true;
	return false;
}

static bool fits(struct ctl *ctl, const struct command *c)
{
	const char *second = c->second ? c->second : "", *space = c->second ? " " : "";

	for (int id = 0; id < OPT_END; id++)
		if (ctl->option[id] && !takes(c, id)) {
			fail_usage(ctl,
			           "%s%s%s: has no option --%s; see '" CTL_NAME " %s%s%s --help'",
			           c->name, space, second, option_name(id), c->name, space, second);
			return false;
		}
	if (ctl->argument_count < c->min || ctl->argument_count > c->max) {
		fail_usage(ctl, "%s%s%s: %s; see '" CTL_NAME " %s%s%s --help'", c->name, space,
		           second,
		           ctl->argument_count < c->min ? "an argument is missing"
		                                        : "too many arguments",
		           c->name, space, second);
		return false;
	}
	return true;
}

/* ---- @NAME in the place of an id ---- */

static bool is_name(const char *word)
{
	return word && word[0] == '@';
}

static bool is_tenant(const struct command *c, size_t argument)
{
	size_t at = 0;

	while (at < argument && at + 1 < OPERANDS && c->operands[at + 1].kind != VALUE_NONE)
		at++;
	return c->operands[at].kind == VALUE_TENANT;
}

static int find_name(struct ctl *ctl, struct k2k_registry *reg, const char *name, char id[NAMED_ID])
{
	k2k_tenant_id found;
	int code;

	if (!name[0])
		return fail_usage(ctl, "'@': the name after it is missing");
	code = k2k_tenant_find_name(reg, name, &found);
	if (code == K2K_EINVAL)
		return fail_usage(ctl, "'@%.100s': not a tenant's name; %s", name,
		                  k2k_error_detail()->text);
	if (code == K2K_ENOTENANT)
		return fail_with(ctl, code, "no tenant has the name '%.100s'", name);
	if (code)
		return fail(ctl, code, "registry '%s'", ctl->registry);
	snprintf(id, NAMED_ID, "%" PRIu64, found);
	return 0;
}

/*
 * Replaces each @NAME by the tenant's id, before the command reads its arguments. Returns 0, or the
 * exit code of a failure that it has reported.
 */
static int replace_names(struct ctl *ctl, const struct command *c)
{
	bool any = is_name(ctl->option[OPT_TENANT]);
	struct k2k_registry *reg;
	int exit_code;

	for (size_t i = 0; i < ctl->argument_count; i++)
		any = any || (is_tenant(c, i) && is_name(ctl->arguments[i]));
	if (!any)
		return 0;
	exit_code = open_registry(ctl, K2K_ROLE_OBSERVER, &reg);
	if (exit_code)
		return exit_code;
	ctl->named = check_memory(calloc(ctl->argument_count + 1, sizeof(*ctl->named)));
	for (size_t i = 0; i <= ctl->argument_count && !exit_code; i++) {
		const char *word = i < ctl->argument_count ? ctl->arguments[i]
		                                           : ctl->option[OPT_TENANT];

		if (!is_name(word) || (i < ctl->argument_count && !is_tenant(c, i)))
			continue;
		exit_code = find_name(ctl, reg, word + 1, ctl->named[i]);
		if (i < ctl->argument_count)
			ctl->arguments[i] = ctl->named[i];
		else
			ctl->option[OPT_TENANT] = ctl->named[i];
	}
	k2k_registry_close(&reg);
	return exit_code;
}

static int run(struct ctl *ctl, const struct complaint *complaint)
{
	int exit_code;

	const struct command *c;

	if (complaint->text[0])
		return fail_usage(ctl, "%s", complaint->text);
	if (ctl->option[OPT_HELP] && help_print(ctl->argument_count > 0 ? ctl->arguments[0] : NULL,
	                                        ctl->argument_count > 1 ? ctl->arguments[1] : NULL))
		return EXIT_DONE;
	if (!ctl->argument_count && !ctl->option[OPT_VERSION])
		return fail_usage(ctl, "no command given; '" CTL_NAME " --help' lists them");
	if (!settle_globals(ctl))
		return EXIT_USAGE;
	if (ctl->option[OPT_VERSION])
		return cmd_version(ctl);
	c = find_command(ctl);
	if (c && c->json_in_pipes && !ctl->option[OPT_OUTPUT] && !isatty(STDOUT_FILENO))
		ctl->format = FORMAT_JSON;
	if (!c || !fits(ctl, c) || !good_words(ctl, c->options, c->option_count) ||
	    (c->table && !view_read(ctl, c->table)))
		return EXIT_USAGE;
	exit_code = replace_names(ctl, c);
	return exit_code ? exit_code : c->run(ctl);
}

static void end_at_once(int number)
{
	_exit(128 + number);
}

/*
 * The kernel does not deliver signals without a handler to process 1, so in a container only
 * SIGKILL would end a command.
 */
static void end_by_signals(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction action = { .sa_handler = end_at_once }, was;

	if (getpid() != 1)
		return;
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (sigaction(numbers[i], NULL, &was) == 0 && was.sa_handler == SIG_DFL)
			sigaction(numbers[i], &action, NULL);
}

int main(int argc, char **argv)
{
	struct ctl ctl = { .format = FORMAT_TABLE };
	struct complaint complaint = { "" };
	int exit_code;

	hold_standard_files();
	ignore_signals_of_writes(); /* close_output() reports the errors */
	end_by_signals();
	unsetenv("POSIXLY_CORRECT"); /* options may follow the command */
	ctl.budgets = check_memory(calloc((size_t)argc + 1, sizeof(*ctl.budgets)));
	ctl.alerts = check_memory(calloc((size_t)argc + 1, sizeof(*ctl.alerts)));
	ctl.filters = check_memory(calloc((size_t)argc + 1, sizeof(*ctl.filters)));
	ctl.files = check_memory(calloc((size_t)argc + 1, sizeof(*ctl.files)));
	read_table();
	read_options(&ctl, &complaint, argc, argv);
	exit_code = run(&ctl, &complaint);
	print_json_failure(&ctl);
	for (size_t i = 0; i < ctl.failure_count; i++)
		free(ctl.failures[i].message);
	free(ctl.failures);
	free(ctl.budgets);
	free(ctl.alerts);
	free(ctl.files);
	free(ctl.filters);
	free(ctl.named);
	view_free(ctl.view);
	return close_output(exit_code);
}
