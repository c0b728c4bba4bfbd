/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A broker that tests of k2k-tenantctl attach: does what standard input says, one
 * call a line, and answers each with the name of the code it got.
 *
 *   admit TENANT ENGAGEMENT N   track TENANT ENGAGEMENT NS   kernel TENANT   memory TENANT BYTES
 *   reserve TENANT ENGAGEMENT NS       commit NS   of what was reserved last
 *   cross FROM TO [ENGAGEMENT NAME]    NAME: of the source, to the end of the line
 *   add TENANT ORG ENGAGEMENT NAME     remove 0 0 0 NAME   of a kernel, to the end of the line
 *   attach N   opens N more handles; the newest is the broker from then on
 *   shares EPOCH SECONDS   as an administrator lets shares hold for so long; 0: ends them
 *   batch      as an administrator takes the writer's lock, and keeps it
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <k2k/registry.h>

static int begin_batch(const char *name)
{
	static struct k2k_registry *admin;
	int code = k2k_registry_open(name, K2K_ROLE_ADMIN, NULL, &admin);

	return code ? code : k2k_batch_begin(admin);
}

static int hold_shares(const char *name, uint64_t epoch, uint64_t seconds)
{
	struct k2k_shares shares = K2K_SHARES_INIT;
	struct k2k_registry *admin;
	int code = k2k_registry_open(name, K2K_ROLE_ADMIN, NULL, &admin);

	if (code)
		return code;
	code = k2k_shares_get(admin, &shares);
	if (!code && shares.epoch != epoch)
		code = k2k_shares_hold(admin, epoch, 0);
	if (!code)
		code = k2k_shares_hold(
			admin, epoch, seconds ? shares.now_ns + seconds * UINT64_C(1000000000) : 0);
	k2k_registry_close(&admin);
	return code;
}

static int obey(struct k2k_registry *reg, const char *word, const uint64_t *n, const char *name)
{
	static struct k2k_reservation reserved;
	struct k2k_audit_tag tag = { 0, n[1] };

	if (!strcmp(word, "admit"))
		return k2k_message_admit(reg, n[0], tag, n[2], NULL);
	if (!strcmp(word, "track"))
		return k2k_usage_track(reg, n[0], tag, n[2]);
	if (!strcmp(word, "kernel"))
		return k2k_kernel_acquire(reg, n[0], NULL, NULL);
	if (!strcmp(word, "memory"))
		return k2k_gpu_memory_acquire(reg, n[0], n[1], NULL, NULL);
	if (!strcmp(word, "reserve")) {
		reserved = (struct k2k_reservation)K2K_RESERVATION_INIT;
		return k2k_usage_reserve(reg, n[0], tag, n[2], &reserved, NULL);
	}
	if (!strcmp(word, "commit"))
		return k2k_usage_commit(reg, &reserved, n[0]);
	if (!strcmp(word, "cross"))
		return k2k_audit_cross_tenant(reg, n[0], n[1], name, "b",
		                              (struct k2k_audit_tag){ 0, n[2] });
	if (!strcmp(word, "add"))
		return k2k_kernel_add(reg, name, n[0], (struct k2k_audit_tag){ n[1], n[2] },
		                      &(struct k2k_kernel_address){ { 1, 0xab } }, NULL);
	if (!strcmp(word, "remove"))
		return k2k_kernel_remove(reg, name);
	return K2K_EINVAL;
}

static int attach(const char *name, uint64_t n, struct k2k_registry **newest)
{
	int code = 0;

	for (uint64_t i = 0; i < n && !code; i++)
		code = k2k_registry_open(name, K2K_ROLE_BROKER, NULL, newest);
	return code;
}

int main(int argc, char **argv)
{
	struct k2k_registry *reg = NULL;
	char line[256], word[32];
	int code;

	if (argc != 2)
		return 2;
	code = k2k_registry_open(argv[1], K2K_ROLE_BROKER, NULL, &reg);
	puts(k2k_errname(code));
	fflush(stdout);
	if (code)
		return 1;
	while (fgets(line, sizeof(line), stdin)) {
		uint64_t n[3] = { 0, 0, 0 };
		char name[200] = "a";

		if (sscanf(line, "%31s %" SCNu64 " %" SCNu64 " %" SCNu64 " %199[^\n]", word, &n[0],
		           &n[1], &n[2], name) < 1)
			continue;
		if (!strcmp(word, "batch"))
			code = begin_batch(argv[1]);
		else if (!strcmp(word, "shares"))
			code = hold_shares(argv[1], n[0], n[1]);
		else if (!strcmp(word, "attach"))
			code = attach(argv[1], n[0], &reg);
		else
			code = obey(reg, word, n, name);
		puts(k2k_errname(code));
		fflush(stdout);
	}
	k2k_registry_close(&reg);
	return 0;
}
