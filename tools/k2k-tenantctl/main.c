/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* k2k-tenantctl: the command line. What a command is called, what it takes, and who runs it. */
#include "commands.h"
#include "help.h"
#include "output.h"

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* getopt_long's values: option ids begin behind all characters. */
enum { OPTION_BASE = 256 };

static const struct option long_options[] = {
	{ "registry", required_argument, NULL, OPTION_BASE + OPT_REGISTRY },
	{ "output", required_argument, NULL, OPTION_BASE + OPT_OUTPUT },
	{ "json", no_argument, NULL, OPTION_BASE + OPT_JSON },
	{ "dry-run", no_argument, NULL, OPTION_BASE + OPT_DRY_RUN },
	{ "yes", no_argument, NULL, OPTION_BASE + OPT_YES },
	{ "quiet", no_argument, NULL, OPTION_BASE + OPT_QUIET },
	{ "timeout", required_argument, NULL, OPTION_BASE + OPT_TIMEOUT },
	{ "color", required_argument, NULL, OPTION_BASE + OPT_COLOR },
	{ "help", no_argument, NULL, OPTION_BASE + OPT_HELP },
	{ "version", no_argument, NULL, OPTION_BASE + OPT_VERSION },
	{ "max-tenants", required_argument, NULL, OPTION_BASE + OPT_MAX_TENANTS },
	{ "max-engagements", required_argument, NULL, OPTION_BASE + OPT_MAX_ENGAGEMENTS },
	{ "max-leases", required_argument, NULL, OPTION_BASE + OPT_MAX_LEASES },
	{ "max-budgets", required_argument, NULL, OPTION_BASE + OPT_MAX_BUDGETS },
	{ "audit-events", required_argument, NULL, OPTION_BASE + OPT_AUDIT_EVENTS },
	{ "mode", required_argument, NULL, OPTION_BASE + OPT_MODE },
	{ "group", required_argument, NULL, OPTION_BASE + OPT_GROUP },
	{ "plan", no_argument, NULL, OPTION_BASE + OPT_PLAN },
	{ "if-missing", no_argument, NULL, OPTION_BASE + OPT_IF_MISSING },
	{ "preset", required_argument, NULL, OPTION_BASE + OPT_PRESET },
	{ "rate", required_argument, NULL, OPTION_BASE + OPT_RATE },
	{ "kernels", required_argument, NULL, OPTION_BASE + OPT_KERNELS },
	{ "gpu-memory", required_argument, NULL, OPTION_BASE + OPT_GPU_MEMORY },
	{ "budget", required_argument, NULL, OPTION_BASE + OPT_BUDGET },
	{ "max-series", required_argument, NULL, OPTION_BASE + OPT_MAX_SERIES },
	{ "org", required_argument, NULL, OPTION_BASE + OPT_ORG },
	{ "engagement", required_argument, NULL, OPTION_BASE + OPT_ENGAGEMENT },
	{ "count", required_argument, NULL, OPTION_BASE + OPT_COUNT },
	{ "file", required_argument, NULL, OPTION_BASE + OPT_FILE },
	{ "prune", no_argument, NULL, OPTION_BASE + OPT_PRUNE },
	{ "follow", no_argument, NULL, OPTION_BASE + OPT_FOLLOW },
	{ "since", required_argument, NULL, OPTION_BASE + OPT_SINCE },
	{ "tenant", required_argument, NULL, OPTION_BASE + OPT_TENANT },
	{ "type", required_argument, NULL, OPTION_BASE + OPT_TYPE },
	{ "key", required_argument, NULL, OPTION_BASE + OPT_KEY },
	{ "head", required_argument, NULL, OPTION_BASE + OPT_HEAD },
	{ "once", no_argument, NULL, OPTION_BASE + OPT_ONCE },
	{ NULL, 0, NULL, 0 }
};
/* -f is --file FILE, but in the commands of `audit` --follow. */
static const char short_options[] = ":r:o:f:JyqhV", audit_short_options[] = ":r:o:fJyqhV";

#define GLOBAL (OPT_BIT(OPT_MAX_TENANTS) - 1)
#define QUOTA (OPT_BIT(OPT_PRESET) | OPT_BIT(OPT_RATE) | OPT_BIT(OPT_KERNELS) | OPT_BIT(OPT_GPU_MEMORY) | \
               OPT_BIT(OPT_BUDGET) | OPT_BIT(OPT_IF_MISSING))
#define INIT (OPT_BIT(OPT_MAX_TENANTS) | OPT_BIT(OPT_MAX_ENGAGEMENTS) | OPT_BIT(OPT_MAX_LEASES) | \
              OPT_BIT(OPT_MAX_BUDGETS) | OPT_BIT(OPT_AUDIT_EVENTS) | OPT_BIT(OPT_MODE) | OPT_BIT(OPT_GROUP) | OPT_BIT(OPT_PLAN) | \
              OPT_BIT(OPT_IF_MISSING))
#define PEEK (OPT_BIT(OPT_ORG) | OPT_BIT(OPT_ENGAGEMENT) | OPT_BIT(OPT_COUNT))
#define TAIL (OPT_BIT(OPT_FOLLOW) | OPT_BIT(OPT_SINCE) | OPT_BIT(OPT_TENANT) | OPT_BIT(OPT_TYPE))
#define MANY SIZE_MAX

static const struct command {
	const char *name, *second;      /* "budget" and "audit" have a second word */
	int (*run)(struct ctl *ctl);
	size_t min, max;                /* arguments */
	uint64_t options;               /* besides the global ones */
} commands[] = {
	{ "init", NULL, cmd_init, 0, 0, INIT },
	{ "info", NULL, cmd_info, 0, 0, 0 },
	{ "check", NULL, cmd_check, 0, 0, 0 },
	{ "repair", NULL, cmd_repair, 0, 0, 0 },
	{ "destroy", NULL, cmd_destroy, 0, 0, 0 },
	{ "register", NULL, cmd_register, 1, 1, QUOTA },
	{ "update", NULL, cmd_update, 1, 1, QUOTA },
	{ "deregister", NULL, cmd_deregister, 1, MANY, 0 },
	{ "list", NULL, cmd_list, 0, 0, 0 },
	{ "show", NULL, cmd_show, 1, MANY, 0 },
	{ "exists", NULL, cmd_exists, 1, 1, 0 },
	{ "metrics", NULL, cmd_metrics, 0, 0, OPT_BIT(OPT_MAX_SERIES) },
	{ "stat", NULL, cmd_stat, 0, 2, 0 },
	{ "top", NULL, cmd_top, 0, 1, OPT_BIT(OPT_ONCE) },
	{ "budget", "set", cmd_budget_set, 3, 3, 0 },
	{ "budget", "unset", cmd_budget_unset, 2, 2, 0 },
	{ "budget", "list", cmd_budget_list, 0, 1, 0 },
	{ "usage", NULL, cmd_usage, 0, 2, OPT_BIT(OPT_ENGAGEMENT) },
	{ "quota", NULL, cmd_quota, 1, 1, PEEK },
	{ "brokers", NULL, cmd_brokers, 0, 0, 0 },
	{ "leases", NULL, cmd_leases, 0, 1, 0 },
	{ "apply", NULL, cmd_apply, 0, 0, OPT_BIT(OPT_FILE) | OPT_BIT(OPT_PRUNE) },
	{ "diff", NULL, cmd_diff, 0, 0, OPT_BIT(OPT_FILE) | OPT_BIT(OPT_PRUNE) },
	{ "save", NULL, cmd_save, 1, 1, 0 },
	{ "load", NULL, cmd_load, 1, 1, 0 },
	{ "export", NULL, cmd_export, 0, 0, 0 },
	{ "audit", "tail", cmd_audit_tail, 0, 0, TAIL },
	{ "audit", "stats", cmd_audit_stats, 0, 0, 0 },
	{ "audit", "verify", cmd_audit_verify, 1, MANY, OPT_BIT(OPT_KEY) | OPT_BIT(OPT_HEAD) },
	{ "version", NULL, cmd_version, 0, 0, 0 },
};

/*
 * The first thing wrong with the options. It is told when all of them are read,
 * because a -J further on says in which form.
 */
struct complaint { char text[300]; };

static void complain(struct complaint *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

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

/* getopt's letters as option ids; -1 for what is none. */
static int option_of(int value)
{
	switch (value) {
	case 'r': return OPT_REGISTRY;
	case 'o': return OPT_OUTPUT;
	case 'f': return OPT_FILE;
	case 'J': return OPT_JSON;
	case 'y': return OPT_YES;
	case 'q': return OPT_QUIET;
	case 'h': return OPT_HELP;
	case 'V': return OPT_VERSION;
	}
	return value >= OPTION_BASE && value < OPTION_BASE + OPT_END ? value - OPTION_BASE : -1;
}

static void complain_of_option(struct complaint *c, int answer, char **argv)
{
	int id = option_of(optopt);

	if (answer == ':')
		complain(c, "--%s: its argument is missing", option_name(id));
	else if (id >= 0)
		complain(c, "--%s: takes no argument", option_name(id));
	else if (optopt >= '0' && optopt <= '9')
		complain(c, "'-%c...': numbers have no sign, at position 1; see '" CTL_NAME " --help'", optopt);
	else if (optopt)
		complain(c, "unknown option '-%c'; see '" CTL_NAME " --help'", optopt);
	else
		complain(c, "unknown or ambiguous option '%.200s'; see '" CTL_NAME " --help'", argv[optind - 1]);
}

static void read_output_option(struct ctl *ctl, struct complaint *c, const char *text)
{
	if (!strcmp(text, "table"))
		ctl->format = FORMAT_TABLE;
	else if (!strcmp(text, "json"))
		ctl->format = FORMAT_JSON;
	else if (!strcmp(text, "csv"))
		ctl->format = FORMAT_CSV;
	else
		complain(c, "--output '%.200s': no such form; it is table, json or csv", text);
}

/* Is the first word, behind the options before it, `audit`? */
static bool is_audit(int argc, char **argv)
{
	char first[sizeof(short_options) + 1] = "+";

	strcat(first, short_options);
	while (getopt_long(argc, argv, first, long_options, NULL) != -1)
		;
	return optind < argc && !strcmp(argv[optind], "audit");
}

static void read_options(struct ctl *ctl, struct complaint *c, int argc, char **argv)
{
	bool audit;
	int answer;

	opterr = 0;
	audit = is_audit(argc, argv);
	optind = 0;     /* from the start */
	while ((answer = getopt_long(argc, argv, audit ? audit_short_options : short_options, long_options, NULL)) != -1) {
		int id = answer == 'f' && audit ? OPT_FOLLOW : option_of(answer);

		if (answer == ':' || answer == '?' || id < 0) {
			complain_of_option(c, answer, argv);
			continue;
		}
		ctl->option[id] = optarg ? optarg : "";
		if (id == OPT_OUTPUT)
			read_output_option(ctl, c, optarg);
		else if (id == OPT_JSON)
			ctl->format = FORMAT_JSON;
		else if (id == OPT_BUDGET)
			ctl->budgets[ctl->budget_count++] = optarg;
	}
	ctl->dry_run = ctl->option[OPT_DRY_RUN] != NULL;
	ctl->yes = ctl->option[OPT_YES] != NULL;
	ctl->quiet = ctl->option[OPT_QUIET] != NULL;
	ctl->arguments = argv + optind;
	ctl->argument_count = (size_t)(argc - optind);
}

static bool good_name(const char *name)
{
	size_t length = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");

	return length > 0 && length <= K2K_NAME_MAX && !name[length];
}

static bool wants_color(const char *when)
{
	const char *none = getenv("NO_COLOR"), *term = getenv("TERM");

	if (when && strcmp(when, "auto"))
		return !strcmp(when, "always");
	return isatty(STDOUT_FILENO) && !(none && *none) && !(term && !strcmp(term, "dumb"));
}

static bool settle_globals(struct ctl *ctl)
{
	const char *name = ctl->option[OPT_REGISTRY], *color = ctl->option[OPT_COLOR];
	const char *from = name ? "--registry" : "K2K_REGISTRY";

	if (!name)
		name = getenv("K2K_REGISTRY");
	ctl->registry = name && (*name || ctl->option[OPT_REGISTRY]) ? name : "default";
	if (!good_name(ctl->registry)) {
		fail_usage(ctl, "%s '%.100s': not a registry's name; 1 to %d characters of A-Z a-z 0-9 _ -", from,
		           ctl->registry, K2K_NAME_MAX);
		return false;
	}
	if (color && strcmp(color, "auto") && strcmp(color, "always") && strcmp(color, "never")) {
		fail_usage(ctl, "--color '%.100s': it is auto, always or never", color);
		return false;
	}
	ctl->color = wants_color(color);
	ctl->timeout_ns = UINT64_C(5000000000);
	if (ctl->option[OPT_TIMEOUT] && !arg_duration(ctl, "--timeout", ctl->option[OPT_TIMEOUT], &ctl->timeout_ns))
		return false;
	/* 73 years: with any clock's time added it still fits 64 bits */
	if (ctl->timeout_ns > UINT64_C(1) << 61)
		ctl->timeout_ns = UINT64_C(1) << 61;
	return true;
}

/* "set, unset or list": the second words of a command. */
static void second_words(const char *first, char *text, size_t room)
{
	size_t count = 0, at = 0, used = 0;

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		count += !strcmp(commands[i].name, first);
	text[0] = 0;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, first) || used >= room)
			continue;
		used += (size_t)snprintf(text + used, room - used, "%s%s",
		                         !at ? "" : at + 1 == count ? " or " : ", ", commands[i].second);
		at++;
	}
}

/* Takes the command's words from the arguments. Null with the failure told. */
static const struct command *find_command(struct ctl *ctl)
{
	const char *first = ctl->arguments[0], *second = ctl->argument_count > 1 ? ctl->arguments[1] : "";
	bool group = false;
	char words[80];

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const struct command *c = &commands[i];

		if (strcmp(c->name, first))
			continue;
		group = true;
		if (c->second && strcmp(c->second, second))
			continue;
		ctl->arguments += c->second ? 2 : 1;
		ctl->argument_count -= c->second ? 2 : 1;
		return c;
	}
	if (!group) {
		fail_usage(ctl, "'%.100s': unknown command; '" CTL_NAME " --help' lists them", first);
		return NULL;
	}
	second_words(first, words, sizeof(words));
	if (ctl->argument_count < 2)
		fail_usage(ctl, "%s: %s is missing; see '" CTL_NAME " %s --help'", first, words, first);
	else
		fail_usage(ctl, "%s '%.100s': unknown command; it is %s", first, second, words);
	return NULL;
}

static bool fits(struct ctl *ctl, const struct command *c)
{
	const char *second = c->second ? c->second : "", *space = c->second ? " " : "";

	for (int id = 0; id < OPT_END; id++)
		if (ctl->option[id] && !((GLOBAL | c->options) & OPT_BIT(id))) {
			fail_usage(ctl, "%s%s%s: has no option --%s; see '" CTL_NAME " %s%s%s --help'", c->name, space,
			           second, option_name(id), c->name, space, second);
			return false;
		}
	if (ctl->argument_count < c->min || ctl->argument_count > c->max) {
		fail_usage(ctl, "%s%s%s: %s; see '" CTL_NAME " %s%s%s --help'", c->name, space, second,
		           ctl->argument_count < c->min ? "an argument is missing" : "too many arguments", c->name,
		           space, second);
		return false;
	}
	return true;
}

static int run(struct ctl *ctl, const struct complaint *complaint)
{
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
	if (!c || !fits(ctl, c))
		return EXIT_USAGE;
	return c->run(ctl);
}

/*
 * Standard files that are closed would be given to the registry's shared memory,
 * and a table printed into it. Instead there is something that can't be written.
 */
static void hold_standard_files(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 2 ? O_WRONLY : O_RDONLY) != fd)
			_exit(EXIT_SYSTEM);
}

int main(int argc, char **argv)
{
	struct ctl ctl = { .format = FORMAT_TABLE };
	struct complaint complaint = { "" };
	int exit_code;

	hold_standard_files();
	signal(SIGPIPE, SIG_IGN);       /* close_output() tells */
	unsetenv("POSIXLY_CORRECT");    /* options may follow the command */
	ctl.budgets = check_memory(calloc((size_t)argc + 1, sizeof(*ctl.budgets)));
	read_options(&ctl, &complaint, argc, argv);
	exit_code = run(&ctl, &complaint);
	print_json_failure(&ctl);
	for (size_t i = 0; i < ctl.failure_count; i++)
		free(ctl.failures[i].message);
	free(ctl.failures);
	free(ctl.budgets);
	return close_output(exit_code);
}
