/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `k2k-tenantctl list`, from start to end, to /dev/null. */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const forms[] = { "json", "csv", "table" };

const char *find_tool(void)
{
	static char path[PATH_MAX + 64];
	char self[PATH_MAX] = "";
	const char *folder;

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return "k2k-tenantctl";
	folder = dirname(self);
	snprintf(path, sizeof(path), "%s/k2k-tenantctl", folder);
	if (!access(path, X_OK))
		return path;
	snprintf(path, sizeof(path), "%s/../k2k-tenantctl/k2k-tenantctl", folder);
	return access(path, X_OK) ? "k2k-tenantctl" : path;
}

static double list(const char *tool, const char *registry, const char *form)
{
	uint64_t start = now_ns();
	pid_t self = getpid(), pid = fork();
	int status;

	if (!pid) {
		int null = open("/dev/null", O_WRONLY);

		end_with_parent(self);
		dup2(null, STDOUT_FILENO);
		execlp(tool, tool, "-r", registry, "-o", form, "list", (char *)NULL);
		die("%s: %s; it is wanted beside " BENCH_NAME ", or in PATH", tool,
		    strerror(errno));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		die("can't run %s: %s", tool, strerror(errno));
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		die("%s list -o %s failed", tool, form);
	return (double)(now_ns() - start);
}

static void open_list(void *state)
{
	population_need(state);
}

static void round_list(void *state, struct sample *samples)
{
	const struct population *p = state;

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		samples[i].value = list(find_tool(), p->name, forms[i]);
}

#define LIST_ROWS(suffix, many, goal)                                                      \
	{ "list_json_" suffix,                                                             \
	  "k2k-tenantctl list of " many " tenants as JSON",                                \
	  UNIT_NS,                                                                         \
	  AGAINST_NOTHING,                                                                 \
	  goal,                                                                            \
	  0.5e9 },                                                                         \
		{ "list_csv_" suffix,                                                      \
		  "k2k-tenantctl list of " many " tenants as csv",                         \
		  UNIT_NS,                                                                 \
		  AGAINST_NOTHING,                                                         \
		  goal,                                                                    \
		  0.5e9 },                                                                 \
	{                                                                                  \
		"list_table_" suffix, "k2k-tenantctl list of " many " tenants as a table", \
			UNIT_NS, AGAINST_NOTHING, goal, 2e9                                \
	}
static const struct row_spec rows_100k[] = { LIST_ROWS("100k", "100,000", GOAL_VALUE_AT_MOST) };
static const struct row_spec rows_1m[] = { LIST_ROWS("1m", "1,000,000", GOAL_NONE) };
#define LIST(rows, population) \
	ROWS(rows), .state = &population, .open = open_list, .round = round_list
const struct bench_case list_case = { LIST(rows_100k, population_100k), .most_rounds = 7 };
const struct bench_case list_1m_case = { LIST(rows_1m, population_1m), .most_rounds = 3,
	                                 .big = true };
