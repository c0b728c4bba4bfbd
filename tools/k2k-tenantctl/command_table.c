/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of commands and options; see command_table.h. */
#include "command_table.h"
#include "commands.h"

#include <string.h>

/* The program that writes the manual pages links this table without the commands. */
#ifdef K2K_TABLE_ALONE
#define RUN(function) NULL
#else
#define RUN(function) function
#endif

#define OPTIONS(array) .options = array, .option_count = sizeof(array) / sizeof((array)[0])

const char program_summary[] = "administers tenants and their quotas in a shared registry";
const char program_example[] = "register 42 --rate 5k/s --budget 7=1h";

const struct option_text global_options[] = {
	{ OPT_REGISTRY, 'r', "registry", "NAME", VALUE_REGISTRY, NULL,
	  "the registry; K2K_REGISTRY of the environment or 'default' if not given" },
	{ OPT_OWNER, 0, "owner", "USER", VALUE_USER, NULL,
	  "trust registries of this user too, not only those of root and your own" },
	{ OPT_OUTPUT, 'o', "output", "FORM", VALUE_WORD, "table json csv", "table, json or csv" },
	{ OPT_JSON, 'J', "json", NULL, VALUE_NONE, NULL, "the same as -o json" },
	{ OPT_DRY_RUN, 0, "dry-run", NULL, VALUE_NONE, NULL,
	  "check everything and print what would be done, but change nothing" },
	{ OPT_YES, 'y', "yes", NULL, VALUE_NONE, NULL,
	  "destroy even if brokers are attached; apply --prune without asking" },
	{ OPT_QUIET, 'q', "quiet", NULL, VALUE_NONE, NULL,
	  "print nothing in changes, check, exists and quota; use the exit code" },
	{ OPT_TIMEOUT, 0, "timeout", "DUR", VALUE_DURATION, NULL,
	  "longest wait for other processes, 5s by default; 5, 250ms, 1h30m" },
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
#define LIMITS "Each limit may be 'unlimited'. A limit of 0 is allowed and rejects everything."
const char limits_prose[] = LIMITS;

const struct exit_text exit_texts[] = {
	{ EXIT_DONE, "done" },
	{ EXIT_NO, "the answer is no" },
	{ EXIT_USAGE, "usage" },
	{ EXIT_MISSING, "no such tenant or budget" },
	{ EXIT_EXISTS, "exists already" },
	{ EXIT_FULL, "full" },
	{ EXIT_REGISTRY, "no usable registry" },
	{ EXIT_PERMISSION, "permission denied" },
	{ EXIT_BUSY, "busy or timed out; or no k2k-auditd keeps the audit that is required" },
	{ EXIT_PARTLY, "some of several failed" },
	{ EXIT_SYSTEM, "the system failed (silently if the reader of the output has gone)" },
};
const size_t exit_text_count = sizeof(exit_texts) / sizeof(exit_texts[0]);

const char *const value_texts[VALUE_KINDS] = {
	[VALUE_SIZE] =
		"Sizes are bytes: 512MiB, 2G (= 2GiB), 1GB (= 10^9 bytes); fractions only if "
		"they are exact.",
	[VALUE_RATE] = "Rates are messages per second: 5000/s, 5k/s. Rates per minute, hour or "
		       "day (30/min) are refused: a limit holds in each second, and is not "
		       "converted.",
	[VALUE_DURATION] = "Durations carry a unit: 250ms, 1.5s, 1h30m.",
	[VALUE_TENANT] =
		"A tenant's ID is decimal, or hexadecimal with 0x: 1 to 18446744073709551615.",
	[VALUE_ENGAGEMENT] = "An engagement (ENG) is decimal, or hexadecimal with 0x: 0 to "
			     "18446744073709551615.",
	[VALUE_REGISTRY] = "A registry's NAME has 1 to 64 characters of A-Z a-z 0-9 _ -.",
};

static const struct option_text init_options[] = {
	{ OPT_MAX_TENANTS, 0, "max-tenants", "N", VALUE_NUMBER, NULL, "4096 by default" },
	{ OPT_MAX_ENGAGEMENTS, 0, "max-engagements", "N", VALUE_NUMBER, NULL,
	  "65536 by default: (tenant, engagement) pairs to which GPU time is charged" },
	{ OPT_MAX_LEASES, 0, "max-leases", "N", VALUE_NUMBER, NULL,
	  "4 x tenants by default: (tenant, broker) pairs that hold kernels or memory" },
	{ OPT_MAX_BUDGETS, 0, "max-budgets", "N", VALUE_NUMBER, NULL, "16384 by default" },
	{ OPT_AUDIT_EVENTS, 0, "audit-events", "N", VALUE_NUMBER, NULL,
	  "256 by default: events in each broker's audit ring; rounded up to a power of two" },
	{ OPT_MODE, 0, "mode", "MODE", VALUE_NUMBER, NULL,
	  "0660 by default: decides who may be a broker; group and others never get write access "
	  "to the definitions" },
	{ OPT_GROUP, 0, "group", "GROUP", VALUE_GROUP, NULL, "group of the registry's files" },
	{ OPT_REQUIRE_AUDIT, 0, "require-audit", NULL, VALUE_NONE, NULL,
	  "refuse changes of tenants (exit code 8) unless a k2k-auditd keeps up; messages, "
	  "repair and destroy are never refused" },
	{ OPT_IF_MISSING, 0, "if-missing", NULL, VALUE_NONE, NULL,
	  "accept a registry that exists already; differences from what was asked for are "
	  "reported" },
	{ OPT_PLAN, 0, "plan", NULL, VALUE_NONE, NULL,
	  "only print how many bytes it needs, and how many are free" },
};

/* clang-format off */
#define QUOTA_OPTIONS                                                                           \
	{ OPT_PRESET, 0, "preset", "standard|unlimited", VALUE_WORD, "standard unlimited",      \
	  "standard: 100000/s, 16 kernels, 2GiB, no budget" },                                  \
	{ OPT_RATE, 0, "rate", "R", VALUE_RATE, "unlimited",                                    \
	  "messages per second: 5000/s, 5k/s" },                                                \
	{ OPT_KERNELS, 0, "kernels", "N", VALUE_NUMBER, "unlimited",                            \
	  "kernels at the same time" },                                                         \
	{ OPT_GPU_MEMORY, 0, "gpu-memory", "SIZE", VALUE_SIZE, "unlimited",                     \
	  "512MiB, 2G (= 2GiB), 1GB (= 10^9 bytes)" },                                          \
	{ OPT_BUDGET, 0, "budget", "ENG=DUR", VALUE_DURATION, NULL,                             \
	  "GPU time for an engagement: 7=1h30m; may be repeated" }

/* What a listing takes; the columns are those of the command's table. */
#define COLUMN_OPTIONS                                                                          \
	{ OPT_COLUMNS, 0, "columns", "COLUMN,...", VALUE_COLUMN, NULL,                          \
	  "print these columns in tables and csv; JSON has all" },                              \
	{ OPT_NO_HEADERS, 0, "no-headers", NULL, VALUE_NONE, NULL,                              \
	  "leave out the line with the columns' names" }
#define SORT_OPTION                                                                             \
	{ OPT_SORT, 0, "sort", "COLUMN", VALUE_COLUMN, NULL,                                    \
	  "sort by this column, rising; -COLUMN sorts falling" }
#define FILTER_OPTION                                                                           \
	{ OPT_FILTER, 0, "filter", "COLUMN>N", VALUE_TEXT, NULL,                                \
	  "print only rows for which this is true, with < <= = != >= or >; N is written with "  \
	  "the column's unit, or as 'unlimited'; may be repeated: then all must be true" }

#define DOCUMENT_FILE                                                                           \
	{ OPT_FILE, 'f', "file", "FILE", VALUE_FILE, NULL,                                      \
	  "YAML or JSON; - is standard input; several files are one document" }

#define TENANT     { VALUE_TENANT, NULL }
#define ENGAGEMENT { VALUE_ENGAGEMENT, NULL }
#define A_FILE     { VALUE_FILE, NULL }
/* clang-format on */

static const struct option_text register_options[] = {
	QUOTA_OPTIONS,
	{ OPT_IF_MISSING, 0, "if-missing", NULL, VALUE_NONE, NULL,
	  "accept a tenant that is registered already; differences from what was asked for are "
	  "reported" },
};
static const struct option_text update_options[] = {
	QUOTA_OPTIONS,
	{ OPT_IF_MISSING, 0, "if-missing", NULL, VALUE_NONE, NULL,
	  "register the tenant if it is not registered" },
};

static const struct option_text list_options[] = {
	SORT_OPTION,
	FILTER_OPTION,
	COLUMN_OPTIONS,
	{ OPT_WATCH, 'w', "watch", NULL, VALUE_NONE, NULL, "list again each second until stopped" },
};
static const struct option_text filter_options[] = { SORT_OPTION, FILTER_OPTION, COLUMN_OPTIONS };
static const struct option_text sort_options[] = { SORT_OPTION, COLUMN_OPTIONS };
static const struct option_text metrics_options[] = {
	{ OPT_MAX_SERIES, 0, "max-series", "N", VALUE_NUMBER, NULL,
	  "the busiest N tenants (and budgets) have series of their own, 1000 by default; the "
	  "rest is summed as tenant=\"other\"" },
};
static const struct option_text top_options[] = {
	{ OPT_ONCE, 0, "once", NULL, VALUE_NONE, NULL,
	  "print one interval as text; so does output into a pipe, and -o json or csv, which "
	  "print the exact numbers of the interval" },
	SORT_OPTION,
	COLUMN_OPTIONS,
};
static const struct option_text usage_options[] = {
	{ OPT_ENGAGEMENT, 0, "engagement", "ENG", VALUE_ENGAGEMENT, NULL,
	  "one engagement over all tenants" },
	SORT_OPTION,
	COLUMN_OPTIONS,
};
static const struct option_text quota_options[] = {
	{ OPT_ORG, 0, "org", "O", VALUE_NUMBER, NULL,
	  "organisation, decimal or 0x...; 0 by default" },
	{ OPT_ENGAGEMENT, 0, "engagement", "E", VALUE_ENGAGEMENT, NULL,
	  "engagement; 0 by default" },
	{ OPT_COUNT, 0, "count", "N", VALUE_NUMBER, NULL,
	  "so many messages at once; 1 by default" },
};
static const struct option_text apply_options[] = {
	DOCUMENT_FILE,
	{ OPT_PRUNE, 0, "prune", NULL, VALUE_NONE, NULL,
	  "deregister all tenants that the document does not name; asks on a terminal, and needs "
	  "-y elsewhere" },
	{ OPT_MAX_PRUNE, 0, "max-prune", "SHARE", VALUE_TEXT, NULL,
	  "refuse to deregister more than this share of all tenants, 30% by default, or this "
	  "number" },
};
static const struct option_text diff_options[] = {
	DOCUMENT_FILE,
	{ OPT_PRUNE, 0, "prune", NULL, VALUE_NONE, NULL,
	  "also report the tenants that the document does not name" },
};
static const struct option_text tail_options[] = {
	{ OPT_FOLLOW, 'f', "follow", NULL, VALUE_NONE, NULL,
	  "do not end, but wait for new events" },
	{ OPT_SINCE, 0, "since", "RING:SEQ", VALUE_TEXT, NULL,
	  "begin with this event, named as in the column EVENT: 3:17, admin:5, s3:2" },
	{ OPT_SINCE, 0, "since", "SEQ", VALUE_TEXT, NULL, "begin with event SEQ of each ring" },
	{ OPT_SINCE, 0, "since", "TIME", VALUE_DURATION, NULL,
	  "leave out older events; 10m, 1h30m ago, 0s for new events only, or a date: "
	  "2026-11-29T18:00:00Z, 2026-11-29 18:00, in UTC unless it ends like +01:00" },
	{ OPT_UNTIL, 0, "until", "TIME", VALUE_DURATION, NULL,
	  "leave out newer events; TIME as in --since" },
	{ OPT_LINES, 'n', "lines", "N", VALUE_NUMBER, NULL, "only the last N of the events found" },
	{ OPT_TENANT, 0, "tenant", "ID", VALUE_TENANT, NULL,
	  "only events about the tenant, as source or destination" },
	{ OPT_TYPE, 0, "type", "T", VALUE_WORD,
	  "cross_tenant rate budget kernels gpu_memory unknown_tenant register update deregister "
	  "budget_change broker_dead created destroyed repair final_totals SecurityViolation "
	  "ResourceLimitExceeded AuthorizationCheck ConfigurationChange",
	  "only this kind (rate, register, ...) or type (SecurityViolation, ...)" },
	COLUMN_OPTIONS,
};
static const struct option_text verify_options[] = {
	{ OPT_KEY, 0, "key", "FILE", VALUE_FILE, NULL,
	  "the key that the log was written with; only its owner may be able to read it" },
	{ OPT_HEAD, 0, "head", "FILE", VALUE_FILE, NULL,
	  "the file that names the last line; by default FILE.head of the newest FILE" },
};

const struct command commands[] = {
	{
		.name = "init",
		.run = RUN(cmd_init),
		.synopsis = "init [options]",
		.summary = "create the registry",
		OPTIONS(init_options),
		.prose = "All its memory is allocated at once and never grows.\n",
		.example = "init --max-tenants 100000 --group gpu",
	},
	{
		.name = "info",
		.run = RUN(cmd_info),
		.synopsis = "info",
		.summary = "show what the registry is, and how full its tables are",
		.example = "info -J",
	},
	{
		.name = "check",
		.run = RUN(cmd_check),
		.synopsis = "check",
		.summary = "verify the registry's invariants; changes nothing",
		.exits = "1 if something was found",
		.example = "check -q && echo clean",
	},
	{
		.name = "repair",
		.run = RUN(cmd_repair),
		.synopsis = "repair",
		.summary = "finish what killed processes left undone",
		.prose = "Other processes never wait for it: every change first repairs what it "
			 "needs.\n",
		.example = "repair",
	},
	{
		.name = "destroy",
		.run = RUN(cmd_destroy),
		.synopsis = "destroy [-y]",
		.summary = "remove the registry",
		.prose = "Asks on a terminal. Elsewhere it needs -y if brokers are attached; "
			 "their next call fails then.\n",
		.exits = "8 if brokers are attached and -y is missing",
		.example = "destroy -y",
	},
	{
		.name = "register",
		.run = RUN(cmd_register),
		.min = 1,
		.max = MANY,
		.operands = { { VALUE_NUMBER, NULL } },
		.synopsis = "register ID... [options]",
		.summary = "register tenants",
		OPTIONS(register_options),
		.prose = LIMITS "\n",
		.example = "register 42 --rate 5k/s --kernels 4 --gpu-memory 2G --budget 7=1h",
	},
	{
		.name = "update",
		.run = RUN(cmd_update),
		.min = 1,
		.max = MANY,
		.operands = { TENANT },
		.synopsis = "update ID... [options]",
		.summary = "change the limits that are given, and keep all usage",
		OPTIONS(update_options),
		.prose = LIMITS
		" ENG=unlimited removes a budget. --preset sets rate, kernels and memory, but no "
		"budget.\n",
		.example = "update 42 --rate unlimited --budget 7=unlimited",
	},
	{
		.name = "deregister",
		.run = RUN(cmd_deregister),
		.min = 1,
		.max = MANY,
		.operands = { TENANT },
		.synopsis = "deregister ID...",
		.summary = "remove tenants, and print their final totals",
		.prose = "Waits up to --timeout for calls in progress; if they last longer, the "
			 "totals are marked as not final.\n",
		.example = "deregister 42 43 --timeout 1s",
	},
	{
		.name = "list",
		.run = RUN(cmd_list),
		.synopsis = "list [options]",
		.summary = "list all tenants",
		OPTIONS(list_options),
		.table = &tenants_table,
		.example = "list --filter 'rejected>0' --sort -rejected --columns id,rate,rejected",
	},
	{
		.name = "show",
		.run = RUN(cmd_show),
		.min = 1,
		.max = MANY,
		.operands = { TENANT },
		.synopsis = "show ID...",
		.summary = "show everything about these tenants",
		.example = "show 42 -J",
	},
	{
		.name = "exists",
		.run = RUN(cmd_exists),
		.min = 1,
		.max = 1,
		.operands = { TENANT },
		.synopsis = "exists ID",
		.summary = "test whether a tenant is registered: exit code 0, or 1",
		.example = "exists 42 -q || k2k-tenantctl register 42",
	},
	{
		.name = "metrics",
		.run = RUN(cmd_metrics),
		.synopsis = "metrics [--max-series N]",
		.summary = "print all counters as text for Prometheus",
		OPTIONS(metrics_options),
		.prose = "To be scraped over HTTP, run k2k-exporter: it has the same series, and "
			 "its sums do not fall when a tenant is deregistered.\n",
		.example = "metrics --max-series 100",
	},
	{
		.name = "stat",
		.run = RUN(cmd_stat),
		.max = 2,
		.operands = { { VALUE_DURATION, NULL }, { VALUE_NUMBER, NULL } },
		.synopsis = "stat [INTERVAL [COUNT]]",
		.summary = "show what happens in the whole registry, one line per interval",
		.prose = "INTERVAL is like 1, 1s or 250ms. Without COUNT it runs until it is "
			 "stopped; without both it prints one line about one second. The table "
			 "shows rates; JSON (one object per line) and csv show the exact numbers "
			 "of each interval. What a tenant counts just before it is deregistered "
			 "is missing.\n",
		.example = "stat 2 5",
	},
	{
		.name = "top",
		.run = RUN(cmd_top),
		.max = 1,
		.operands = { { VALUE_DURATION, NULL } },
		.synopsis = "top [--once] [INTERVAL]",
		.summary = "watch live rates, use of limits, and brokers, on a terminal",
		OPTIONS(top_options),
		.table = &rates_table,
		.prose = "INTERVAL is like 2, 2s or 250ms, 1s by default; a large registry is "
			 "read less often. --sort, --columns and --no-headers are for --once. "
			 "Keys: h lists them, q quits.\n"
			 "Signals end it as they end any command, and Ctrl-Z stops it; both "
			 "restore the terminal.\n",
		.example = "top 2",
	},
	{
		.name = "budget",
		.second = "set",
		.run = RUN(cmd_budget_set),
		.min = 3,
		.max = 3,
		.operands = { TENANT, ENGAGEMENT, { VALUE_DURATION, "unlimited" } },
		.synopsis = "budget set ID ENG DUR",
		.summary = "set the GPU time that a tenant has for an engagement",
		.prose = "Usage is kept. 'unlimited' removes the budget, if there is one.\n",
		.example = "budget set 42 7 1h30m",
	},
	{
		.name = "budget",
		.second = "unset",
		.run = RUN(cmd_budget_unset),
		.min = 2,
		.max = 2,
		.operands = { TENANT, ENGAGEMENT },
		.synopsis = "budget unset ID ENG",
		.summary = "remove a budget",
		.prose = "Usage is kept.\n",
		.example = "budget unset 42 7",
	},
	{
		.name = "budget",
		.second = "list",
		.run = RUN(cmd_budget_list),
		.max = 1,
		.operands = { TENANT },
		.synopsis = "budget list [ID] [options]",
		.summary = "list budgets, and how much of each is used",
		OPTIONS(filter_options),
		.table = &budgets_table,
		.example = "budget list 42",
	},
	{
		.name = "usage",
		.run = RUN(cmd_usage),
		.max = 2,
		.operands = { TENANT, ENGAGEMENT },
		.synopsis = "usage [ID [ENG]] | usage --engagement ENG",
		.summary = "show GPU time by tenant and engagement",
		OPTIONS(usage_options),
		.table = &usage_table,
		.prose = "An engagement that a tenant never used shows 0.\n",
		.example = "usage 42 7",
	},
	{
		.name = "quota",
		.run = RUN(cmd_quota),
		.min = 1,
		.max = 1,
		.operands = { TENANT },
		.synopsis = "quota ID [options]",
		.summary = "ask whether a message would be admitted now; consumes nothing",
		OPTIONS(quota_options),
		.prose = "retry_after_ns 18446744073709551615 means that waiting alone does not "
			 "help.\n",
		.exits = "1: no, with the limit that is reached",
		.example = "quota 42 --engagement 7 --count 100",
	},
	{
		.name = "explain",
		.run = RUN(cmd_explain),
		.min = 1,
		.max = 1,
		.operands = { TENANT },
		.synopsis = "explain ID [options]",
		.summary = "explain which limit refuses a tenant, since when, by which broker, "
			   "and what to do",
		OPTIONS(sort_options),
		.table = &limits_table,
		.prose = "REFUSES: whether the smallest next request is refused. REJECTED, "
			 "SINCE, LAST and BY-BROKER come from the audit trail, as far back as "
			 "its rings reach.\n",
		.example = "explain 42",
	},
	{
		.name = "registries",
		.run = RUN(cmd_registries),
		.synopsis = "registries [options]",
		.summary = "list the registries of this host",
		OPTIONS(filter_options),
		.table = &registries_table,
		.prose = "A registry that belongs neither to you nor to root is read only with "
			 "--owner. A registry that can't be read has - in CREATED and other "
			 "columns.\n",
		.example = "registries -J",
	},
	{
		.name = "brokers",
		.run = RUN(cmd_brokers),
		.synopsis = "brokers [options]",
		.summary = "list who is attached, and who holds up a grace period",
		OPTIONS(filter_options),
		.table = &brokers_table,
		.prose = "GRACE-BEHIND: how many grace periods a broker has not answered yet. "
			 "While it is above 0, the memory of deregistered tenants can't be "
			 "reused.\n",
		.example = "brokers",
	},
	{
		.name = "leases",
		.run = RUN(cmd_leases),
		.max = 1,
		.operands = { TENANT },
		.synopsis = "leases [ID] [options]",
		.summary = "list which brokers hold a tenant's kernels and GPU memory",
		OPTIONS(filter_options),
		.table = &leases_table,
		.example = "leases 42",
	},
	{
		.name = "apply",
		.run = RUN(cmd_apply),
		.synopsis = "apply -f FILE... [--prune]",
		.summary = "make the tenants what a document says",
		OPTIONS(apply_options),
		.prose = "Without --prune, tenants that the document does not name stay "
			 "unchanged. A limit that an entry leaves out takes the value of its "
			 "preset, 'standard' unless it names one; budgets that it leaves out are "
			 "removed.\n"
			 "    version: 1\n"
			 "    tenants:\n"
			 "      - {id: 42, rate: 5k/s, kernels: 4, gpu_memory: 2GiB, budgets: {7: "
			 "1h}}\n"
			 "      - {id: 43, preset: unlimited}\n"
			 "    end: true\n"
			 "The whole document is checked before the first change. Usage is kept. "
			 "--prune accepts only a document that ends with 'end: true', as an "
			 "export does: from a truncated file it would remove the missing "
			 "tenants.\n",
		.example = "apply -f tenants.yaml --prune -y",
	},
	{
		.name = "diff",
		.run = RUN(cmd_diff),
		.synopsis = "diff -f FILE... [--prune]",
		.summary = "show what 'apply' would change",
		OPTIONS(diff_options),
		.exits = "1 if something differs",
		.example = "diff -f tenants.yaml",
	},
	{
		.name = "export",
		.run = RUN(cmd_export),
		.synopsis = "export",
		.summary = "write all tenants as a document for 'apply': YAML, or JSON with -J",
		.example = "export > tenants.yaml",
	},
	{
		.name = "save",
		.run = RUN(cmd_save),
		.min = 1,
		.max = 1,
		.operands = { A_FILE },
		.synopsis = "save FILE",
		.summary = "write tenants with generations, totals and GPU time into a file",
		.prose = "The file is replaced as a whole or not at all, and keeps its mode and "
			 "owner; a new one is readable by its owner only. Symbolic links are "
			 "followed. A device, a FIFO, and a file that is a mount point are "
			 "written in place. FILE - is standard output.\n"
			 "The file lacks what brokers count after it was written: stop them "
			 "first. It has no leases either, since they belong to processes.\n",
		.example = "save /var/lib/k2k/default.json",
	},
	{
		.name = "load",
		.run = RUN(cmd_load),
		.min = 1,
		.max = 1,
		.operands = { A_FILE },
		.synopsis = "load FILE",
		.summary = "restore what 'save' wrote into a new registry that is large enough",
		.prose = "It is refused if the registry has a tenant that the file does not "
			 "have, or if something does not fit. A load that was killed can be "
			 "repeated. FILE - is standard input.\n",
		.example = "load /var/lib/k2k/default.json",
	},
	{
		.name = "audit",
		.second = "tail",
		.run = RUN(cmd_audit_tail),
		.synopsis = "audit tail [-f] [options]",
		.summary = "show who was refused what, and who changed what: events of all "
			   "processes by time",
		OPTIONS(tail_options),
		.table = &events_table,
		.json_in_pipes = true,
		.prose = "Prints a table on a terminal, else one JSON object per line, unless -o "
			 "says otherwise. Each broker has a ring for rejections and a ring for "
			 "security events; administrators share one. New events overwrite the "
			 "oldest ones: a line 'lost' reports what is missing, whatever was asked "
			 "for.\n"
			 "A time leaves out an event only if both the time of day and the "
			 "monotonic clock agree, so setting the clock hides nothing. ACTOR is the "
			 "program that wrote the event, which JSON calls 'comm'; the JSON member "
			 "'actor' depends only on the kind.\n"
			 "With -f, a rejection is printed when its second is over, with the "
			 "number of its repeats. Without -f, rejections of the current second are "
			 "included with the number so far ('+', \"open\":true).\n",
		.example = "audit tail -f --type SecurityViolation -J",
	},
	{
		.name = "audit",
		.second = "stats",
		.run = RUN(cmd_audit_stats),
		.synopsis = "audit stats [options]",
		.summary =
			"count events by kind, and show who keeps them and what is missing there",
		OPTIONS(filter_options),
		.table = &kinds_table,
		.prose = "For each kind of event: how many were written, how many repeats were "
			 "counted into them, and how many writers gave up because others were in "
			 "the way. For each follower (k2k-auditd): how many events it has not "
			 "stored yet (BEHIND), how many of these are overwritten by now, how "
			 "many it found missing, and the last of these losses by ring, numbers "
			 "and time. Losses are also reported on standard error.\n",
		.example = "audit stats -J",
	},
	{
		.name = "audit",
		.second = "verify",
		.run = RUN(cmd_audit_verify),
		.min = 1,
		.max = MANY,
		.operands = { A_FILE },
		.synopsis = "audit verify FILE... [--key FILE]",
		.summary = "verify that a log of k2k-auditd is as it was written",
		OPTIONS(verify_options),
		.prose = "Names the first line that was changed, removed, inserted or moved. "
			 "FILE: the log and its rotated files, in any order.\n",
		.exits = "1 if something was found, or the head is missing",
		.example = "audit verify audit.log audit.log.1 --key audit.key",
	},
	{
		.name = "completion",
		.run = RUN(cmd_completion),
		.min = 1,
		.max = MANY,
		.operands = { { VALUE_WORD, "bash zsh fish" }, { VALUE_NONE, NULL } },
		.synopsis = "completion bash|zsh|fish",
		.summary = "print a script with which the shell completes this program's words",
		.prose = "    bash: source <(k2k-tenantctl completion bash)\n"
			 "    zsh:  source <(k2k-tenantctl completion zsh)\n"
			 "    fish: k2k-tenantctl completion fish | source\n"
			 "The scripts call 'completion words -- WORD...', which prints what the "
			 "last WORD may become: one candidate per line, followed by a tab and a "
			 "description; the line ':files' stands for file names. It reads ids "
			 "from the registry that -r or K2K_REGISTRY names, and never waits.\n",
		.example = "completion bash",
	},
	{
		.name = "help",
		.run = RUN(cmd_help),
		.max = 2,
		.operands = { { VALUE_COMMAND, NULL } },
		.synopsis = "help [COMMAND]",
		.summary = "show the help of a command, or of all",
		.example = "help apply",
	},
	{
		.name = "version",
		.run = RUN(cmd_version),
		.synopsis = "version",
		.summary = "print the versions of the program and of its library",
		.example = "version",
	},
};
const size_t command_count = sizeof(commands) / sizeof(commands[0]);

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
