/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit_audit_sink.c - what an audit sink may do, even while it is being replaced */
#include "audit_fixture.h"

#include <semaphore.h>

/* ---- what a sink may do ------------------------------------------------------------------- */

static struct fixture *in_sink;
static int entered, codes[8];
static sem_t is_inside, may_go;

static void refused(void *context, const struct k2k_audit_event *event)
{
	struct k2k_registry *reg = in_sink->broker, *copy = reg;

	(void)context, (void)event;
	entered++;
	codes[0] = k2k_registry_set_audit_sink(reg, NULL, NULL);
	codes[1] = k2k_registry_set_audit_sink(reg, record, &other);
	codes[2] = k2k_registry_close(&copy);
	assert_true(copy == reg);
	codes[3] = k2k_tenant_count(reg, &(size_t){ 0 });
}

TEST(a_sink_can_neither_close_nor_replace)
{
	static struct fixture f;

	set_up(&f);
	in_sink = &f;
	assert_int_equal(k2k_registry_set_audit_sink(f.broker, refused, NULL), 0);
	assert_int_equal(k2k_message_admit(f.broker, 1, tag, 6, NULL), K2K_ERATE);
	assert_int_equal(entered, 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(codes[i], K2K_EBUSY);
	assert_int_equal(codes[3], 0);
	/* The handle is still open, and has this sink. */
	assert_int_equal(k2k_message_admit(f.broker, 1, tag, 6, NULL), K2K_ERATE);
	assert_int_equal(k2k_message_admit(f.broker, 2, tag, 6, NULL), K2K_ERATE);
	assert_int_equal(entered, 2);
	assert_int_equal(k2k_registry_close(&f.broker), 0);
	assert_int_equal(entered, 3);
}

static void calls_everything(void *context, const struct k2k_audit_event *event)
{
	struct k2k_tenant_info info = { .size = sizeof info };
	struct k2k_broker_info list[2] = { { .size = sizeof list[0] } };
	struct k2k_registry *reg = in_sink->broker;
	size_t count;

	(void)context, (void)event;
	if (entered++ > 0)
		return;
	assert_int_equal(k2k_tenant_get(reg, 1, &info), 0);
	assert_int_equal(k2k_broker_list(reg, list, 2, &count), 0);
	assert_int_equal(k2k_message_admit(reg, 2, tag, 1, NULL), 0);
	/* calls the sink recursively */
	assert_int_equal(k2k_message_admit(reg, 2, tag, 6, NULL), K2K_ERATE);
	assert_int_equal(k2k_kernel_acquire(reg, 2, NULL, NULL), 0);
	assert_int_equal(k2k_kernel_acquire(reg, 2, NULL, NULL), K2K_EKERNELS);
	assert_int_equal(k2k_kernel_release_id(reg, 2), 0);
	assert_int_equal(k2k_usage_track(reg, 2, tag, 1), 0);
	assert_int_equal(
		k2k_tenant_update(in_sink->admin, 2, &(struct k2k_quota)K2K_QUOTA_STANDARD, 0), 0);
	assert_int_equal(k2k_registry_check(reg, NULL, 0, &count), 0);
	assert_int_equal(count, 0);
}

TEST(a_sink_may_call_the_registry)
{
	static struct fixture f;

	set_up(&f);
	in_sink = &f;
	assert_int_equal(k2k_registry_set_audit_sink(f.broker, calls_everything, NULL), 0);
	assert_int_equal(k2k_kernel_acquire(f.broker, 1, NULL, NULL), 0);
	assert_int_equal(k2k_kernel_acquire(f.broker, 1, NULL, NULL), K2K_EKERNELS);
	assert_true(entered >= 3);
	assert_int_equal(k2k_registry_close(&f.broker), 0);
}

static void calls_from_admin(void *context, const struct k2k_audit_event *event)
{
	(void)context;
	if (entered++ == 0) {
		assert_string_equal(event->description, "tenant 60 registered");
		assert_int_equal(k2k_tenant_register(in_sink->admin, 61, NULL), 0);
		assert_int_equal(k2k_tenant_deregister(in_sink->admin, 60, NULL), 0);
	}
}

TEST(a_sink_may_change_definitions)
{
	static struct fixture f;
	int registered;

	set_up(&f);
	in_sink = &f;
	assert_int_equal(k2k_registry_set_audit_sink(f.admin, calls_from_admin, NULL), 0);
	assert_int_equal(k2k_tenant_register(f.admin, 60, NULL), 0);
	assert_int_equal(entered, 3);
	assert_int_equal(k2k_tenant_is_registered(f.observer, 60, &registered), 0);
	assert_int_equal(registered, 0);
	assert_int_equal(k2k_tenant_is_registered(f.observer, 61, &registered), 0);
	assert_int_equal(registered, 1);
}

static void forks(void *context, const struct k2k_audit_event *event)
{
	pid_t pid;

	(void)context, (void)event;
	if (entered++)
		return;
	pid = spawn();
	if (pid == 0) {
		struct k2k_registry *fresh;
		size_t count;

		assert_int_equal(k2k_message_admit(in_sink->broker, 1, tag, 1, NULL), K2K_EFORKED);
		assert_int_equal(k2k_tenant_count(in_sink->broker, &count), K2K_EFORKED);
		assert_int_equal(k2k_registry_open(in_sink->name, K2K_ROLE_OBSERVER, NULL, &fresh),
		                 0);
		assert_int_equal(k2k_tenant_count(fresh, &count), 0);
		assert_int_equal(count, 2);
		_exit(0);
	}
	spawn_wait_within(pid, 10);
}

TEST(a_sink_may_fork)
{
	static struct fixture f;

	set_up(&f);
	in_sink = &f;
	assert_int_equal(k2k_registry_set_audit_sink(f.broker, forks, NULL), 0);
	assert_int_equal(k2k_message_admit(f.broker, 1, tag, 6, NULL), K2K_ERATE);
	assert_int_equal(entered, 1);
	assert_int_equal(k2k_message_admit(f.broker, 1, tag, 1, NULL), 0);
}

/* ---- while it is being replaced -------------------------------------------------------------- */

static void waits_then_acquires(void *context, const struct k2k_audit_event *event)
{
	(void)context, (void)event;
	sem_post(&is_inside);
	sem_wait(&may_go);
	nanosleep(&(struct timespec){ 0, 100000000 }, NULL); /* by now the replacer waits for us */
	codes[0] = k2k_kernel_acquire(in_sink->broker, 1, NULL, NULL);
	codes[1] = k2k_kernel_release_id(in_sink->broker, 1);
}

static void *reject_one(void *context)
{
	assert_int_equal(k2k_message_admit(context, 1, tag, 6, NULL), K2K_ERATE);
	return NULL;
}

TEST(a_sink_that_calls_the_registry_while_it_is_replaced_finishes)
{
	static struct fixture f;
	pthread_t thread;

	set_up(&f);
	in_sink = &f;
	sem_init(&is_inside, 0, 0);
	sem_init(&may_go, 0, 0);
	assert_int_equal(k2k_registry_set_audit_sink(f.broker, waits_then_acquires, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, reject_one, f.broker), 0);
	sem_wait(&is_inside);
	sem_post(&may_go);
	assert_int_equal(k2k_registry_set_audit_sink(f.broker, NULL, NULL), 0);
	pthread_join(thread, NULL);
	assert_int_equal(codes[0], 0);
	assert_int_equal(codes[1], 0);
}

static void waits(void *context, const struct k2k_audit_event *event)
{
	(void)context, (void)event;
	sem_post(&is_inside);
	sem_wait(&may_go);
}

static void *replace(void *context)
{
	assert_int_equal(k2k_registry_set_audit_sink(context, NULL, NULL), 0);
	return NULL;
}

TEST(a_child_forked_while_the_sink_is_being_replaced_does_not_hang)
{
	static struct fixture f;
	pthread_t rejecter, replacer;
	pid_t pid;

	set_up(&f);
	sem_init(&is_inside, 0, 0);
	sem_init(&may_go, 0, 0);
	assert_int_equal(k2k_registry_set_audit_sink(f.broker, waits, NULL), 0);
	assert_int_equal(pthread_create(&rejecter, NULL, reject_one, f.broker), 0);
	sem_wait(&is_inside);
	assert_int_equal(pthread_create(&replacer, NULL, replace, f.broker), 0);
	/* by now the replacer waits for the rejecter */
	nanosleep(&(struct timespec){ 0, 100000000 }, NULL);
	pid = spawn();
	if (pid == 0) {
		assert_int_equal(k2k_registry_set_audit_sink(f.broker, NULL, NULL), K2K_EFORKED);
		assert_int_equal(k2k_kernel_acquire(f.broker, 1, NULL, NULL), K2K_EFORKED);
		assert_int_equal(k2k_registry_close(&f.broker), K2K_EFORKED);
		_exit(0);
	}
	sem_post(&may_go);
	pthread_join(rejecter, NULL);
	pthread_join(replacer, NULL);
	spawn_wait_within(pid, 10);
}

/*
 * Runs a thread that has never used the registry, in a child made by _Fork(), while other threads
 * wait for grace periods of their process.
 */
static void *replace_until_told(void *context)
{
	while (sem_trywait(&may_go) != 0)
		assert_int_equal(k2k_registry_set_audit_sink(context, record, &other), 0);
	return NULL;
}

enum { FORKS_MIN = 10, FORKS = 200 };
#define FORKS_NS \
	(5 * K2K_NS_PER_SEC) /* on a loaded machine, or with a sanitizer, a fork takes long */

static void *fork_bare(void *context)
{
	pid_t pid = _Fork();

	if (pid == 0) {
		assert_int_equal(k2k_tenant_count(context, &(size_t){ 0 }), K2K_EFORKED);
		assert_int_equal(k2k_message_admit(context, 1, tag, 1, NULL), K2K_EFORKED);
		_exit(0);
	}
	spawn_wait_within(pid, 10);
	return NULL;
}

TEST(a_thread_new_to_the_registry_is_told_of_the_bare_fork_too)
{
	static struct fixture f;
	pthread_t replacer, forker;
	uint64_t end = k2k_clock_monotonic_ns() + FORKS_NS;

	set_up(&f);
	sem_init(&may_go, 0, 0);
	assert_int_equal(pthread_create(&replacer, NULL, replace_until_told, f.broker), 0);
	for (int i = 0; i < FORKS_MIN || (i < FORKS && k2k_clock_monotonic_ns() < end); i++) {
		assert_int_equal(pthread_create(&forker, NULL, fork_bare, f.broker), 0);
		pthread_join(forker, NULL);
	}
	sem_post(&may_go);
	pthread_join(replacer, NULL);
}
