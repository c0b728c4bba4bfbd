/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* metrics.c - the agent's state for Prometheus, in a file that k2k-exporter --fleet serves */
#include "agent.h"
#include "common/clock.h"
#include "common/metrics_out.h"
#include "common/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WRITE_NS UINT64_C(1000000000) /* between two */

static uint64_t problems(const struct agent *a)
{
	uint64_t count = 0;

	for (size_t i = 0; i < a->definition_count; i++)
		count += a->definitions[i].problem != NULL;
	return count;
}

static void put_link(struct metrics_out *o, const struct agent *a)
{
	char host[256], name[CLOCK_NAME], clock[CLOCK_NAME];

	lease_clock(name);
	metrics_family(o, "fleet_info", "gauge",
	               "Always 1; the host's name in the fleet, and what its kernel takes the time "
	               "from.");
	metrics_series(o, "fleet_info", METRICS_COUNT, 1, ",host=\"%s\",clock=\"%s\"",
	               metrics_label(host, sizeof(host), a->host, strlen(a->host)),
	               metrics_label(clock, sizeof(clock), name, strlen(name)));
	metrics_single(o, "fleet_written_timestamp_seconds", "gauge", METRICS_SECONDS,
	               clock_wall_ns(), "When the agent wrote this: every second, if it runs.");
	metrics_single(o, "fleet_connected", "gauge", METRICS_COUNT, a->db.conn && a->epoch,
	               "1: the database answers the agent.");
	metrics_family(o, "fleet_errors_total", "counter",
	               "Failures of the database, and of opening the registry, since the agent "
	               "started.");
	metrics_series(o, "fleet_errors_total", METRICS_COUNT, a->counts.database_errors,
	               ",of=\"database\"");
	metrics_series(o, "fleet_errors_total", METRICS_COUNT, a->counts.registry_errors,
	               ",of=\"registry\"");
	metrics_single(o, "fleet_report_timestamp_seconds", "gauge", METRICS_SECONDS,
	               a->counts.reported_at_ns,
	               "When the agent last reported all that there was; 0: not since it started.");
	metrics_single(o, "fleet_unreported_rows", "gauge", METRICS_COUNT, a->counts.unreported,
	               "Totals of tenants and engagements that the database has not acknowledged.");
}

static void put_definitions(struct metrics_out *o, const struct agent *a)
{
	metrics_single(o, "fleet_known_version", "gauge", METRICS_COUNT, a->have,
	               "The last change of definitions that the database has told of.");
	metrics_single(o, "fleet_applied_version", "gauge", METRICS_COUNT, a->applied,
	               "All definitions up to this change are in force, but for the problems.");
	metrics_single(o, "fleet_problems", "gauge", METRICS_COUNT, problems(a),
	               "Definitions that are not in force on this host: k2k-fleetctl problems.");
	metrics_single(o, "fleet_registrations", "gauge", METRICS_COUNT, a->registration_count,
	               "Tenants of this registry that belong to the fleet.");
}

static void put_chunks(struct metrics_out *o, const struct agent *a)
{
	uint64_t drawn = 0, used = 0, count = 0;

	for (size_t i = 0; i < a->chunk_count; i++) {
		if (a->chunks[i].kind != CHUNK_BUDGET)
			continue;
		count++;
		drawn += a->chunks[i].drawn;
		used += a->chunks[i].used;
	}
	metrics_single(o, "fleet_chunks", "gauge", METRICS_COUNT, count,
	               "Budgets over the fleet that this host may draw from.");
	metrics_single(o, "fleet_chunks_drawn_seconds", "gauge", METRICS_SECONDS, drawn,
	               "GPU time that this host has drawn of them and not returned, used or not.");
	metrics_single(o, "fleet_chunks_used_seconds", "gauge", METRICS_SECONDS, used,
	               "GPU time that was used of them here, or is reserved.");
	metrics_single(o, "fleet_drawn_seconds_total", "counter", METRICS_SECONDS,
	               a->counts.drawn_ns, "GPU time drawn since the agent started.");
	metrics_single(o, "fleet_returned_seconds_total", "counter", METRICS_SECONDS,
	               a->counts.returned_ns, "GPU time returned since the agent started.");
}

static void put_shares(struct metrics_out *o, const struct agent *a)
{
	struct k2k_shares shares = K2K_SHARES_INIT;
	uint64_t counts[CHUNK_KINDS] = { 0 }, left = 0;

	for (size_t i = 0; i < a->chunk_count; i++)
		counts[a->chunks[i].kind]++;
	if (a->reg && !k2k_shares_get(a->reg, &shares))
		left = snapshot_shares_left_ns(&shares);
	metrics_family(o, "fleet_shares", "gauge",
	               "Limits over the fleet of which this host may have shares.");
	for (int kind = CHUNK_RATE; kind < CHUNK_KINDS; kind++)
		metrics_series(o, "fleet_shares", METRICS_COUNT, counts[kind], ",of=\"%s\"",
		               chunk_kind_names[kind]);
	metrics_single(
		o, "fleet_lease_seconds", "gauge", METRICS_SECONDS, left,
		"Until shares of rates end, if they are not renewed; 0: they are not in force.");
	metrics_single(o, "fleet_leases_lost_total", "counter", METRICS_COUNT,
	               a->counts.leases_lost,
	               "How often shares of rates had ended before they were renewed.");
	metrics_single(o, "fleet_leases_taken_total", "counter", METRICS_COUNT,
	               a->counts.leases_taken,
	               "How often this agent found that another host's lease had ended.");
}

static bool write_file(const char *path, const char *text, size_t length)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	bool good;

	if (fd < 0)
		return false;
	/* whatever the umask: the exporter has another user */
	good = fchmod(fd, 0644) == 0 && write(fd, text, length) == (ssize_t)length;
	return close(fd) == 0 && good;
}

void metrics_write(struct agent *a)
{
	struct metrics_out o = { .registry = a->ctl.registry };
	uint64_t now = clock_monotonic_ns();
	char *text, *beside;
	size_t length;

	if (!a->metrics || (a->metrics_due_ns > now && !a->once))
		return;
	a->metrics_due_ns = now + WRITE_NS;
	o.text = text_open(&text, &length);
	put_link(&o, a);
	put_definitions(&o, a);
	put_chunks(&o, a);
	put_shares(&o, a);
	text_close(o.text);
	beside = check_memory(malloc(strlen(a->metrics) + sizeof(".new")));
	sprintf(beside, "%s.new", a->metrics);
	if (!write_file(beside, text, length) || rename(beside, a->metrics)) {
		say(a, "--metrics %s: %s", a->metrics, strerror(errno));
		unlink(beside);
	}
	free(beside);
	free(text);
}

void metrics_remove(const struct agent *a)
{
	if (a->metrics)
		unlink(a->metrics);
}
