/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of commands and options of k2k-fleetctl; see command_table.h. */
#include "k2k-tenantctl/command_table.h"
#include "k2k-tenantctl/commands.h"
#include "fleet.h"

#define OPTIONS(array) .options = array, .option_count = sizeof(array) / sizeof((array)[0])

const char program_summary[] = "administers the tenants of many hosts, in a PostgreSQL database";
const char program_example[] = "-d service=fleet apply -f tenants.yaml";

const struct option_text global_options[] = {
	{ OPT_DATABASE, 'd', "database", "CONNINFO", VALUE_TEXT, NULL,
	  "the database, as libpq has it: 'host=db dbname=fleet'; K2K_FLEET of the environment, or "
	  "libpq's own variables if not given; no password" },
	{ OPT_OUTPUT, 'o', "output", "FORM", VALUE_WORD, "table json csv", "table, json or csv" },
	{ OPT_JSON, 'J', "json", NULL, VALUE_NONE, NULL, "the same as -o json" },
	{ OPT_DRY_RUN, 0, "dry-run", NULL, VALUE_NONE, NULL,
	  "check everything and print what would be done, but change nothing" },
	{ OPT_YES, 'y', "yes", NULL, VALUE_NONE, NULL, "apply --prune and forget without asking" },
	{ OPT_QUIET, 'q', "quiet", NULL, VALUE_NONE, NULL,
	  "print nothing in changes; use the exit code" },
	{ OPT_TIMEOUT, 0, "timeout", "DUR", VALUE_DURATION, NULL,
	  "longest wait for the database, 5s by default; 5, 250ms, 1h30m" },
	{ OPT_COLOR, 0, "color", "WHEN", VALUE_WORD, "auto always never",
	  "auto, always or never; NO_COLOR is honoured" },
	{ OPT_HELP, 'h', "help", NULL, VALUE_NONE, NULL, "print help, also for a command" },
	{ OPT_VERSION, 'V', "version", NULL, VALUE_NONE, NULL,
	  "the same as the command 'version'" },
};
const size_t global_option_count = sizeof(global_options) / sizeof(global_options[0]);

const char options_prose[] =
	"Options may be anywhere on the line, and their names must be complete; -- ends them. "
	"Ids are decimal or 0x...";
const char limits_prose[] = "";

const struct exit_text exit_texts[] = {
	{ EXIT_DONE, "done" },
	{ EXIT_NO, "the answer is no" },
	{ EXIT_USAGE, "usage" },
	{ EXIT_MISSING, "no such tenant" },
	{ EXIT_EXISTS, "exists already" },
	{ EXIT_FULL, "the database's disk is full" },
	{ EXIT_REGISTRY, "no usable fleet in the database" },
	{ EXIT_PERMISSION, "permission denied" },
	{ EXIT_BUSY, "busy or timed out" },
	{ EXIT_SYSTEM, "the system failed" },
};
const size_t exit_text_count = sizeof(exit_texts) / sizeof(exit_texts[0]);
const char *const value_texts[VALUE_KINDS] = { NULL };

/* clang-format off */
#define COLUMN_OPTIONS                                                                          \
	{ OPT_COLUMNS, 0, "columns", "COLUMN,...", VALUE_COLUMN, NULL,                          \
	  "print these columns in tables and csv; JSON has all" },                              \
	{ OPT_NO_HEADERS, 0, "no-headers", NULL, VALUE_NONE, NULL,                              \
	  "leave out the line with the columns' names" },                                       \
	{ OPT_SORT, 0, "sort", "COLUMN", VALUE_COLUMN, NULL,                                    \
	  "sort by this column, rising; -COLUMN sorts falling" },                               \
	{ OPT_FILTER, 0, "filter", "COLUMN>N", VALUE_TEXT, NULL,                                \
	  "print only rows for which this is true, with < <= = != >= or >; may be repeated" }
#define DOCUMENT_OPTIONS                                                                        \
	{ OPT_FILE, 'f', "file", "FILE", VALUE_FILE, NULL,                                      \
	  "YAML or JSON; - is standard input; several files are one document" },                \
	{ OPT_PRUNE, 0, "prune", NULL, VALUE_NONE, NULL,                                        \
	  "remove tenants that the document does not name" },                                   \
	{ OPT_MAX_PRUNE, 0, "max-prune", "SHARE", VALUE_TEXT, NULL,                             \
	  "refuse to remove more; 30% by default, or a number" }
/* clang-format on */

static const struct option_text document_options[] = { DOCUMENT_OPTIONS };
static const struct option_text listing_options[] = { COLUMN_OPTIONS };
static const struct option_text budgets_options[] = {
	COLUMN_OPTIONS,
	{ OPT_HOSTS, 0, "hosts", NULL, VALUE_NONE, NULL, "a row for each host and run" },
};
static const struct option_text join_options[] = {
	{ OPT_ROLE, 0, "role", "ROLE", VALUE_FLEET_ROLE, NULL,
	  "the database role that the host's agent connects as; HOST if not given" },
};

const struct command commands[] = {
	{
		.name = "init",
		.run = cmd_fleet_init,
		.synopsis = "init",
		.summary = "make the tables of a fleet in the database, or upgrade them",
		.prose = "It takes a superuser, whom the functions of the schema then belong to. "
			 "It makes the roles k2k_fleet_agent, k2k_fleet_admin and "
			 "k2k_fleet_reader; grant them to the roles that people and agents "
			 "connect as.\n",
		.example = "init",
	},
	{
		.name = "apply",
		.run = cmd_fleet_apply,
		.synopsis = "apply -f FILE... [--prune] [options]",
		.summary = "make the definitions of all hosts what a document says",
		OPTIONS(document_options),
		.prose = "The document is that of 'k2k-tenantctl apply'. All of it is committed, "
			 "or nothing. Hosts take it over by themselves: 'hosts' shows how far "
			 "they are, and 'problems' what does not fit on one of them. A tenant "
			 "that is removed is suspended on each host, reported, and deregistered.\n",
		.example = "apply -f tenants.yaml",
	},
	{
		.name = "diff",
		.run = cmd_fleet_diff,
		.synopsis = "diff -f FILE... [--prune]",
		.summary = "show what 'apply' would change",
		OPTIONS(document_options),
		.exits = "1 if something differs",
		.example = "diff -f tenants.yaml",
	},
	{
		.name = "export",
		.run = cmd_fleet_export,
		.synopsis = "export",
		.summary = "write all definitions as a document: YAML, or JSON with -J",
		.example = "export > tenants.yaml",
	},
	{
		.name = "list",
		.run = cmd_fleet_list,
		.synopsis = "list [options]",
		.summary = "list the definitions; PROBLEMS: on how many hosts it is not in force",
		OPTIONS(listing_options),
		.table = &definitions_table,
		.example = "list --sort -version",
	},
	{
		.name = "hosts",
		.run = cmd_fleet_hosts,
		.synopsis = "hosts [options]",
		.summary = "list the hosts, how far they are, and when they were heard last",
		OPTIONS(listing_options),
		.table = &hosts_table,
		.prose = "VERSION: all definitions up to this one are in force there, but for "
			 "the host's problems. BEHIND: how many changes are missing.\n",
		.example = "hosts --filter 'behind>0'",
	},
	{
		.name = "problems",
		.run = cmd_fleet_problems,
		.synopsis = "problems [options]",
		.summary = "list the definitions that are not in force on a host, and why",
		OPTIONS(listing_options),
		.table = &problems_table,
		.example = "problems -J",
	},
	{
		.name = "join",
		.run = cmd_fleet_join,
		.min = 1,
		.max = 1,
		.operands = { { VALUE_FLEET_HOST, NULL } },
		.synopsis = "join HOST [--role ROLE]",
		.summary = "add a host; only this role may speak for it",
		OPTIONS(join_options),
		.prose = "The role must exist and be a member of k2k_fleet_agent. Give each host "
			 "a role of its own: then a host can't report for another one. If the "
			 "host exists, the role is replaced, and its agent has to connect again.\n",
		.example = "join gpu-17 --role agent_gpu_17",
	},
	{
		.name = "usage",
		.run = cmd_fleet_usage,
		.max = 1,
		.operands = { { VALUE_FLEET_TENANT, NULL } },
		.synopsis = "usage [ID] [options]",
		.summary = "show the GPU time of the fleet by tenant and engagement",
		OPTIONS(listing_options),
		.table = &bill_table,
		.prose = "The sums of what the hosts have reported. SINCE: the version that made "
			 "the tenant; one that is removed and made again is another one. "
			 "OPEN-ENDED: so many of the sums may lack what their host booked after "
			 "its last report, since its registry is gone. The views k2k_fleet.bill "
			 "and k2k_fleet.bill_tenant have the same and more.\n",
		.example = "usage 42 -J",
	},
	{
		.name = "budgets",
		.run = cmd_fleet_budgets,
		.max = 1,
		.operands = { { VALUE_FLEET_TENANT, NULL } },
		.synopsis = "budgets [ID] [--hosts] [options]",
		.summary = "show the budgets over the fleet, and what hosts have drawn of them",
		OPTIONS(budgets_options),
		.table = &fleet_budgets_table,
		.prose = "A budget like '100h/fleet' in a document is one for all hosts together. "
			 "Hosts draw chunks of it. DRAWN: what they have now; USED: what they have "
			 "reported. CHARGED: for each chunk the larger of both. FREE may still be "
			 "drawn. OVERDRAWN: by so much CHARGED is above the budget. WRITTEN-OFF: "
			 "see 'forget'.\n",
		.example = "budgets 42 --hosts",
	},
	{
		.name = "shares",
		.run = cmd_fleet_shares,
		.max = 1,
		.operands = { { VALUE_FLEET_TENANT, NULL } },
		.synopsis = "shares [ID] [--hosts] [options]",
		.summary = "show the limits over the fleet, and which shares of them hosts have",
		OPTIONS(budgets_options),
		.table = &fleet_limits_table,
		.prose =
			"A limit like '5k/s/fleet' or '64/fleet' in a document is one for all "
			"hosts together. GRANTED: the sum of the hosts' shares, and what they "
			"hold beyond them. EXCESS: by so much GRANTED is above the limit, since "
			"it was lowered, or hosts held more before. WRITTEN-OFF: shares of hosts "
			"that were forgotten. BOUND: once EXCESS is 0, no more is in force on all "
			"hosts together: the limit, of a rate with ALONE of each host, which it "
			"has while its lease is not renewed; else with WRITTEN-OFF. ANY-SECOND: no "
			"second sees more messages than 2 x BOUND, since the windows of hosts "
			"are not aligned. --hosts: the shares, and the age of the leases.\n",
		.example = "shares 42 --hosts",
	},
	{
		.name = "forget",
		.run = cmd_fleet_forget,
		.min = 1,
		.max = 1,
		.operands = { { VALUE_FLEET_HOST, NULL } },
		.synopsis = "forget HOST",
		.summary = "write off what a host has drawn and not reported; others may draw it",
		.prose =
			"Others may have its shares of limits, too: what is held of a limit may "
			"then exceed it by them, if the host still runs. "
			"For a host that does not come back: it concerns the runs that have ended, "
			"and the present one if the host was not heard for 30 seconds. What was "
			"reported stays charged. The use of a budget may then exceed it by what is "
			"printed as WRITTEN-OFF. If the host comes back, what it has used is "
			"charged, and it returns the rest.\n",
		.example = "forget gpu-17 -y",
	},
	{
		.name = "completion",
		.run = cmd_completion,
		.min = 1,
		.max = MANY,
		.operands = { { VALUE_WORD, "bash zsh fish" }, { VALUE_NONE, NULL } },
		.synopsis = "completion bash|zsh|fish",
		.summary = "print a script with which the shell completes this program's words",
		.prose = "    bash: source <(k2k-fleetctl completion bash)\n"
			 "    zsh:  source <(k2k-fleetctl completion zsh)\n"
			 "    fish: k2k-fleetctl completion fish | source\n"
			 "The scripts call 'completion words -- WORD...', which prints what the "
			 "last WORD may become: one candidate per line, followed by a tab and a "
			 "description; the line ':files' stands for file names. It reads tenants, "
			 "hosts and roles from the database that -d or K2K_FLEET names, and waits "
			 "a second at most.\n",
		.example = "completion bash",
	},
	{
		.name = "help",
		.run = cmd_help,
		.max = 2,
		.operands = { { VALUE_COMMAND, NULL } },
		.synopsis = "help [COMMAND]",
		.summary = "show the help of a command, or of all",
		.example = "help apply",
	},
	{
		.name = "version",
		.run = cmd_version,
		.synopsis = "version",
		.summary = "print the versions of the program and of its library",
		.example = "version",
	},
};
const size_t command_count = sizeof(commands) / sizeof(commands[0]);
