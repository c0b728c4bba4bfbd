/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "help.h"
#include "ctl.h"

#include <stdio.h>
#include <string.h>

#define QUOTA_OPTIONS \
	"  --preset standard|unlimited   standard: 100000/s, 16 kernels, 2GiB, no budget\n" \
	"  --rate R                      messages a second: 5000/s, 5k/s, 6000/min\n" \
	"  --kernels N                   kernels at the same time\n" \
	"  --gpu-memory SIZE             512MiB, 2G (= 2GiB), 1GB (= 10^9 bytes)\n" \
	"  --budget ENG=DUR              GPU time of an engagement: 7=1h30m; may be repeated\n"
#define UNLIMITED_OPTIONS \
	"Each may be 'unlimited'. A limit of 0 is legal, and rejects everything.\n"

static const struct help {
	const char *command, *second, *synopsis, *summary, *more, *example;
} helps[] = {
	{ "init", NULL, "init [options]", "creates the registry",
	  "  --max-tenants N       4096 unless given\n"
	  "  --max-engagements N   65536: (tenant, engagement) pairs that GPU time is booked on\n"
	  "  --max-leases N        4 x tenants: (tenant, broker) pairs that hold something\n"
	  "  --max-budgets N       16384\n"
	  "  --audit-events N      256: that each broker's audit ring keeps; rounded up to a power of two\n"
	  "  --mode MODE           0660: who may be a broker; the definitions lose write for group and others\n"
	  "  --group GROUP         group of the registry's files\n"
	  "  --if-missing          one that exists already is good enough\n"
	  "  --plan                only say how many bytes it takes, and how many are free\n"
	  "All its memory is taken at once, and never grows.\n",
	  "init --max-tenants 100000 --group gpu" },
	{ "info", NULL, "info", "what the registry is, and how full its tables are", "", "info -J" },
	{ "check", NULL, "check", "verifies the registry's invariants; changes nothing",
	  "Exit code 1 where something was found.\n", "check -q && echo clean" },
	{ "repair", NULL, "repair", "finishes what killed processes left",
	  "Never needed for others to go on: every change begins with the part of it that it needs.\n", "repair" },
	{ "destroy", NULL, "destroy [-y]", "removes the registry",
	  "With brokers attached only with -y; they are told with their next call.\n", "destroy -y" },
	{ "register", NULL, "register ID [options]", "registers a tenant",
	  QUOTA_OPTIONS
	  "  --if-missing                  one that is registered already is good enough\n" UNLIMITED_OPTIONS,
	  "register 42 --rate 5k/s --kernels 4 --gpu-memory 2G --budget 7=1h" },
	{ "update", NULL, "update ID [options]", "changes the limits that are named, and keeps all usage",
	  QUOTA_OPTIONS
	  "  --if-missing                  register the tenant where it is not registered\n" UNLIMITED_OPTIONS
	  "ENG=unlimited removes a budget. --preset sets rate, kernels and memory, but no budget.\n",
	  "update 42 --rate unlimited --budget 7=unlimited" },
	{ "deregister", NULL, "deregister ID...", "removes tenants, and prints their final totals",
	  "Waits for calls under way up to --timeout; then the totals are printed as not final.\n",
	  "deregister 42 43 --timeout 1s" },
	{ "list", NULL, "list", "all tenants, by id", "", "list -o csv" },
	{ "show", NULL, "show ID...", "everything about these tenants", "", "show 42 -J" },
	{ "exists", NULL, "exists ID", "exit code 0: the tenant is registered, 1: it is not", "",
	  "exists 42 -q || k2k-tenantctl register 42" },
	{ "metrics", NULL, "metrics [--max-series N]", "everything that is counted, as text for Prometheus",
	  "  --max-series N        so many tenants (and budgets) have series of their own, 1000 unless given:\n"
	  "                        those registered first; the rest are summed under tenant=\"other\"\n"
	  "For a server to scrape, k2k-exporter has the same; it also keeps the sum from falling when\n"
	  "a tenant of it is deregistered.\n", "metrics --max-series 100" },
	{ "stat", NULL, "stat [INTERVAL [COUNT]]", "what happens in the whole registry, a line for each interval",
	  "INTERVAL is like 1s or 250ms. Without COUNT it goes on until it is stopped; without both it is one\n"
	  "line about one second. The table shows rates; JSON (one object a line) and csv show the exact\n"
	  "number in each interval. What a tenant counted just before it was deregistered is not seen.\n",
	  "stat 2s 5" },
	{ "top", NULL, "top [--once] [INTERVAL]", "live rates, use of limits, and brokers, on a terminal",
	  "  --once                one frame about one interval, as text; so is output into a pipe, and -o json or csv,\n"
	  "                        which show the exact number in the interval\n"
	  "INTERVAL is like 2s, 1s unless given; a large registry is read less often. Keys: h shows them, q ends.\n"
	  "A signal ends it as it would any command, and Ctrl-Z stops it; both leave the terminal as it was.\n",
	  "top 2s" },
	{ "budget", "set", "budget set ID ENG DUR", "sets the GPU time that a tenant has for an engagement",
	  "Usage is kept. 'unlimited' removes the budget, if there is one.\n", "budget set 42 7 1h30m" },
	{ "budget", "unset", "budget unset ID ENG", "removes a budget", "Usage is kept.\n", "budget unset 42 7" },
	{ "budget", "list", "budget list [ID]", "budgets, and what is used of them", "", "budget list 42" },
	{ "usage", NULL, "usage [ID [ENG]] | usage --engagement ENG", "GPU time by tenant and engagement",
	  "  --engagement ENG      one engagement over all tenants\n"
	  "An engagement that a tenant never used is 0.\n", "usage 42 7" },
	{ "quota", NULL, "quota ID [options]", "would a message be admitted now? Consumes nothing",
	  "  --org O               organisation, decimal or 0x...; 0 unless given\n"
	  "  --engagement E        engagement; 0 unless given\n"
	  "  --count N             so many messages at once; 1 unless given\n"
	  "Exit code 1: no, with the limit that is hit. retry_after_ns 18446744073709551615 means that\n"
	  "waiting alone does not help.\n", "quota 42 --engagement 7 --count 100" },
	{ "brokers", NULL, "brokers", "who is attached, and who holds up a grace period",
	  "BEHIND: grace periods that a broker has not answered yet. While it stays above 0, what is\n"
	  "deregistered can't be used again.\n", "brokers" },
	{ "leases", NULL, "leases [ID]", "which brokers hold a tenant's kernels and GPU memory", "", "leases 42" },
	{ "apply", NULL, "apply -f FILE [--prune]", "makes the tenants what a document says",
	  "  -f, --file FILE       YAML or JSON; - is standard input\n"
	  "  --prune               deregister the tenants that it does not name; asks on a terminal, elsewhere -y is needed\n"
	  "Of tenants that it does not name nothing is changed otherwise. What an entry leaves out takes the\n"
	  "value of its preset, 'standard' where none is named; budgets that it leaves out are removed.\n"
	  "    version: 1\n"
	  "    tenants:\n"
	  "      - {id: 42, rate: 5k/s, kernels: 4, gpu_memory: 2GiB, budgets: {7: 1h}}\n"
	  "      - {id: 43, preset: unlimited}\n"
	  "All of it is checked before the first change. Usage is kept.\n", "apply -f tenants.yaml --prune -y" },
	{ "diff", NULL, "diff -f FILE [--prune]", "what 'apply' would change",
	  "Exit code 1 where something differs.\n", "diff -f tenants.yaml" },
	{ "export", NULL, "export", "all tenants as a document for 'apply': YAML, or JSON with -J", "",
	  "export > tenants.yaml" },
	{ "save", NULL, "save FILE", "writes tenants with generations, totals and GPU time into a file",
	  "The file is replaced as a whole, or not at all. What brokers count afterwards is not in it: stop\n"
	  "them first. Leases are not in it either; they belong to processes.\n", "save /var/lib/k2k/default.json" },
	{ "load", NULL, "load FILE", "restores what 'save' wrote into a new registry, of any size that it fits",
	  "Refused where a tenant is there that the file does not have, and where something has no room.\n"
	  "A load that was killed can be repeated.\n", "load /var/lib/k2k/default.json" },
	{ "audit", "tail", "audit tail [-f] [options]", "who was refused what, and who changed what: all processes' events by time",
	  "  -f, --follow          goes on: sleeps until there is something new\n"
	  "  --since RING:SEQ      from this event on, as the column EVENT shows it: 3:17, admin:5\n"
	  "  --since SEQ           from event SEQ of each ring on\n"
	  "  --since DUR           what is not older: 10m, 1h30m; 0s: only what is new\n"
	  "  --tenant ID           only events that are about the tenant, on either side\n"
	  "  --type T              only this kind (rate, register, ...) or type (SecurityViolation, ...)\n"
	  "A table on a terminal, else one JSON object a line; -o says which. Each broker has a ring of\n"
	  "events, the oldest of which are written over: what is missing is told by a line 'lost', whatever\n"
	  "was asked for. With -f a rejection comes when its second is over, with the number of its repeats;\n"
	  "without, those of this second come too, counted so far ('+', \"open\":true).\n",
	  "audit tail -f --type SecurityViolation -J" },
	{ "audit", "stats", "audit stats", "events by kind: written, repeats counted in them, lost",
	  "Lost here: given up by their writers, because others stood in the way. What was written over is not\n"
	  "counted; 'audit tail --since 1' tells it.\n", "audit stats -J" },
	{ "audit", "verify", "audit verify FILE... [--key FILE]", "is a log of k2k-auditd as it was written?",
	  "Names the first line that was changed, removed, inserted or moved. FILE: the log and its\n"
	  "rotated files, in any order.\n"
	  "  --key FILE            the key that it was made with, readable for its owner only\n"
	  "  --head FILE           knows the last line; FILE.head of the newest unless given\n"
	  "Exit code 1 where something was found, or the head is missing.\n",
	  "audit verify audit.log audit.log.1 --key audit.key" },
	{ "version", NULL, "version", "versions of the program and of its library", "", "version" },
};
#define HELPS (sizeof(helps) / sizeof(helps[0]))

static const char options[] =
	"  -r, --registry NAME   the registry; else K2K_REGISTRY of the environment, else 'default'\n"
	"  -o, --output FORM     table, json or csv; -J is -o json\n"
	"      --dry-run         check everything, say what would be done, change nothing\n"
	"  -y, --yes             destroy with brokers attached; apply --prune without asking\n"
	"  -q, --quiet           changes, check, exists and quota print nothing: the exit code says it\n"
	"      --timeout DUR     longest wait for others, 5s unless given: 250ms, 1.5s, 1h30m\n"
	"      --color WHEN      auto, always or never; NO_COLOR is honoured\n"
	"  -h, --help            help, also on a command\n"
	"  -V, --version         as the command 'version'\n"
	"Options may stand anywhere; -- ends them. Ids are decimal or 0x...\n";

static const char exit_codes[] =
	"Exit codes: 0 done, 1 the answer is no, 2 usage, 3 no such tenant or budget, 4 exists already,\n"
	"5 full, 6 no usable registry, 7 permission, 8 busy or timed out, 9 some of several failed,\n"
	"10 the system failed; without a message: who read the output has gone, as in ... | head -1.\n";

static void print_one(const struct help *h)
{
	printf("usage: " CTL_NAME " [OPTIONS] %s\n%s\n%s%s\nexample: " CTL_NAME " %s\n", h->synopsis, h->summary,
	       h->more[0] ? "\n" : "", h->more, h->example);
}

bool help_print(const char *command, const char *second)
{
	bool printed = false;

	if (!command) {
		puts("usage: " CTL_NAME " [OPTIONS] COMMAND ...\nadministers tenants and their quotas in a shared registry\n");
		for (size_t i = 0; i < HELPS; i++)
			printf("  %-42s %s\n", helps[i].synopsis, helps[i].summary);
		printf("\n%s\n%s\nexample: " CTL_NAME " register 42 --rate 5k/s --budget 7=1h\n", options, exit_codes);
		return true;
	}
	for (size_t i = 0; i < HELPS; i++) {
		const struct help *h = &helps[i];

		if (strcmp(h->command, command) || (h->second && second && strcmp(h->second, second)))
			continue;
		if (printed)
			putchar('\n');
		print_one(h);
		printed = true;
	}
	if (printed)
		puts("Global options and exit codes: " CTL_NAME " --help");
	return printed;
}
