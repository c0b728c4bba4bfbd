/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit_audit_threads.c - the audit sink under a flood of rejections from several threads.
 *
 * The oracle counts the rejections that the calls return: the counts of all events, over all sinks,
 * must sum up to exactly that number.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "audit_recorder.h"

enum { THREADS = 4 };

static const struct k2k_audit_tag tag = { 1, 1 };
static const char *name;
static struct k2k_registry *admin, *broker;
static k2k_u64 rejected; /* returned by calls */
static k2k_u32 stop;

static void set_up(void)
{
	struct k2k_create_options sizes = K2K_CREATE_OPTIONS_INIT;
	struct k2k_quota nothing = { .size = sizeof nothing,
		                     .max_messages_per_sec = 0,
		                     .max_gpu_memory_bytes = 0,
		                     .max_concurrent_kernels = 0 };

	name = fresh_registry();
	sizes.max_tenants = 16;
	sizes.max_engagements = 64;
	sizes.max_budgets = 16;
	sizes.max_kernels = 16;
	assert_int_equal(k2k_registry_create(name, &sizes, &admin), 0);
	assert_int_equal(k2k_registry_open(name, K2K_ROLE_BROKER, NULL, &broker), 0);
	inject_clock(broker);
	for (k2k_tenant_id id = 1; id <= 3; id++)
		assert_int_equal(k2k_tenant_register(admin, id, &nothing), 0);
}

static void reject_once(unsigned i)
{
	k2k_tenant_id id = 1 + i % 3;

	switch (i % 7) {
	case 0: assert_int_equal(k2k_kernel_acquire(broker, id, NULL, NULL), K2K_EKERNELS); break;
	case 1: assert_int_equal(k2k_message_admit(broker, 99, tag, 1, NULL), K2K_ENOTENANT); break;
	case 2:
		assert_int_equal(k2k_audit_cross_tenant(broker, id, 9, "from", "to", tag), 0);
		break;
	default: assert_int_equal(k2k_message_admit(broker, id, tag, 1, NULL), K2K_ERATE);
	}
	atomic_fetch_add(&rejected, 1);
}

static void *flood(void *context)
{
	unsigned i = (unsigned)(uintptr_t)context;

	while (!atomic_load(&stop))
		reject_once(i++);
	return NULL;
}

static void *flood_some(void *context)
{
	for (unsigned i = 0; i < 20000; i++) {
		reject_once(i);
		if (i % 500 == 0)
			/* Seconds pass, at a different time for each thread. */
			atomic_fetch_add(&injected_ns, SECOND / 8);
	}
	return context;
}

static void start(pthread_t threads[THREADS], void *(*function)(void *))
{
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, function, (void *)(uintptr_t)i),
		                 0);
}

static void join(pthread_t threads[THREADS])
{
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
}

/* ---- a sink whose context may go away ------------------------------------------------------- */

struct counter {
	k2k_u64 sum, events, calls_now;
	k2k_u32 alive;
};

static void count(void *context, const struct k2k_audit_event *event)
{
	struct counter *c = context;

	assert_int_equal(atomic_load(&c->alive), 1);
	atomic_fetch_add(&c->calls_now, 1);
	assert_true(event->count > 0 && event->field_count > 0 && event->description &&
	            event->actor);
	for (uint32_t i = 0; i < event->field_count; i++)
		assert_true(event->fields[i].key && event->fields[i].value);
	atomic_fetch_add(&c->sum, event->count);
	atomic_fetch_add(&c->events, 1);
	atomic_fetch_sub(&c->calls_now, 1);
	assert_int_equal(atomic_load(&c->alive), 1);
}

static struct counter *new_counter(void)
{
	struct counter *c = calloc(1, sizeof *c);

	assert_non_null(c);
	atomic_store(&c->alive, 1);
	return c;
}

TEST(counts_sum_up_exactly_over_several_threads_and_seconds)
{
	struct counter *c = new_counter();
	pthread_t threads[THREADS];

	set_up();
	assert_int_equal(k2k_registry_set_audit_sink(broker, count, c), 0);
	start(threads, flood_some);
	join(threads);
	assert_int_equal(k2k_registry_close(&broker), 0);
	assert_int_equal(atomic_load(&c->sum), THREADS * 20000);
	assert_int_equal(atomic_load(&rejected), THREADS * 20000);
	/* Most of it was coalesced: about 10 kinds in each of some 20 seconds. */
	assert_true(atomic_load(&c->events) < atomic_load(&c->sum) / 4);
	free(c);
}

TEST(a_replaced_sink_is_never_called_again_and_nothing_is_lost)
{
	struct counter *old = new_counter();
	pthread_t threads[THREADS];
	uint64_t sum = 0;

	set_up();
	assert_int_equal(k2k_registry_set_audit_sink(broker, count, old), 0);
	start(threads, flood);
	for (int i = 0; i < 300; i++) {
		struct counter *fresh = new_counter();

		assert_int_equal(k2k_registry_set_audit_sink(broker, count, fresh), 0);
		assert_int_equal(atomic_load(&old->calls_now), 0);
		atomic_store(&old->alive, 0);
		sum += atomic_load(&old->sum);
		memset(old, 0xee, sizeof *old);
		free(old);
		old = fresh;
		if (i % 16 == 0)
			atomic_fetch_add(&injected_ns, SECOND);
	}
	atomic_store(&stop, 1);
	join(threads);
	assert_int_equal(k2k_registry_close(&broker), 0);
	sum += atomic_load(&old->sum);
	free(old);
	assert_int_equal(sum, atomic_load(&rejected));
}

TEST(without_a_sink_in_between_nothing_is_told_twice_or_too_late)
{
	pthread_t threads[THREADS];
	uint64_t sum = 0;

	set_up();
	start(threads, flood);
	for (int i = 0; i < 200; i++) {
		struct counter *c = new_counter();

		assert_int_equal(k2k_registry_set_audit_sink(broker, count, c), 0);
		nanosleep(&(struct timespec){ 0, 200000 }, NULL);
		assert_int_equal(k2k_registry_set_audit_sink(broker, NULL, NULL), 0);
		assert_int_equal(atomic_load(&c->calls_now), 0);
		sum += atomic_load(&c->sum);
		memset(c, 0xee, sizeof *c);
		free(c);
	}
	atomic_store(&stop, 1);
	join(threads);
	assert_true(sum > 0 && sum <= atomic_load(&rejected));
	assert_int_equal(k2k_registry_close(&broker), 0);
}

static void *replace(void *context)
{
	for (int i = 0; i < 100; i++)
		assert_int_equal(k2k_registry_set_audit_sink(broker, count, context), 0);
	return NULL;
}

TEST(several_threads_replace_the_sink_at_once)
{
	struct counter *counters[THREADS];
	pthread_t flooders[THREADS], replacers[THREADS];
	uint64_t sum = 0;

	set_up();
	for (int i = 0; i < THREADS; i++)
		counters[i] = new_counter();
	assert_int_equal(k2k_registry_set_audit_sink(broker, count, counters[0]), 0);
	start(flooders, flood);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&replacers[i], NULL, replace, counters[i]), 0);
	join(replacers);
	atomic_store(&stop, 1);
	join(flooders);
	assert_int_equal(k2k_registry_close(&broker), 0);
	for (int i = 0; i < THREADS; i++) {
		sum += atomic_load(&counters[i]->sum);
		free(counters[i]);
	}
	assert_int_equal(sum, atomic_load(&rejected));
}

/* A call that returned EINVAL came after the close. */
static void *flood_until_closed(void *context)
{
	struct k2k_registry *kept = context;
	int code;

	while ((code = k2k_message_admit(kept, 1, tag, 1, NULL)) == K2K_ERATE)
		atomic_fetch_add(&rejected, 1);
	assert_int_equal(code, K2K_EINVAL);
	return NULL;
}

TEST(close_waits_for_the_sink_and_lets_everything_out)
{
	for (int round = 0; round < 20; round++) {
		struct counter *c = new_counter();
		pthread_t threads[THREADS];

		if (round == 0)
			set_up();
		atomic_store(&rejected, 0);
		assert_int_equal(k2k_registry_set_audit_sink(broker, count, c), 0);
		for (int i = 0; i < THREADS; i++)
			assert_int_equal(
				pthread_create(&threads[i], NULL, flood_until_closed, broker), 0);
		nanosleep(&(struct timespec){ 0, 2000000 }, NULL);
		assert_int_equal(k2k_registry_close(&broker), 0);
		assert_int_equal(atomic_load(&c->calls_now), 0);
		atomic_store(&c->alive, 0);
		join(threads);
		assert_int_equal(atomic_load(&c->sum), atomic_load(&rejected));
		free(c);
		assert_int_equal(k2k_registry_open(name, K2K_ROLE_BROKER, NULL, &broker), 0);
		inject_clock(broker);
	}
}
