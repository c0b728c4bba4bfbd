/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * files_fixture.h - a small registry whose files are damaged; every attempt to attach returns the
 * right error and leaves nothing behind.
 */
#ifndef K2K_TESTS_FILES_FIXTURE_H
#define K2K_TESTS_FILES_FIXTURE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "badinput.h"

#include <dlfcn.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "k2k/registry.h"
#include "layout.h"
#include "lock.h"

#define STRANGER 4242

HARNESS_USED static const struct k2k_create_options small = { .size = sizeof small,
	                                                      .max_tenants = 16,
	                                                      .max_engagements = 64,
	                                                      .max_leases = 64,
	                                                      .max_budgets = 16,
	                                                      .max_kernels = 16,
	                                                      .max_audit_events = 1 };
HARNESS_USED static const char *name;
HARNESS_USED static struct bytes bytes;

HARNESS_USED static const char *role_name(int role)
{
	return role == K2K_ROLE_ADMIN ? "ADMIN" : role == K2K_ROLE_BROKER ? "BROKER" : "OBSERVER";
}

#define CHECK_CODE(found, wanted, ...)                                                           \
	do {                                                                                     \
		int code_f = (found), code_e = (wanted);                                         \
		char code_what[256];                                                             \
		snprintf(code_what, sizeof code_what, __VA_ARGS__);                              \
		if (code_f != code_e)                                                            \
			fail_msg("%s: %d (%s), expected %d (%s); detail: %s", code_what, code_f, \
			         k2k_errname(code_f), code_e, k2k_errname(code_e),               \
			         k2k_error_detail()->text);                                      \
	} while (0)

/* Attaching in each role must return `code`, change nothing and leave nothing behind. */
HARNESS_USED static void refused(int code, const char *what)
{
	static struct traces before;

	for (int role = K2K_ROLE_ADMIN; role <= K2K_ROLE_OBSERVER; role++) {
		struct k2k_registry *reg = (struct k2k_registry *)&before;

		traces_take(&before, name);
		CHECK_CODE(k2k_registry_open(name, (enum k2k_role)role, NULL, &reg), code,
		           "%s, as %s", what, role_name(role));
		assert_null(reg);
		assert_int_equal(k2k_error_detail()->code, code);
		assert_true(k2k_error_detail()->text[0] != '\0');
		CHECK_TRACES(&before, name, what);
	}
}

HARNESS_USED static void accepted(const char *what)
{
	for (int role = K2K_ROLE_ADMIN; role <= K2K_ROLE_OBSERVER; role++) {
		struct k2k_registry *reg;

		CHECK_CODE(k2k_registry_open(name, (enum k2k_role)role, NULL, &reg), 0, "%s, as %s",
		           what, role_name(role));
		assert_int_equal(k2k_registry_close(&reg), 0);
	}
}

HARNESS_USED static void set_up(void)
{
	struct k2k_registry *reg;

	name = fresh_registry();
	assert_int_equal(k2k_registry_create(name, &small, &reg), 0);
	assert_int_equal(k2k_tenant_register(reg, 1, NULL), 0);
	assert_int_equal(k2k_registry_close(&reg), 0);
	bytes_open(&bytes, name);
	bytes_copy(&bytes);
}

#endif
