/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * install_dlopen LIBRARY... NAME: opens the libraries in turn, calls `other` and the registry's
 * functions if they are there, and makes and removes the registry NAME.
 */
#include <dlfcn.h>
#include <stdio.h>

#include <k2k/registry.h>

#ifdef OTHER_IS_LINKED
void other(void);
#endif

#define GET(library, name) __typeof__(&name) p_##name = (__typeof__(&name))dlsym(library, #name)

static int use(void *library, const char *name)
{
	GET(library, k2k_registry_create);
	GET(library, k2k_registry_open);
	GET(library, k2k_registry_close);
	GET(library, k2k_registry_destroy);
	GET(library, k2k_tenant_register);
	GET(library, k2k_message_record);
	GET(library, k2k_version);
	struct k2k_registry *admin = NULL, *broker = NULL;

	if (p_k2k_registry_create(name, NULL, NULL) ||
	    p_k2k_registry_open(name, K2K_ROLE_ADMIN, NULL, &admin) ||
	    p_k2k_registry_open(name, K2K_ROLE_BROKER, NULL, &broker) ||
	    p_k2k_tenant_register(admin, 7, NULL) || p_k2k_message_record(broker, 7) ||
	    p_k2k_registry_close(&broker) || p_k2k_registry_close(&admin) ||
	    p_k2k_registry_destroy(name, 0, NULL))
		return 1;
	printf("%s ok\n", p_k2k_version());
	return 0;
}

int main(int argc, char **argv)
{
	int failed = 0;

#ifdef OTHER_IS_LINKED
	other();
#endif
	for (int i = 1; i < argc - 1; i++) {
		void *library = dlopen(argv[i], RTLD_NOW | RTLD_LOCAL);
		void (*call)(void);

		if (!library) {
			fprintf(stderr, "%s\n", dlerror());
			return 1;
		}
		call = (void (*)(void))dlsym(library, "other");
		if (call)
			call();
		if (dlsym(library, "k2k_version"))
			failed |= use(library, argv[argc - 1]);
	}
	return failed;
}
