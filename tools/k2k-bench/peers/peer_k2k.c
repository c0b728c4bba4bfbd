/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The registry itself, through its shared library. */
#include "peer.h"

#include <k2k/registry.h>
#include <string.h>

enum { DEFAULT_TENANTS = 4096 };

static const struct k2k_audit_tag tag = { .org_id = 1, .engagement_id = 1 };
static char name[K2K_NAME_MAX + 1];
static struct k2k_registry *admin, *broker;

static void must(int code, const char *what)
{
	if (code)
		peer_fail("%s: %s: %s", what, k2k_strerror(code), k2k_error_detail()->text);
}

static void create(const struct peer_options *options, const uint64_t *ids)
{
	struct k2k_create_options sizes = K2K_CREATE_OPTIONS_INIT;
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;
	const char *last = strrchr(options->directory, '/');

	/* whoever finds it, knows of which run it is */
	strncpy(name, last ? last + 1 : options->directory, sizeof(name) - 1);
	/* the default is what most have, and has room for 1,000 */
	if (options->tenants > DEFAULT_TENANTS)
		sizes.max_tenants = options->tenants;
	quota.max_messages_per_sec = options->limit;
	must(k2k_registry_create(name, &sizes, &admin), "create");
	for (unsigned i = 0; i < options->tenants; i++)
		must(k2k_tenant_register(admin, ids[i], &quota), "register");
}

static void attach(const struct peer_options *options, unsigned process)
{
	(void)options;
	(void)process;
	must(k2k_registry_open(name, K2K_ROLE_BROKER, NULL, &broker), "open");
}

static unsigned send(const uint64_t *ids, unsigned count, int64_t *answers)
{
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	unsigned admitted = 0;

	for (unsigned i = 0; i < count; i++) {
		int code = k2k_message_admit(broker, ids[i], tag, 1, answers ? &verdict : NULL);

		if (code && code != K2K_ERATE && code != K2K_ENOTENANT)
			must(code, "admit");
		admitted += code == 0;
		if (answers)
			answers[i] = code == K2K_ENOTENANT ? 0
			             : code                ? -(int64_t)verdict.window
			                                   : (int64_t)verdict.window;
	}
	return admitted;
}

static uint64_t total(const struct peer_options *options, const uint64_t *ids)
{
	struct k2k_tenant_info info = { .size = sizeof(info) };
	uint64_t sum = 0;

	for (unsigned i = 0; i < options->tenants; i++) {
		must(k2k_tenant_get(admin, ids[i], &info), "get");
		sum += info.admitted_total;
	}
	return sum;
}

static void destroy(void)
{
	if (!admin)
		return;
	k2k_registry_close(&admin);
	/* the senders may have been killed just now */
	must(k2k_registry_destroy(name, K2K_DESTROY_FORCE, NULL), "destroy");
}

int main(int argc, char **argv)
{
	static const struct peer peer = { "k2k", 0, create, attach, send, total, destroy };

	return peer_main(argc, argv, &peer);
}
