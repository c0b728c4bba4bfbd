/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* figures.c - what a phase cost: in the database, on the network, and in statements */
#include "scale.h"
#include "common/clock.h"
#include "common/memory.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static struct db db;
static const char *network;

void give_up(const char *format, ...)
{
	va_list args;

	fputs("fleet-scale: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

void figures_open(const char *device)
{
	network = device;
	if (db_open(&db, "", "fleet-scale", UINT64_C(1800000000000)))
		give_up("the database: %s", db.message);
}

void figures_close(void)
{
	db_close(&db);
}

struct db *figures_db(void)
{
	return &db;
}

double figures_number(const char *sql)
{
	PGresult *result = db_call(&db, sql, 0, NULL);
	double number;

	if (!result)
		give_up("%s: %s", sql, db.message);
	number = strtod(PQgetvalue(result, 0, 0), NULL);
	PQclear(result);
	return number;
}

/* ---- processes of the database --------------------------------------------------------------- */

/* Of /proc/PID/stat, processor time in ticks, with that of ended children; 0 for others. */
static uint64_t ticks_of(const char *pid)
{
	unsigned long user = 0, system = 0, ended_user = 0, ended_system = 0;
	char path[300], text[1000] = "";
	const char *rest;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	(void)!fgets(text, sizeof(text), f);
	fclose(f);
	rest = strstr(text, "(postgres)");
	if (!rest || sscanf(rest, "%*s %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %lu %lu %lu %lu",
	                    &user, &system, &ended_user, &ended_system) != 4)
		return 0;
	return user + system + ended_user + ended_system;
}

static double memory_mb_of(const char *pid)
{
	char path[300], line[200];
	unsigned long kb = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/smaps_rollup", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Pss: %lu kB", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return (double)kb / 1024;
}

/* Sums up over all processes. */
static double sum_of_processes(double (*of)(const char *pid))
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	double sum = 0;

	if (!proc)
		give_up("/proc can't be read");
	while ((entry = readdir(proc)))
		if (strspn(entry->d_name, "0123456789") == strlen(entry->d_name))
			sum += of(entry->d_name);
	closedir(proc);
	return sum;
}

static double seconds_of(const char *pid)
{
	return (double)ticks_of(pid) / (double)sysconf(_SC_CLK_TCK);
}

static double server_memory_of(const char *pid)
{
	return ticks_of(pid) ? memory_mb_of(pid) : 0;
}

/* ---- the network ----------------------------------------------------------------------------- */

static void count_bytes(double *received, double *sent)
{
	char line[400], name[40];
	unsigned long long in, out;
	FILE *f = fopen("/proc/net/dev", "re");
	bool found = false;

	while (f && fgets(line, sizeof(line), f)) {
		char *colon = strchr(line, ':');

		if (!colon)
			continue;
		*colon = ' ';
		if (sscanf(line, "%39s %llu %*u %*u %*u %*u %*u %*u %*u %llu", name, &in, &out) ==
		            3 &&
		    !strcmp(name, network)) {
			*received = (double)in;
			*sent = (double)out;
			found = true;
		}
	}
	if (f)
		fclose(f);
	if (!found)
		give_up("there is no network device %s", network);
}

/* ---- phases ---------------------------------------------------------------------------------- */

enum { PHASES = 16 };
struct figures {
	double at, processor, own, wal, written, hot, received, sent;
};
static struct figures before;
static double last_written, last_hot; /* at the end of the last phase */
static const char *phase;
static char *rows_text[PHASES];
static size_t phase_count;

/* A backend tells of the rows it has written a second later, with its next statement. */
static void count_written(struct figures *f)
{
	clock_sleep_until(clock_monotonic_ns() + UINT64_C(1700000000));
	f->written = figures_number("select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) "
	                            "from pg_stat_user_tables where schemaname = 'k2k_fleet'");
	f->hot = figures_number("select coalesce(sum(n_tup_hot_upd), 0) from pg_stat_user_tables "
	                        "where schemaname = 'k2k_fleet'");
}

static struct figures look(void)
{
	struct figures f = { .at = (double)clock_monotonic_ns() / 1e9 };
	struct rusage own;

	f.processor = sum_of_processes(seconds_of);
	getrusage(RUSAGE_SELF, &own);
	f.own = (double)(own.ru_utime.tv_sec + own.ru_stime.tv_sec) +
	        (double)(own.ru_utime.tv_usec + own.ru_stime.tv_usec) / 1e6;
	count_bytes(&f.received, &f.sent);
	f.wal = figures_number("select pg_current_wal_lsn() - '0/0'");
	return f;
}

static uint64_t count_statements(uint64_t *rows)
{
	uint64_t count = 0;

	*rows = 0;
	for (size_t k = 0; k < statements.count; k++) {
		count += durations_count(&statements.kinds[k].took);
		*rows += statements.kinds[k].rows;
	}
	return count;
}

static void print_head(void)
{
	printf("| Phase | s | statements/s | rows read/s | rows written/s | of them HOT "
	       "| kB/s to the database | kB/s from it | log kB/s | database, cores | simulation, "
	       "cores | failures |\n"
	       "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n");
}

void phase_begin(const char *name)
{
	phase = name;
	before = look();
	before.written = last_written;
	before.hot = last_hot;
	statements_reset();
}

static void print_kinds(void)
{
	printf("\n  %-22s %9s %9s %9s %9s\n", phase, "number", "p50 ms", "p99 ms", "rows");
	for (size_t k = 0; k < statements.count; k++) {
		const struct kind *kind = &statements.kinds[k];
		uint64_t count = durations_count(&kind->took);

		if (count)
			printf("  %-22s %9" PRIu64 " %9.2f %9.2f %9" PRIu64 "\n", kind->name, count,
			       durations_quantile(&kind->took, 500),
			       durations_quantile(&kind->took, 990), kind->rows);
	}
	printf("\n");
}

void phase_end(void)
{
	struct figures now = look();
	uint64_t rows, count = count_statements(&rows);
	double s = now.at - before.at, written;

	print_kinds();
	count_written(&now);
	written = now.written - before.written;
	last_written = now.written;
	last_hot = now.hot;
	if (phase_count < PHASES &&
	    asprintf(
		    &rows_text[phase_count++],
		    "| %s | %.1f | %.0f | %.0f | %.0f | %.0f %% | %.0f | %.0f | %.0f | %.2f | %.2f "
		    "| %" PRIu64 " |\n",
		    phase, s, (double)count / s, (double)rows / s, written / s,
		    written > 0 ? 100 * (now.hot - before.hot) / written : 0,
		    (now.sent - before.sent) / s / 1e3, (now.received - before.received) / s / 1e3,
		    (now.wal - before.wal) / s / 1e3, (now.processor - before.processor) / s,
		    (now.own - before.own) / s, statements.failures) < 0)
		out_of_memory();
	fflush(stdout);
}

void figures_print(void)
{
	static const char *const tables[] = { "registration", "total",      "chunk",
		                              "budget",       "definition", "host" };
	double backends = figures_number("select count(*) from pg_stat_activity "
	                                 "where backend_type = 'client backend'");

	print_head();
	for (size_t i = 0; i < phase_count; i++) {
		fputs(rows_text[i], stdout);
		free(rows_text[i]);
	}
	printf("\n| Table | rows | MB with its indexes | bytes a row |\n|---|---:|---:|---:|\n");
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		char sql[100];
		double rows, bytes;

		snprintf(sql, sizeof(sql), "select count(*) from k2k_fleet.%s", tables[i]);
		rows = figures_number(sql);
		snprintf(sql, sizeof(sql), "select pg_total_relation_size('k2k_fleet.%s')",
		         tables[i]);
		bytes = figures_number(sql);
		printf("| %s | %.0f | %.1f | %.0f |\n", tables[i], rows, bytes / 1e6,
		       rows > 0 ? bytes / rows : 0);
	}
	printf("\nMemory of the server: %.0f MB (Pss, with the shared buffers that are in use), "
	       "%.0f "
	       "backends\n",
	       sum_of_processes(server_memory_of), backends);
}
