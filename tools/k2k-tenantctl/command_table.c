/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of commands and options; see command_table.h. */
#include "command_table.h"
#include "commands.h"

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

static const struct option_text init_options[] = {
	{ OPT_MAX_TENANTS, 0, "max-tenants", "N", VALUE_NUMBER, NULL, "4096 by default" },
	{ OPT_MAX_ENGAGEMENTS, 0, "max-engagements", "N", VALUE_NUMBER, NULL,
	  "65536 by default: (tenant, engagement) pairs to which GPU time is charged" },
	{ OPT_MAX_LEASES, 0, "max-leases", "N", VALUE_NUMBER, NULL,
	  "4 x tenants by default: (tenant, broker) pairs that hold kernels or memory, and "
	  "(engagement, broker) pairs that have reserved GPU time" },
	{ OPT_MAX_BUDGETS, 0, "max-budgets", "N", VALUE_NUMBER, NULL, "16384 by default" },
	{ OPT_AUDIT_EVENTS, 0, "audit-events", "N", VALUE_NUMBER, NULL,
	  "256 by default, and fewer for more than 64 brokers: events in each audit ring; rounded "
	  "up to a power of two" },
	{ OPT_MAX_BROKERS, 0, "max-brokers", "N", VALUE_NUMBER, NULL,
	  "64 by default, at most 1024: brokers that can be attached at once; fixed for the "
	  "registry's life" },
	{ OPT_MAX_KERNELS, 0, "max-kernels", "N", VALUE_NUMBER, NULL,
	  "16384 by default: names in the directory of kernels" },
	{ OPT_MODE, 0, "mode", "MODE", VALUE_NUMBER, NULL,
	  "0660 by default: decides who may be a broker; group and others never get write access "
	  "to the definitions" },
	{ OPT_GROUP, 0, "group", "GROUP", VALUE_GROUP, NULL, "group of the registry's files" },
	{ OPT_REQUIRE_AUDIT, 0, "require-audit", NULL, VALUE_NONE, NULL,
	  "refuse changes of tenants (exit code 8) unless a k2k-auditd keeps up; messages, "
	  "repair and destroy are never refused" },
	{ OPT_STRICT, 0, "strict", NULL, VALUE_NONE, NULL,
	  "refuse messages from kernels that are not in the directory; otherwise their tenant is "
	  "0" },
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
	  "messages in each second, minute, hour or day: 5k/s, 30/min; a bucket stays one" },   \
	{ OPT_BURST, 0, "burst", "N", VALUE_NUMBER, NULL,                                       \
	  "make the rate a token bucket that holds N messages" },                               \
	{ OPT_POLICY, 0, "policy", "window|bucket", VALUE_WORD, "window bucket",                \
	  "window: counts in each of its periods; bucket: as --burst" },                        \
	{ OPT_ALONE, 0, "alone", "R", VALUE_RATE, "unlimited",                                  \
	  "make --rate this host's share of a rate over many hosts, and R the limit while no "  \
	  "shares hold; --policy window: no share any more" },                                  \
	{ OPT_KERNELS, 0, "kernels", "N", VALUE_NUMBER, "unlimited",                            \
	  "kernels at the same time" },                                                         \
	{ OPT_GPU_MEMORY, 0, "gpu-memory", "SIZE", VALUE_SIZE, "unlimited",                     \
	  "512MiB, 2G (= 2GiB), 1GB (= 10^9 bytes)" },                                          \
	{ OPT_BUDGET, 0, "budget", "ENG=DUR", VALUE_DURATION, NULL,                             \
	  "GPU time for an engagement: 7=1h30m for ever, 7=10h/day for each day (hour, day, "   \
	  "week or month, in UTC); may be repeated" },                                          \
	{ OPT_NAME, 0, "name", "NAME", VALUE_TEXT, NULL,                                        \
	  "a name of its own: UTF-8, at most 31 bytes; '' for none" },                          \
	{ OPT_SHADOW, 0, "shadow", "on|off", VALUE_WORD, "on off",                              \
	  "on: count and audit what the limits would refuse, but let it pass" },                \
	{ OPT_ALERT, 0, "alert", "P%", VALUE_TEXT, NULL,                                        \
	  "audit when this part of a limit is reached: 80%; may be repeated; none" }

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

static const struct option_text deregister_options[] = {
	{ OPT_DRAIN, 0, "drain", NULL, VALUE_NONE, NULL,
	  "suspend the tenants first, and wait up to --timeout until nobody holds their kernels "
	  "or memory" },
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
static const struct option_text correct_options[] = {
	{ OPT_BY, 0, "by", "DUR", VALUE_DURATION, NULL,
	  "how much is added, like +5s, or taken back, like -1h30m" },
	{ OPT_REASON, 0, "reason", "TEXT", VALUE_TEXT, NULL,
	  "why, for the audit trail: 1 to 63 bytes" },
	{ OPT_REQUEST, 0, "request", "N", VALUE_NUMBER, NULL,
	  "a number of your own: a repeat of the command with this number changes nothing" },
	{ OPT_ORG, 0, "org", "O", VALUE_NUMBER, NULL, "organisation, for the audit trail" },
};
static const struct option_text renew_options[] = {
	{ OPT_FORCE, 0, "force", NULL, VALUE_NONE, NULL,
	  "confirm that the current period ends before its time" },
	{ OPT_ORG, 0, "org", "O", VALUE_NUMBER, NULL, "organisation, for the audit trail" },
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
static const struct option_text what_if_options[] = {
	DOCUMENT_FILE,
	{ OPT_TRACE, 0, "trace", "FILE", VALUE_FILE, NULL,
	  "the requests, as CSV with a header: time, tenant, and if wanted engagement, org and "
	  "gpu_time" },
	{ OPT_LOG, 0, "log", "FILE", VALUE_FILE, NULL,
	  "the requests that a log of k2k-auditd says were refused" },
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
	  "budget_change broker_dead created destroyed repair final_totals correction "
	  "budget_renewed suspended alert SecurityViolation "
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
		.example = "register 42 --name vision-team --rate 5k/s --kernels 4 --budget 7=1h",
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
		"budget. --shadow on tries limits with real traffic: 'list' and 'audit tail' show "
		"what they would have refused; --shadow off enforces them.\n",
		.example = "update 42 --rate unlimited --budget 7=unlimited",
	},
	{
		.name = "deregister",
		.run = RUN(cmd_deregister),
		.min = 1,
		.max = MANY,
		.operands = { TENANT },
		.synopsis = "deregister ID... [--drain]",
		.summary = "remove tenants, and print their final totals",
		OPTIONS(deregister_options),
		.prose = "Waits up to --timeout for calls in progress; if they last longer, the "
			 "totals are marked as not final. With --drain, a tenant whose leases "
			 "and reservations do not end in time stays registered, and suspended.\n",
		.exits = "8 if leases or reservations did not end in time",
		.example = "deregister 42 --drain --timeout 10m",
	},
	{
		.name = "suspend",
		.run = RUN(cmd_suspend),
		.min = 1,
		.max = MANY,
		.operands = { TENANT },
		.synopsis = "suspend ID...",
		.summary = "refuse all new messages and leases of tenants",
		.prose = "What they hold stays, releases and bookings go on, and all usage is "
			 "kept.\n",
		.example = "suspend @vision-team",
	},
	{
		.name = "resume",
		.run = RUN(cmd_resume),
		.min = 1,
		.max = MANY,
		.operands = { TENANT },
		.synopsis = "resume ID...",
		.summary = "end the suspension of tenants",
		.example = "resume @vision-team",
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
		.synopsis = "budget set ID ENG DUR[/PERIOD]",
		.summary = "set the GPU time that a tenant has for an engagement",
		.prose =
			"PERIOD is hour, day, week or month: the budget renews when one begins, in "
			"UTC; weeks begin on Mondays. Without it the budget counts all GPU time "
			"since the registration. What was overspent in a period is not taken "
			"from the next one. Usage is kept: if the amount or PERIOD of a budget "
			"that renews is changed, what its current period has used counts on, "
			"until the next boundary of the new PERIOD. 'unlimited' removes the "
			"budget, if there is one.\n",
		.example = "budget set 42 7 10h/day",
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
		.summary =
			"list budgets, how much of each is used and reserved, and when they renew",
		OPTIONS(filter_options),
		.table = &budgets_table,
		.prose = "Messages, and reservations of other brokers, are refused when what is "
			 "USED and what is RESERVED reach the budget together. 'leases ID' lists "
			 "who has reserved it.\n",
		.example = "budget list 42",
	},
	{
		.name = "budget",
		.second = "history",
		.run = RUN(cmd_budget_history),
		.min = 2,
		.max = 2,
		.operands = { TENANT, ENGAGEMENT },
		.synopsis = "budget history ID ENG [options]",
		.summary = "list the last 12 closed periods of a budget that renews",
		OPTIONS(filter_options),
		.table = &periods_table,
		.prose = "USED is with the corrections that were made in the period. It is FINAL "
			 "once something was booked in a later period. A period in "
			 "which nothing was booked is not listed; NEXT is when the one after it "
			 "began.\n",
		.example = "budget history 42 7",
	},
	{
		.name = "budget",
		.second = "renew",
		.run = RUN(cmd_budget_renew),
		.min = 2,
		.max = 2,
		.operands = { TENANT, ENGAGEMENT },
		.synopsis = "budget renew ID ENG --force",
		.summary = "end the current period of a budget now, and begin another one",
		OPTIONS(renew_options),
		.prose = "A clock that steps back begins no period again. If the clock was far "
			 "ahead, a period that began then would last until that time: this ends "
			 "it. It is audited. The new period is that of the calendar: its BEGAN is "
			 "the last boundary, and may be that of the period which ended.\n",
		.example = "budget renew 42 7 --force",
	},
	{
		.name = "usage",
		.second = "correct",
		.run = RUN(cmd_usage_correct),
		.min = 2,
		.max = 2,
		.operands = { TENANT, ENGAGEMENT },
		.synopsis = "usage correct ID ENG --by DUR --reason TEXT [--request N]",
		.summary = "correct what was booked for an engagement",
		OPTIONS(correct_options),
		.prose = "The correction is kept as a sum of its own beside the GPU time, which "
			 "stays what was booked, and is audited with its reason. Budgets see the "
			 "difference. In a budget that renews it counts in the current period, "
			 "but takes no more from it than it has used.\n",
		.example = "usage correct 42 7 --by -1h30m --reason 'failed run 17' --request 17",
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
		.prose = "An engagement that a tenant never used shows 0. CORRECTED is the sum of "
			 "its corrections ('usage correct').\n",
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
		.prose = "REFUSES: whether the smallest next request is refused; WOULD-REFUSE: the "
			 "same of limits in shadow. REJECTED, SHADOWED (what would have been "
			 "rejected), SINCE, LAST and BY-BROKER come from the audit trail, as far "
			 "back as its rings reach. Of a token bucket OF is its burst, and its "
			 "rate.\n",
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
		.summary =
			"list which brokers hold a tenant's kernels, GPU memory and reservations",
		OPTIONS(filter_options),
		.table = &leases_table,
		.prose = "GPU time that a broker has reserved of an engagement's budget has a row "
			 "of its own, with the engagement. It is free at once when the broker "
			 "ends; a stopped broker keeps it.\n",
		.example = "leases 42",
	},
	{
		.name = "kernels",
		.run = RUN(cmd_kernels),
		.max = 1,
		.operands = { TENANT },
		.synopsis = "kernels [ID] [options]",
		.summary = "list the names in the directory of kernels, and whose they are",
		OPTIONS(filter_options),
		.table = &kernels_table,
		.prose = "Names are untrusted: a byte that can't be printed is \\xHH, and \\ is "
			 "\\\\. ORG and ENGAGEMENT are billed for messages without a tag. A STALE "
			 "kernel's tenant was deregistered. --filter tenant=0 has those of "
			 "nobody.\n",
		.example = "kernels 42",
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
		.name = "what-if",
		.run = RUN(cmd_what_if),
		.synopsis = "what-if -f FILE... --trace FILE|--log FILE",
		.summary = "replay requests of the past against proposed limits",
		OPTIONS(what_if_options),
		.table = &outcomes_table,
		.prose = "The document is that of 'apply'; tenants that it does not name are "
			 "unknown. The library decides as it would have at the times of the "
			 "requests, in a registry of its own; no other one is read or changed. "
			 "Shares of rates hold all the time. "
			 "A request holds a kernel slot for its GPU time, and is billed when it "
			 "ends. A time is a date in UTC or seconds since 1970, and a gpu_time "
			 "seconds or a duration. gmt_create, groupId (G0041 is tenant 42), "
			 "checkpoint_model_version_id (M0006 is engagement 7) and "
			 "exec_time_seconds are accepted as names of the columns.\n"
			 "REQUESTS: those that the limit admitted or refused. "
			 "PEAK: the most that was used at once, messages in a window, kernel "
			 "slots, or GPU time. A log of k2k-auditd has only what was refused then: "
			 "it shows whether the proposed limits would refuse it again.\n",
		.exits = "1 if a request would be refused",
		.example = "what-if -f proposed.yaml --trace requests.csv",
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
			 "first. It has no leases and no reservations either, since they belong "
			 "to processes.\n",
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
