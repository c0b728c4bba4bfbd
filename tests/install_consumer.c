/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An application in the common subset of C and C++: makes the registry NAME, and admits a message
 * as one of its brokers.
 */
#include <stdio.h>

#include <k2k/registry.h>

#define CHECK(call)                                                               \
	do {                                                                      \
		int code = (call);                                                \
		if (code != 0) {                                                  \
			fprintf(stderr, "%s: %s: %s\n", #call, k2k_errname(code), \
			        k2k_strerror(code));                              \
			return 1;                                                 \
		}                                                                 \
	} while (0)

int main(int argc, char **argv)
{
	struct k2k_registry *admin = NULL, *broker = NULL;
	struct k2k_quota quota = K2K_QUOTA_STANDARD;
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	struct k2k_audit_tag tag = { 1, 2 };

	if (argc != 2)
		return 2;
	CHECK(k2k_registry_create(argv[1], NULL, NULL));
	CHECK(k2k_registry_open(argv[1], K2K_ROLE_ADMIN, NULL, &admin));
	CHECK(k2k_registry_open(argv[1], K2K_ROLE_BROKER, NULL, &broker));
	CHECK(k2k_tenant_register(admin, 7, &quota));
	CHECK(k2k_message_admit(broker, 7, tag, 1, &verdict));
	if (verdict.used != 1)
		return 3;
	CHECK(k2k_registry_close(&broker));
	CHECK(k2k_registry_close(&admin));
	CHECK(k2k_registry_destroy(argv[1], 0, NULL));
	printf("%s ok\n", k2k_version());
	return 0;
}
