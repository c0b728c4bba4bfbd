/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * agents.c - many agents in one process: each is a thread with a connection of its own, and makes
 * the passes of k2k-fleetd
 */
#include "scale.h"

/* for pass() and what it needs; its main() is not called */
#define main agent_main
int agent_main(int argc, char **argv);
#include "k2k-fleetd/main.c"
#undef main

#include <pthread.h>
#include <semaphore.h>

enum { STACK = 256 * 1024 };
#define JOIN_TIMEOUT_NS UINT64_C(300000000000)

struct host {
	pthread_t thread;
	struct agent agent;
	struct scale_registry registry;
	char name[32], conninfo[64];
	unsigned seed;
	bool joined;
	/* when it had what was expected, and which of the expectations it was */
	_Atomic uint64_t expected_at_ns, expectation;
	_Atomic bool disconnect;
};

struct load load;
static struct host *hosts;
static size_t host_count;
static sem_t places; /* for those who join */
static _Atomic size_t joined_count;
static _Atomic uint64_t expected_version = UINT64_MAX, expectation;
static _Atomic bool stopping;

static void joined(struct host *h)
{
	h->joined = true;
	h->agent.ctl.timeout_ns = UINT64_C(5000000000);
	joined_count++;
	sem_post(&places);
}

static void look_for_expected(struct host *h)
{
	uint64_t which = expectation;

	if (h->agent.applied < expected_version || h->disconnect || h->expectation == which)
		return;
	h->expected_at_ns = clock_monotonic_ns();
	h->expectation = which;
}

static int one_pass(struct host *h, struct due *due)
{
	struct agent *a = &h->agent;
	int code;

	if (atomic_exchange(&h->disconnect, false)) { /* as if a poll had failed */
		link_close(a);
		return K2K_EIO;
	}
	if (h->joined && clock_monotonic_ns() >= due->report_ns) {
		registry_use(&h->registry, load.used, &h->seed);
		registry_use_up(&h->registry, load.used_up, &h->seed);
	}
	code = pass(a, due);
	if (a->replaced) { /* it would end, and its unit would start it again */
		a->replaced = false;
		link_close(a);
	}
	if (code && !a->db.conn)
		link_close(a);
	if (code)
		return code;
	look_for_expected(h);
	if (!h->joined && a->applied)
		joined(h);
	return 0;
}

static void *live(void *argument)
{
	struct host *h = argument;
	struct due due = { .report_ns = 0 };

	sem_wait(&places);
	while (!stopping) {
		uint64_t pause = pause_after(&h->agent, one_pass(h, &due));

		clock_sleep_until(clock_monotonic_ns() + pause);
	}
	link_close(&h->agent);
	return NULL;
}

static void make_host(struct host *h, size_t number, const struct agents_options *options)
{
	registry_make(&h->registry, options->tenants, options->engagements);
	snprintf(h->name, sizeof(h->name), "scale-%zu", number);
	snprintf(h->conninfo, sizeof(h->conninfo), "user=scale_%zu", number);
	h->seed = (unsigned)number;
	h->agent = (struct agent){
		.conninfo = h->conninfo,
		.host = h->name,
		.poll_ns = 500000000,
		.report_ns = UINT64_C(10000000000),
		.full_ns = UINT64_C(72000000000000),
		.drain_ns = UINT64_C(30000000000),
		.chunk_ns = UINT64_C(10000000000),
		.ctl = { .quiet = true,
		         .fleet = true,
		         .registry = "scale",
		         .timeout_ns = JOIN_TIMEOUT_NS },
		.reg = (struct k2k_registry *)(void *)&h->registry,
	};
	k2k_registry_info(h->agent.reg, &h->agent.info);
	/* "connected" is no news here */
	snprintf(h->agent.said, sizeof(h->agent.said), "host %s: connected to the fleet", h->name);
}

void agents_start(const struct agents_options *options)
{
	pthread_attr_t attributes;

	host_count = options->hosts;
	hosts = check_memory(calloc(host_count, sizeof(*hosts)));
	sem_init(&places, 0, (unsigned)options->joining);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK);
	for (size_t i = 0; i < host_count; i++) {
		make_host(&hosts[i], i + 1, options);
		if (pthread_create(&hosts[i].thread, &attributes, live, &hosts[i]))
			give_up("no thread for host %zu", i + 1);
	}
	pthread_attr_destroy(&attributes);
}

double agents_wait_joined(uint64_t since_ns)
{
	while (joined_count < host_count)
		clock_sleep_until(clock_monotonic_ns() + 10000000);
	return (double)(clock_monotonic_ns() - since_ns) / 1e9;
}

void agents_expect(uint64_t version)
{
	expected_version = version;
	expectation++;
}

static size_t count_expected(void)
{
	size_t count = 0;

	for (size_t i = 0; i < host_count; i++)
		count += hosts[i].expectation == expectation;
	return count;
}

size_t agents_wait_expected(uint64_t since_ns, uint64_t most_ns, struct durations *took)
{
	size_t count;

	while ((count = count_expected()) < host_count && clock_monotonic_ns() < since_ns + most_ns)
		clock_sleep_until(clock_monotonic_ns() + 5000000);
	for (size_t i = 0; i < host_count; i++) {
		uint64_t at = hosts[i].expected_at_ns;

		if (hosts[i].expectation == expectation)
			durations_add(took, at > since_ns ? at - since_ns : 0);
	}
	return count;
}

void agents_disconnect(void)
{
	for (size_t i = 0; i < host_count; i++)
		hosts[i].disconnect = true;
}

void agents_stop(void)
{
	stopping = true;
	for (size_t i = 0; i < host_count; i++)
		pthread_join(hosts[i].thread, NULL);
}
