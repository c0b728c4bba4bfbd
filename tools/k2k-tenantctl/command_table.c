/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of commands and options: see command_table.h. */
#include "command_table.h"
#include "commands.h"

#include <string.h>

/* The program that writes the manual pages has the table, and no command. */
#ifdef K2K_TABLE_ALONE
#define RUN(function) NULL
#else
#define RUN(function) function
#endif

/* clang-format off: tables aligned by hand */
#define OPTIONS(array) array, sizeof(array) / sizeof((array)[0])
#define NO_OPTIONS NULL, 0

const struct option_text global_options[] = {
	{ OPT_REGISTRY, 'r', "registry", "NAME", VALUE_REGISTRY, NULL,
	  "the registry; else K2K_REGISTRY of the environment, else 'default'" },
	{ OPT_OWNER, 0, "owner", "USER", VALUE_USER, NULL,
	  "trust a registry of this user, too, besides root's and one's own" },
	{ OPT_OUTPUT, 'o', "output", "FORM", VALUE_WORD, "table json csv", "table, json or csv" },
	{ OPT_JSON, 'J', "json", NULL, VALUE_NONE, NULL, "as -o json" },
	{ OPT_DRY_RUN, 0, "dry-run", NULL, VALUE_NONE, NULL,
	  "check everything, say what would be done, change nothing" },
	{ OPT_YES, 'y', "yes", NULL, VALUE_NONE, NULL,
	  "destroy with brokers attached; apply --prune without asking" },
	{ OPT_QUIET, 'q', "quiet", NULL, VALUE_NONE, NULL,
	  "changes, check, exists and quota print nothing: the exit code says it" },
	{ OPT_TIMEOUT, 0, "timeout", "DUR", VALUE_DURATION, NULL,
	  "longest wait for others, 5s unless given: 5, 250ms, 1h30m" },
	{ OPT_COLOR, 0, "color", "WHEN", VALUE_WORD, "auto always never",
	  "auto, always or never; NO_COLOR is honoured" },
	{ OPT_HELP, 'h', "help", NULL, VALUE_NONE, NULL, "help, also on a command" },
	{ OPT_VERSION, 'V', "version", NULL, VALUE_NONE, NULL, "as the command 'version'" },
};
const size_t global_option_count = sizeof(global_options) / sizeof(global_options[0]);

const char options_prose[] = "Options may stand anywhere, with their whole names; -- ends them. "
			     "Ids are decimal or 0x...\n";

const struct exit_text exit_texts[] = {
	{ EXIT_DONE, "done" },
	{ EXIT_NO, "the answer is no" },
	{ EXIT_USAGE, "usage" },
	{ EXIT_MISSING, "no such tenant or budget" },
	{ EXIT_EXISTS, "exists already" },
	{ EXIT_FULL, "full" },
	{ EXIT_REGISTRY, "no usable registry" },
	{ EXIT_PERMISSION, "permission" },
	{ EXIT_BUSY, "busy or timed out; or nobody keeps the audit that is required" },
	{ EXIT_PARTLY, "some of several failed" },
	{ EXIT_SYSTEM, "the system failed (without a message: who reads the output has gone)" },
};
const size_t exit_text_count = sizeof(exit_texts) / sizeof(exit_texts[0]);

const char *const value_texts[VALUE_KINDS] = {
	[VALUE_SIZE] = "Sizes are bytes: 512MiB, 2G (= 2GiB), 1GB (= 10^9 bytes); fractions only "
		       "where they are exact.",
	[VALUE_RATE] =
		"Rates are messages a second: 5000/s, 5k/s. Limits of a minute, an hour or a day "
		"(30/min) are refused: a limit holds in each second, and is not converted.",
	[VALUE_DURATION] = "Durations carry a unit: 250ms, 1.5s, 1h30m.",
	[VALUE_TENANT] =
		"A tenant's ID is decimal, or hexadecimal with 0x: 1 to 18446744073709551615.",
	[VALUE_ENGAGEMENT] = "An engagement (ENG) is decimal, or hexadecimal with 0x: 0 to "
			     "18446744073709551615.",
	[VALUE_REGISTRY] = "A registry's NAME has 1 to 64 characters of A-Z a-z 0-9 _ -.",
};

static const struct option_text init_options[] = {
	{ OPT_MAX_TENANTS, 0, "max-tenants", "N", VALUE_NUMBER, NULL, "4096 unless given" },
	{ OPT_MAX_ENGAGEMENTS, 0, "max-engagements", "N", VALUE_NUMBER, NULL,
	  "65536: (tenant, engagement) pairs that GPU time is booked on" },
	{ OPT_MAX_LEASES, 0, "max-leases", "N", VALUE_NUMBER, NULL,
	  "4 x tenants: (tenant, broker) pairs that hold something" },
	{ OPT_MAX_BUDGETS, 0, "max-budgets", "N", VALUE_NUMBER, NULL, "16384" },
	{ OPT_AUDIT_EVENTS, 0, "audit-events", "N", VALUE_NUMBER, NULL,
	  "256: that each broker's audit ring keeps; rounded up to a power of two" },
	{ OPT_MODE, 0, "mode", "MODE", VALUE_NUMBER, NULL,
	  "0660: who may be a broker; the definitions lose write for group and others" },
	{ OPT_GROUP, 0, "group", "GROUP", VALUE_GROUP, NULL, "group of the registry's files" },
	{ OPT_REQUIRE_AUDIT, 0, "require-audit", NULL, VALUE_NONE, NULL,
	  "refuse changes of tenants (exit code 8) while no k2k-auditd keeps up; messages, repair "
	  "and destroy never" },
	{ OPT_IF_MISSING, 0, "if-missing", NULL, VALUE_NONE, NULL,
	  "one that exists already is good enough; where it differs from\nwhat is asked for, that "
	  "is told" },
	{ OPT_PLAN, 0, "plan", NULL, VALUE_NONE, NULL,
	  "only say how many bytes it takes, and how many are free" },
};

#define QUOTA_OPTIONS                                                         \
	{ OPT_PRESET,                                                         \
	  0,                                                                  \
	  "preset",                                                           \
	  "standard|unlimited",                                               \
	  VALUE_WORD,                                                         \
	  "standard unlimited",                                               \
	  "standard: 100000/s, 16 kernels, 2GiB, no budget" },                \
		{ OPT_RATE,                                                   \
		  0,                                                          \
		  "rate",                                                     \
		  "R",                                                        \
		  VALUE_RATE,                                                 \
		  "unlimited",                                                \
		  "messages a second: 5000/s, 5k/s" },                        \
		{ OPT_KERNELS,                                                \
		  0,                                                          \
		  "kernels",                                                  \
		  "N",                                                        \
		  VALUE_NUMBER,                                               \
		  "unlimited",                                                \
		  "kernels at the same time" },                               \
		{ OPT_GPU_MEMORY,                                             \
		  0,                                                          \
		  "gpu-memory",                                               \
		  "SIZE",                                                     \
		  VALUE_SIZE,                                                 \
		  "unlimited",                                                \
		  "512MiB, 2G (= 2GiB), 1GB (= 10^9 bytes)" },                \
	{                                                                     \
		OPT_BUDGET, 0, "budget", "ENG=DUR", VALUE_DURATION, NULL,     \
			"GPU time of an engagement: 7=1h30m; may be repeated" \
	}
#define UNLIMITED "Each may be 'unlimited'. A limit of 0 is legal, and rejects everything.\n"

static const struct option_text register_options[] = {
	QUOTA_OPTIONS,
	{ OPT_IF_MISSING, 0, "if-missing", NULL, VALUE_NONE, NULL,
	  "one that is registered already is good enough; where it differs\nfrom what is asked "
	  "for, that is told" },
};
static const struct option_text update_options[] = {
	QUOTA_OPTIONS,
	{ OPT_IF_MISSING, 0, "if-missing", NULL, VALUE_NONE, NULL,
	  "register the tenant where it is not registered" },
};
#define COLUMN_WORDS                                                                       \
	"id generation registered rate kernels gpu-memory budgets admitted rejected "      \
	"rejected-rate rejected-budget "                                                   \
	"rejected-kernels rejected-memory gpu-time unattributed this-second kernels-held " \
	"memory-held"
static const struct option_text list_options[] = {
	{ OPT_SORT, 0, "sort", "COLUMN", VALUE_WORD, COLUMN_WORDS,
	  "by this column, rising; -COLUMN: falling; by id unless given" },
	{ OPT_COLUMNS, 0, "columns", "COLUMN,...", VALUE_WORD, COLUMN_WORDS,
	  "of tables and csv; JSON has all" },
	{ OPT_FILTER, 0, "filter", "COLUMN>N", VALUE_TEXT, NULL,
	  "only tenants of which this is true, with < <= = != >= or >; may be repeated:\n"
	  "then all have to be. N is written with the column's unit, or as 'unlimited'" },
	{ OPT_NO_HEADERS, 0, "no-headers", NULL, VALUE_NONE, NULL,
	  "leave out the line with the columns' names" },
	{ OPT_WATCH, 'w', "watch", NULL, VALUE_NONE, NULL,
	  "again each second, until it is stopped" },
};
static const struct option_text metrics_options[] = {
	{ OPT_MAX_SERIES, 0, "max-series", "N", VALUE_NUMBER, NULL,
	  "so many tenants (and budgets) have series of their own, 1000 unless given:\n"
	  "the busiest; the rest are summed under tenant=\"other\"" },
};
static const struct option_text top_options[] = {
	{ OPT_ONCE, 0, "once", NULL, VALUE_NONE, NULL,
	  "one frame about one interval, as text; so is output into a pipe, and -o json or csv,\n"
	  "which show the exact number in the interval" },
};
static const struct option_text usage_options[] = {
	{ OPT_ENGAGEMENT, 0, "engagement", "ENG", VALUE_ENGAGEMENT, NULL,
	  "one engagement over all tenants" },
};
static const struct option_text quota_options[] = {
	{ OPT_ORG, 0, "org", "O", VALUE_NUMBER, NULL,
	  "organisation, decimal or 0x...; 0 unless given" },
	{ OPT_ENGAGEMENT, 0, "engagement", "E", VALUE_ENGAGEMENT, NULL,
	  "engagement; 0 unless given" },
	{ OPT_COUNT, 0, "count", "N", VALUE_NUMBER, NULL,
	  "so many messages at once; 1 unless given" },
};
#define DOCUMENT_FILE                                                                         \
	{                                                                                     \
		OPT_FILE, 'f', "file", "FILE", VALUE_FILE, NULL,                              \
			"YAML or JSON; - is standard input; several are read as one document" \
	}
static const struct option_text apply_options[] = {
	DOCUMENT_FILE,
	{ OPT_PRUNE, 0, "prune", NULL, VALUE_NONE, NULL,
	  "deregister the tenants that it does not name; asks on a terminal, elsewhere -y is "
	  "needed" },
	{ OPT_MAX_PRUNE, 0, "max-prune", "SHARE", VALUE_TEXT, NULL,
	  "refuse to deregister more than this share of all tenants, 30% unless given, or a number "
	  "of them" },
};
static const struct option_text diff_options[] = {
	DOCUMENT_FILE,
	{ OPT_PRUNE, 0, "prune", NULL, VALUE_NONE, NULL,
	  "tenants that it does not name would be deregistered" },
};
static const struct option_text tail_options[] = {
	{ OPT_FOLLOW, 'f', "follow", NULL, VALUE_NONE, NULL,
	  "goes on: sleeps until there is something new" },
	{ OPT_SINCE, 0, "since", "RING:SEQ", VALUE_TEXT, NULL,
	  "from this event on, as the column EVENT shows it: 3:17, admin:5, s3:2" },
	{ OPT_SINCE, 0, "since", "SEQ", VALUE_TEXT, NULL, "from event SEQ of each ring on" },
	{ OPT_SINCE, 0, "since", "TIME", VALUE_DURATION, NULL,
	  "what is not older: 10m, 1h30m; 0s: only what is new; or from then on:\n"
	  "2026-11-29T18:00:00Z, 2026-11-29 18:00; UTC unless it ends like +01:00" },
	{ OPT_UNTIL, 0, "until", "TIME", VALUE_DURATION, NULL,
	  "what is not newer; TIME as with --since" },
	{ OPT_LINES, 'n', "lines", "N", VALUE_NUMBER, NULL, "only the last N of what is there" },
	{ OPT_TENANT, 0, "tenant", "ID", VALUE_TENANT, NULL,
	  "only events that are about the tenant, on either side" },
	{ OPT_TYPE, 0, "type", "T", VALUE_WORD,
	  "cross_tenant rate budget kernels gpu_memory unknown_tenant register update deregister "
	  "budget_change broker_dead "
	  "created destroyed repair final_totals SecurityViolation ResourceLimitExceeded "
	  "AuthorizationCheck ConfigurationChange",
	  "only this kind (rate, register, ...) or type (SecurityViolation, ...)" },
};
static const struct option_text verify_options[] = {
	{ OPT_KEY, 0, "key", "FILE", VALUE_FILE, NULL,
	  "the key that it was made with, readable for its owner only" },
	{ OPT_HEAD, 0, "head", "FILE", VALUE_FILE, NULL,
	  "knows the last line; FILE.head of the newest unless given" },
};

#define TENANT                     \
	{                          \
		VALUE_TENANT, NULL \
	}
#define ENGAGEMENT                     \
	{                              \
		VALUE_ENGAGEMENT, NULL \
	}
#define A_FILE                   \
	{                        \
		VALUE_FILE, NULL \
	}
#define NOTHING                          \
	{                                \
		{                        \
			VALUE_NONE, NULL \
		}                        \
	}

const struct command commands[] = {
	{ "init", NULL, RUN(cmd_init), 0, 0, NOTHING, "init [options]", "create the registry",
	  OPTIONS(init_options), "All its memory is taken at once, and never grows.\n", NULL,
	  "init --max-tenants 100000 --group gpu" },
	{ "info", NULL, RUN(cmd_info), 0, 0, NOTHING, "info",
	  "show what the registry is, and how full its tables are", NO_OPTIONS, "", NULL,
	  "info -J" },
	{ "check", NULL, RUN(cmd_check), 0, 0, NOTHING, "check",
	  "verify the registry's invariants; changes nothing", NO_OPTIONS, "",
	  "1 where something was found", "check -q && echo clean" },
	{ "repair", NULL, RUN(cmd_repair), 0, 0, NOTHING, "repair",
	  "finish what killed processes left", NO_OPTIONS,
	  "Never needed for others to go on: every change begins with the part of it that it "
	  "needs.\n",
	  NULL, "repair" },
	{ "destroy", NULL, RUN(cmd_destroy), 0, 0, NOTHING, "destroy [-y]", "remove the registry",
	  NO_OPTIONS,
	  "Asks on a terminal. Elsewhere, with brokers attached, only with -y; they are told with "
	  "their next call.\n",
	  "8 with brokers attached, without -y", "destroy -y" },
	{ "register",
	  NULL,
	  RUN(cmd_register),
	  1,
	  MANY,
	  { { VALUE_NUMBER, NULL } },
	  "register ID... [options]",
	  "register tenants",
	  OPTIONS(register_options),
	  UNLIMITED,
	  NULL,
	  "register 42 --rate 5k/s --kernels 4 --gpu-memory 2G --budget 7=1h" },
	{ "update",
	  NULL,
	  RUN(cmd_update),
	  1,
	  MANY,
	  { TENANT },
	  "update ID... [options]",
	  "change the limits that are named, and keep all usage",
	  OPTIONS(update_options),
	  UNLIMITED "ENG=unlimited removes a budget. --preset sets rate, kernels and memory, but "
	            "no budget.\n",
	  NULL,
	  "update 42 --rate unlimited --budget 7=unlimited" },
	{ "deregister",
	  NULL,
	  RUN(cmd_deregister),
	  1,
	  MANY,
	  { TENANT },
	  "deregister ID...",
	  "remove tenants, and print their final totals",
	  NO_OPTIONS,
	  "Waits for calls under way up to --timeout; then the totals are printed as not final.\n",
	  NULL,
	  "deregister 42 43 --timeout 1s" },
	{ "list", NULL, RUN(cmd_list), 0, 0, NOTHING, "list [options]", "list all tenants",
	  OPTIONS(list_options),
	  "Columns: id generation registered rate kernels gpu-memory budgets admitted rejected "
	  "rejected-rate\n"
	  "rejected-budget rejected-kernels rejected-memory gpu-time unattributed this-second "
	  "kernels-held\n"
	  "memory-held.\n",
	  NULL, "list --filter 'rejected>0' --sort -rejected --columns id,rate,rejected" },
	{ "show",
	  NULL,
	  RUN(cmd_show),
	  1,
	  MANY,
	  { TENANT },
	  "show ID...",
	  "show everything about these tenants",
	  NO_OPTIONS,
	  "",
	  NULL,
	  "show 42 -J" },
	{ "exists",
	  NULL,
	  RUN(cmd_exists),
	  1,
	  1,
	  { TENANT },
	  "exists ID",
	  "ask whether a tenant is registered: exit code 0, or 1",
	  NO_OPTIONS,
	  "",
	  NULL,
	  "exists 42 -q || k2k-tenantctl register 42" },
	{ "metrics", NULL, RUN(cmd_metrics), 0, 0, NOTHING, "metrics [--max-series N]",
	  "print everything that is counted, as text for Prometheus", OPTIONS(metrics_options),
	  "For a server to scrape, k2k-exporter has the same; it also keeps the sum from falling "
	  "when\n"
	  "a tenant of it is deregistered.\n",
	  NULL, "metrics --max-series 100" },
	{ "stat",
	  NULL,
	  RUN(cmd_stat),
	  0,
	  2,
	  { { VALUE_DURATION, NULL }, { VALUE_NUMBER, NULL } },
	  "stat [INTERVAL [COUNT]]",
	  "show what happens in the whole registry, a line for each interval",
	  NO_OPTIONS,
	  "INTERVAL is like 1, 1s or 250ms. Without COUNT it goes on until it is stopped; without "
	  "both it is one\n"
	  "line about one second. The table shows rates; JSON (one object a line) and csv show the "
	  "exact\n"
	  "number in each interval. What a tenant counted just before it was deregistered is not "
	  "seen.\n",
	  NULL,
	  "stat 2 5" },
	{ "top",
	  NULL,
	  RUN(cmd_top),
	  0,
	  1,
	  { { VALUE_DURATION, NULL } },
	  "top [--once] [INTERVAL]",
	  "watch live rates, use of limits, and brokers, on a terminal",
	  OPTIONS(top_options),
	  "INTERVAL is like 2, 2s or 250ms, 1s unless given; a large registry is read less often. "
	  "Keys: h shows them, q ends.\n"
	  "A signal ends it as it would any command, and Ctrl-Z stops it; both leave the terminal "
	  "as it was.\n",
	  NULL,
	  "top 2" },
	{ "budget",
	  "set",
	  RUN(cmd_budget_set),
	  3,
	  3,
	  { TENANT, ENGAGEMENT, { VALUE_DURATION, "unlimited" } },
	  "budget set ID ENG DUR",
	  "set the GPU time that a tenant has for an engagement",
	  NO_OPTIONS,
	  "Usage is kept. 'unlimited' removes the budget, if there is one.\n",
	  NULL,
	  "budget set 42 7 1h30m" },
	{ "budget",
	  "unset",
	  RUN(cmd_budget_unset),
	  2,
	  2,
	  { TENANT, ENGAGEMENT },
	  "budget unset ID ENG",
	  "remove a budget",
	  NO_OPTIONS,
	  "Usage is kept.\n",
	  NULL,
	  "budget unset 42 7" },
	{ "budget",
	  "list",
	  RUN(cmd_budget_list),
	  0,
	  1,
	  { TENANT },
	  "budget list [ID]",
	  "list budgets, and what is used of them",
	  NO_OPTIONS,
	  "",
	  NULL,
	  "budget list 42" },
	{ "usage",
	  NULL,
	  RUN(cmd_usage),
	  0,
	  2,
	  { TENANT, ENGAGEMENT },
	  "usage [ID [ENG]] | usage --engagement ENG",
	  "show GPU time by tenant and engagement",
	  OPTIONS(usage_options),
	  "An engagement that a tenant never used is 0.\n",
	  NULL,
	  "usage 42 7" },
	{ "quota",
	  NULL,
	  RUN(cmd_quota),
	  1,
	  1,
	  { TENANT },
	  "quota ID [options]",
	  "ask whether a message would be admitted now; consumes nothing",
	  OPTIONS(quota_options),
	  "retry_after_ns 18446744073709551615 means that waiting alone does not help.\n",
	  "1: no, with the limit that is hit",
	  "quota 42 --engagement 7 --count 100" },
	{ "explain",
	  NULL,
	  RUN(cmd_explain),
	  1,
	  1,
	  { TENANT },
	  "explain ID",
	  "explain which limit refuses a tenant, since when, by which broker, and what to do",
	  NO_OPTIONS,
	  "REFUSES: the smallest next request. REJECTED, SINCE, LAST and BY-BROKER come from the "
	  "audit trail, as\n"
	  "far back as its rings go.\n",
	  NULL,
	  "explain 42" },
	{ "registries", NULL, RUN(cmd_registries), 0, 0, NOTHING, "registries",
	  "list the registries of this host", NO_OPTIONS,
	  "One that is not this user's, nor root's, is read only with --owner. A CREATED or other "
	  "cell of - is of one\n"
	  "that can't be read.\n",
	  NULL, "registries -J" },
	{ "brokers", NULL, RUN(cmd_brokers), 0, 0, NOTHING, "brokers",
	  "list who is attached, and who holds up a grace period", NO_OPTIONS,
	  "GRACE-BEHIND: grace periods that a broker has not answered yet. While it stays above 0, "
	  "what is\n"
	  "deregistered can't be used again.\n",
	  NULL, "brokers" },
	{ "leases",
	  NULL,
	  RUN(cmd_leases),
	  0,
	  1,
	  { TENANT },
	  "leases [ID]",
	  "list which brokers hold a tenant's kernels and GPU memory",
	  NO_OPTIONS,
	  "",
	  NULL,
	  "leases 42" },
	{ "apply", NULL, RUN(cmd_apply), 0, 0, NOTHING, "apply -f FILE... [--prune]",
	  "make the tenants what a document says", OPTIONS(apply_options),
	  "Of tenants that it does not name nothing is changed otherwise. What an entry leaves out "
	  "takes the\n"
	  "value of its preset, 'standard' where none is named; budgets that it leaves out are "
	  "removed.\n"
	  "    version: 1\n"
	  "    tenants:\n"
	  "      - {id: 42, rate: 5k/s, kernels: 4, gpu_memory: 2GiB, budgets: {7: 1h}}\n"
	  "      - {id: 43, preset: unlimited}\n"
	  "    end: true\n"
	  "All of it is checked before the first change. Usage is kept. --prune takes only what "
	  "ends with\n"
	  "'end: true', as an export does: of a file that was cut off it would remove the rest.\n",
	  NULL, "apply -f tenants.yaml --prune -y" },
	{ "diff", NULL, RUN(cmd_diff), 0, 0, NOTHING, "diff -f FILE... [--prune]",
	  "show what 'apply' would change", OPTIONS(diff_options), "", "1 where something differs",
	  "diff -f tenants.yaml" },
	{ "export", NULL, RUN(cmd_export), 0, 0, NOTHING, "export",
	  "write all tenants as a document for 'apply': YAML, or JSON with -J", NO_OPTIONS, "",
	  NULL, "export > tenants.yaml" },
	{ "save",
	  NULL,
	  RUN(cmd_save),
	  1,
	  1,
	  { A_FILE },
	  "save FILE",
	  "write tenants with generations, totals and GPU time into a file",
	  NO_OPTIONS,
	  "The file is replaced as a whole, or not at all, and keeps its mode and owner; a new one "
	  "is readable\n"
	  "for its owner only. Symbolic links are followed. A device, a FIFO and a file that is "
	  "mounted by\n"
	  "itself are written into. FILE - is standard output. What brokers count afterwards is "
	  "not in it:\n"
	  "stop them first. Leases are not in it either; they belong to processes.\n",
	  NULL,
	  "save /var/lib/k2k/default.json" },
	{ "load",
	  NULL,
	  RUN(cmd_load),
	  1,
	  1,
	  { A_FILE },
	  "load FILE",
	  "restore what 'save' wrote into a new registry, of any size that it fits",
	  NO_OPTIONS,
	  "Refused where a tenant is there that the file does not have, and where something has no "
	  "room.\n"
	  "A load that was killed can be repeated. FILE - is standard input.\n",
	  NULL,
	  "load /var/lib/k2k/default.json" },
	{ "audit", "tail", RUN(cmd_audit_tail), 0, 0, NOTHING, "audit tail [-f] [options]",
	  "show who was refused what, and who changed what: all processes' events by time",
	  OPTIONS(tail_options),
	  "A table on a terminal, else one JSON object a line; -o says which. Each broker has a "
	  "ring of\n"
	  "rejections, and one of what concerns security; administrators have one. The oldest "
	  "events are\n"
	  "written over: what is missing is told by a line 'lost', whatever was asked for. A time "
	  "leaves out only\n"
	  "what is older (newer) by the time of day and by the monotonic clock: a clock that was "
	  "set hides\n"
	  "nothing. ACTOR is the program that wrote it; in JSON that is 'comm', and 'actor' is "
	  "fixed by kind.\n"
	  "With -f a rejection comes when its second is over, with the number of its repeats;\n"
	  "without, those of this second come too, counted so far ('+', \"open\":true).\n",
	  NULL, "audit tail -f --type SecurityViolation -J" },
	{ "audit", "stats", RUN(cmd_audit_stats), 0, 0, NOTHING, "audit stats",
	  "count events by kind, and say who keeps them and what is missing there", NO_OPTIONS,
	  "Of the kinds: written, repeats counted in them, and lost, which writers gave up, "
	  "because others stood\n"
	  "in the way. Of the followers (k2k-auditd): how many events each has not kept yet "
	  "(BEHIND), how many of\n"
	  "these are written over by now, and how many it found missing before; the last of these "
	  "losses by\n"
	  "ring, numbers and time. These are told on standard error, too.\n",
	  NULL, "audit stats -J" },
	{ "audit",
	  "verify",
	  RUN(cmd_audit_verify),
	  1,
	  MANY,
	  { A_FILE },
	  "audit verify FILE... [--key FILE]",
	  "verify that a log of k2k-auditd is as it was written",
	  OPTIONS(verify_options),
	  "Names the first line that was changed, removed, inserted or moved. FILE: the log and "
	  "its\n"
	  "rotated files, in any order.\n",
	  "1 where something was found, or the head is missing",
	  "audit verify audit.log audit.log.1 --key audit.key" },
	{ "completion",
	  NULL,
	  RUN(cmd_completion),
	  1,
	  MANY,
	  { { VALUE_WORD, "bash zsh fish" }, { VALUE_NONE, NULL } },
	  "completion bash|zsh|fish",
	  "print a script that makes the shell complete this program's words",
	  NO_OPTIONS,
	  "    bash: source <(k2k-tenantctl completion bash)\n"
	  "    zsh:  source <(k2k-tenantctl completion zsh)\n"
	  "    fish: k2k-tenantctl completion fish | source\n"
	  "The scripts ask 'completion words -- WORD...' what the last of these words may become: "
	  "a line\n"
	  "each, with a tab and a text behind it; the line ':files' stands for names of files. It "
	  "looks at\n"
	  "the registry that -r or K2K_REGISTRY names, for ids, and waits for nobody.\n",
	  NULL,
	  "completion bash" },
	{ "help",
	  NULL,
	  RUN(cmd_help),
	  0,
	  2,
	  { { VALUE_COMMAND, NULL } },
	  "help [COMMAND]",
	  "show the help of a command, or of all",
	  NO_OPTIONS,
	  "",
	  NULL,
	  "help apply" },
	{ "version", NULL, RUN(cmd_version), 0, 0, NOTHING, "version",
	  "print the versions of the program and of its library", NO_OPTIONS, "", NULL, "version" },
};
const size_t command_count = sizeof(commands) / sizeof(commands[0]);

static const struct option_text *option_where(const struct option_text *options, size_t count,
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
	const struct option_text *found = option_where(global_options, global_option_count, name,
	                                               length, 0);

	return found || !command
	               ? found
	               : option_where(command->options, command->option_count, name, length, 0);
}

const struct option_text *find_letter(const struct command *command, char letter)
{
	const struct option_text *found = option_where(global_options, global_option_count, NULL, 0,
	                                               letter);

	return found || !command
	               ? found
	               : option_where(command->options, command->option_count, NULL, 0, letter);
}
