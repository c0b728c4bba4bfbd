/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_dlopen - the library is loaded late, when static TLS is nearly used up, and closed early,
 * with handles open
 */
#include "process.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>

enum { TENANT = 7, STATIC_TLS_MOST = 16 };

#define GET(library, name) __typeof__(&name) p_##name = (__typeof__(&name))dlsym(library, #name)

/* Reads the size of the library's TLS from its program headers. */
static int find_tls(struct dl_phdr_info *info, size_t size, void *context)
{
	size_t *bytes = context;

	(void)size;
	if (!strstr(info->dlpi_name, "libk2k-registry"))
		return 0;
	*bytes = 0;
	for (int i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_TLS)
			*bytes += info->dlpi_phdr[i].p_memsz;
	return 1;
}

TEST(the_library_can_be_loaded_where_static_tls_is_nearly_used_up)
{
	size_t bytes = SIZE_MAX;
	void *library;

	if (!dlopen(K2K_TLS_EATER, RTLD_NOW))
		skip_msg("this C library keeps less static TLS for later than the test's other "
		         "library takes");
	library = dlopen(K2K_LIBRARY, RTLD_NOW);
	if (!library)
		fail_msg("%s", dlerror());
	assert_int_equal(dl_iterate_phdr(find_tls, &bytes), 1);
	assert_true(bytes <= STATIC_TLS_MOST);
	GET(library, k2k_registry_open);
	struct k2k_registry *reg = NULL;

	assert_int_equal(p_k2k_registry_open("process-dlopen-none", K2K_ROLE_BROKER, NULL, &reg),
	                 K2K_ENOREGISTRY);
}

struct threads {
	struct k2k_registry *broker;
	__typeof__(&k2k_message_admit) admit;
	atomic_int called, stop;
};

static void *calls_before_and_after(void *argument)
{
	struct threads *threads = argument;

	assert_int_equal(threads->admit(threads->broker, TENANT, no_tag, 1, NULL), 0);
	atomic_store(&threads->called, 1);
	while (!atomic_load(&threads->stop))
		assert_int_equal(threads->admit(threads->broker, TENANT, no_tag, 1, NULL), 0);
	return NULL; /* runs the library's handler of thread exit */
}

TEST(dlclose_with_open_handles_leaves_the_library_at_work)
{
	const char *name = fresh_registry();
	void *library = dlopen(K2K_LIBRARY, RTLD_NOW | RTLD_LOCAL);
	struct threads threads = { .broker = NULL };
	struct k2k_registry *admin;
	pthread_t id;
	pid_t child;

	if (!library)
		fail_msg("%s", dlerror());
	GET(library, k2k_registry_create);
	GET(library, k2k_registry_open);
	GET(library, k2k_registry_close);
	GET(library, k2k_registry_destroy);
	GET(library, k2k_tenant_register);
	GET(library, k2k_tenant_deregister);
	threads.admit = (__typeof__(threads.admit))dlsym(library, "k2k_message_admit");
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;
	struct k2k_tenant_totals totals = { .size = sizeof totals };

	assert_int_equal(p_k2k_registry_create(name, NULL, &admin), 0);
	assert_int_equal(p_k2k_tenant_register(admin, TENANT, &quota), 0);
	assert_int_equal(p_k2k_registry_open(name, K2K_ROLE_BROKER, NULL, &threads.broker), 0);
	assert_int_equal(pthread_create(&id, NULL, calls_before_and_after, &threads), 0);
	WAIT_UNTIL(atomic_load(&threads.called), PATIENCE_S);
	assert_int_equal(dlclose(library), 0);
	/* Fork handlers, the broker's threads, calls, and the end of a thread still work. */
	child = spawn();
	if (child == 0)
		exit(0);
	spawn_wait(child);
	atomic_store(&threads.stop, 1);
	assert_int_equal(pthread_join(id, NULL), 0);
	assert_int_equal(p_k2k_tenant_deregister(admin, TENANT, &totals), 0);
	assert_int_equal(totals.final, 1);
	assert_int_equal(p_k2k_registry_close(&threads.broker), 0);
	assert_int_equal(p_k2k_registry_close(&admin), 0);
	assert_int_equal(p_k2k_registry_destroy(name, 0, NULL), 0);
}
