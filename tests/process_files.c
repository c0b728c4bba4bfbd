/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_files.c - registries whose files are not what they should be, and a system that refuses.
 *
 * Every attempt answers its own error, and leaves names, descriptors, mappings and threads as they were.
 */
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

static const struct k2k_create_options small = {
	.size = sizeof small, .max_tenants = 16, .max_engagements = 64, .max_leases = 64, .max_budgets = 16
};
static const char *name;
static struct bytes bytes;

static const char *role_name(int role)
{
	return role == K2K_ROLE_ADMIN ? "ADMIN" : role == K2K_ROLE_BROKER ? "BROKER" : "OBSERVER";
}

#define CHECK_CODE(found, wanted, ...)                                                                        \
	do {                                                                                                  \
		int code_f = (found), code_e = (wanted);                                                      \
		char code_what[256];                                                                          \
		snprintf(code_what, sizeof code_what, __VA_ARGS__);                                           \
		if (code_f != code_e)                                                                         \
			FAIL("%s: %d (%s), expected %d (%s); detail: %s", code_what, code_f, k2k_errname(code_f), \
			     code_e, k2k_errname(code_e), k2k_error_detail()->text);                          \
	} while (0)

/* Attaching in each role answers `code`, and changes and leaves nothing. */
static void refused(int code, const char *what)
{
	static struct traces before;

	for (int role = K2K_ROLE_ADMIN; role <= K2K_ROLE_OBSERVER; role++) {
		struct k2k_registry *reg = (struct k2k_registry *)&before;

		traces_take(&before, name);
		CHECK_CODE(k2k_registry_open(name, (enum k2k_role)role, NULL, &reg), code, "%s, as %s", what, role_name(role));
		CHECK(reg == NULL);
		CHECK_EQ(k2k_error_detail()->code, code);
		CHECK(k2k_error_detail()->text[0] != '\0');
		CHECK_TRACES(&before, name, what);
	}
}

static void accepted(const char *what)
{
	for (int role = K2K_ROLE_ADMIN; role <= K2K_ROLE_OBSERVER; role++) {
		struct k2k_registry *reg;

		CHECK_CODE(k2k_registry_open(name, (enum k2k_role)role, NULL, &reg), 0, "%s, as %s", what, role_name(role));
		CHECK_EQ(k2k_registry_close(&reg), 0);
	}
}

static void set_up(void)
{
	struct k2k_registry *reg;

	name = fresh_registry();
	CHECK_EQ(k2k_registry_create(name, &small, &reg), 0);
	CHECK_EQ(k2k_tenant_register(reg, 1, NULL), 0);
	CHECK_EQ(k2k_registry_close(&reg), 0);
	bytes_open(&bytes, name);
	bytes_copy(&bytes);
}

/* ---- not a regular file --------------------------------------------------------------------- */

static const char *const types[] = { "a directory", "a fifo", "a dangling symlink", "a symlink to a registry", "a symlink to itself",
	                             "a socket", "a device" };
enum { TYPES = sizeof types / sizeof types[0] };

static bool make(int type, const char *path, const char *real)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	switch (type) {
	case 0: CHECK(mkdir(path, 0700) == 0); return true;
	case 1: CHECK(mkfifo(path, 0600) == 0); return true;
	case 2: CHECK(symlink("/nonexistent/file", path) == 0); return true;
	case 3: CHECK(symlink(real, path) == 0); return true;
	case 4: CHECK(symlink(path, path) == 0); return true;
	case 5:
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		CHECK(strlen(path) < sizeof address.sun_path);
		strcpy(address.sun_path, path);
		CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
		close(fd);
		return true;
	default: return mknod(path, S_IFCHR | 0600, makedev(1, 3)) == 0;
	}
}

static void try_types(const char *path, const char *real)
{
	for (int type = 0; type < TYPES; type++) {
		struct k2k_registry *reg;

		if (!make(type, path, real))
			continue;
		refused(K2K_EOWNER, types[type]);
		CHECK_STR(k2k_error_detail()->field, "type");
		if (path == bytes.defs_path) {
			struct stat before, after;

			CHECK(lstat(path, &before) == 0);
			CHECK_CODE(k2k_registry_create(name, &small, &reg), K2K_EEXIST, "create over %s", types[type]);
			CHECK_CODE(k2k_registry_destroy(name, 0, NULL), K2K_EOWNER, "destroy of %s", types[type]);
			CHECK_CODE(k2k_registry_destroy(name, K2K_DESTROY_FORCE, NULL), K2K_EOWNER, "destroy of %s", types[type]);
			CHECK(lstat(path, &after) == 0 && before.st_ino == after.st_ino);
		}
		CHECK(remove(path) == 0);
	}
}

TEST(what_is_not_a_regular_file_is_refused_and_left_alone)
{
	char aside[600];

	set_up();
	snprintf(aside, sizeof aside, "%s.aside", bytes.defs_path);
	CHECK(rename(bytes.defs_path, aside) == 0);
	try_types(bytes.defs_path, aside);
	CHECK(rename(aside, bytes.defs_path) == 0);
	accepted("defs put back");
	bytes_copy(&bytes);
	snprintf(aside, sizeof aside, "%s/aside", "/dev/shm");
	snprintf(aside, sizeof aside, "%.500s.aside", bytes.defs_path);
	CHECK(rename(bytes.live_path, aside) == 0);
	try_types(bytes.live_path, aside);
	CHECK(rename(aside, bytes.live_path) == 0);
	CHECK_BYTES(&bytes, "attaching to what is not a regular file");
	accepted("live put back");
}

/* ---- owner and mode -------------------------------------------------------------------------- */

TEST(the_files_of_a_stranger_are_refused_unless_he_is_named)
{
	struct k2k_open_options options = K2K_OPEN_OPTIONS_INIT;
	const char *paths[2] = { bytes.defs_path, bytes.live_path };

	if (geteuid() != 0)
		SKIP("needs root");
	set_up();
	options.flags = K2K_OPEN_OWNER_UID;
	options.owner_uid = STRANGER;
	for (int i = 0; i < 2; i++) {
		struct k2k_registry *reg;

		CHECK(chown(paths[i], STRANGER, (gid_t)-1) == 0);
		refused(K2K_EOWNER, "a stranger's file");
		CHECK_STR(k2k_error_detail()->field, "owner");
		CHECK_EQ(k2k_error_detail()->found, STRANGER);
		CHECK_HAS(k2k_error_detail()->text, "4242");
		options.owner_uid = STRANGER + 1;
		CHECK_EQ(k2k_registry_open(name, K2K_ROLE_BROKER, &options, &reg), K2K_EOWNER);
		options.owner_uid = STRANGER;
		CHECK_EQ(k2k_registry_open(name, K2K_ROLE_BROKER, &options, &reg), 0);
		CHECK_EQ(k2k_registry_close(&reg), 0);
		if (i == 0) {
			CHECK_EQ(k2k_registry_destroy(name, K2K_DESTROY_FORCE, NULL), K2K_EOWNER);
			CHECK_EQ(k2k_registry_create(name, &small, NULL), K2K_EEXIST);
		}
		CHECK(chown(paths[i], 0, (gid_t)-1) == 0);
	}
	accepted("own files");
}

TEST(files_that_are_open_to_more_than_they_should_be_are_refused)
{
	static const mode_t wrong_defs[] = { 0664, 0646, 0642, 0660, 0666, 0777 };
	static const mode_t wrong_live[] = { 0664, 0666, 0662, 0770 };

	set_up();
	for (size_t i = 0; i < sizeof wrong_defs / sizeof wrong_defs[0]; i++) {
		CHECK(chmod(bytes.defs_path, wrong_defs[i]) == 0);
		refused(K2K_EOWNER, "defs open to others");
		CHECK_STR(k2k_error_detail()->field, "mode");
	}
	CHECK(chmod(bytes.defs_path, 0600) == 0);
	for (size_t i = 0; i < sizeof wrong_live / sizeof wrong_live[0]; i++) {
		CHECK(chmod(bytes.live_path, wrong_live[i]) == 0);
		refused(K2K_EOWNER, "live open to others");
		CHECK_STR(k2k_error_detail()->field, "mode");
	}
	CHECK(chmod(bytes.live_path, 0600) == 0);
	accepted("fewer rights than it was created with");
}

TEST(a_user_without_rights_is_told_so)
{
	pid_t pid;

	if (geteuid() != 0)
		SKIP("needs root");
	set_up();
	CHECK(chmod(bytes.defs_path, 0640) == 0);
	pid = spawn();
	if (pid == 0) {
		CHECK(setgroups(0, NULL) == 0 && setresgid(STRANGER, STRANGER, STRANGER) == 0 &&
		      setresuid(STRANGER, STRANGER, STRANGER) == 0);
		prctl(PR_SET_DUMPABLE, 1);
		refused(K2K_EPERM, "no rights");
		CHECK_EQ(k2k_registry_destroy(name, K2K_DESTROY_FORCE, NULL), K2K_EPERM);
		CHECK_EQ(k2k_registry_create(name, &small, NULL), K2K_EEXIST);
		exit(0);
	}
	spawn_wait(pid);
	CHECK(chmod(bytes.defs_path, 0644) == 0 && chmod(bytes.live_path, 0660) == 0);
	pid = spawn();
	if (pid == 0) {
		struct k2k_registry *reg;

		CHECK(setgroups(0, NULL) == 0 && setresgid(STRANGER, STRANGER, STRANGER) == 0 &&
		      setresuid(STRANGER, STRANGER, STRANGER) == 0);
		prctl(PR_SET_DUMPABLE, 1);
		/* defs can be read, live can't */
		CHECK_EQ(k2k_registry_open(name, K2K_ROLE_OBSERVER, NULL, &reg), K2K_EOWNER); /* 0644 was not what it was created with */
		exit(0);
	}
	spawn_wait(pid);
	CHECK_BYTES(&bytes, "a user without rights");
}

/* ---- cut short -------------------------------------------------------------------------------- */

static void write_all(const char *path, const unsigned char *from, size_t n)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	CHECK(fd >= 0 && ftruncate(fd, (off_t)n) == 0 && pwrite(fd, from, n, 0) == (ssize_t)n);
	close(fd);
}

TEST(a_registry_cut_short_or_with_holes_is_damaged)
{
	set_up();
	for (int object = 0; object < 2; object++) {
		const char *path = object ? bytes.live_path : bytes.defs_path;
		const unsigned char *copy = object ? bytes.live_copy : bytes.defs_copy;
		off_t total = (off_t)(object ? bytes.live_bytes : bytes.defs_bytes);
		const off_t sizes[] = { 0, 1, 8, 1016, 1023, 1024, 1152, 1279, 1280, 4095, 4096, 8192, total - 4096, total - 1,
			                total + 1, total + 4096, total * 2 };
		int fd;

		for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
			char what[64];

			if (sizes[i] == total)
				continue;
			snprintf(what, sizeof what, "%s of %lld bytes", object ? "live" : "defs", (long long)sizes[i]);
			CHECK(truncate(path, sizes[i]) == 0);
			refused(K2K_ECORRUPT, what);
			CHECK_STR(k2k_error_detail()->object, object ? "live" : "defs");
			CHECK_STR(k2k_error_detail()->field, "size");
			if (!object) {
				CHECK_CODE(k2k_registry_create(name, &small, NULL), K2K_EEXIST, "create over a cut one");
				CHECK_CODE(k2k_registry_destroy(name, 0, NULL), K2K_ECORRUPT, "destroy of a cut one");
			}
			write_all(path, copy, (size_t)total);
		}
		fd = open(path, O_RDWR | O_CLOEXEC);
		CHECK(fd >= 0 && fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, total - 4096, 4096) == 0);
		refused(K2K_ECORRUPT, "a hole");
		CHECK_STR(k2k_error_detail()->field, "blocks");
		close(fd);
		write_all(path, copy, (size_t)total);
		accepted("whole again");
		bytes_restore(&bytes);
	}
	/* and it can be removed */
	CHECK(truncate(bytes.defs_path, 2000) == 0);
	CHECK_EQ(k2k_registry_destroy(name, K2K_DESTROY_FORCE, NULL), 0);
	CHECK(access(bytes.defs_path, F_OK) != 0 && access(bytes.live_path, F_OK) != 0);
}

TEST(defs_without_live_is_damaged_and_can_be_destroyed)
{
	set_up();
	CHECK(unlink(bytes.live_path) == 0);
	refused(K2K_ECORRUPT, "live is missing");
	CHECK_EQ(k2k_registry_create(name, &small, NULL), K2K_EEXIST);
	CHECK_EQ(k2k_registry_destroy(name, 0, NULL), 0);
	CHECK(access(bytes.defs_path, F_OK) != 0);
	CHECK_EQ(k2k_registry_create(name, &small, NULL), 0);
}

TEST(live_without_defs_is_no_registry_and_is_swept)
{
	struct k2k_registry *reg;

	set_up();
	CHECK(unlink(bytes.defs_path) == 0);
	CHECK_EQ(k2k_registry_open(name, K2K_ROLE_BROKER, NULL, &reg), K2K_ENOREGISTRY);
	CHECK(access(bytes.live_path, F_OK) == 0);
	CHECK_EQ(k2k_registry_open(name, K2K_ROLE_ADMIN, NULL, &reg), K2K_ENOREGISTRY);
	CHECK(access(bytes.live_path, F_OK) != 0);
}

/* ---- headers ------------------------------------------------------------------------------------ */

/* What a damaged byte of the header must be called. */
static int expected_of(size_t at)
{
	if (at >= offsetof(struct k2k_shm_header, layout_version) && at < offsetof(struct k2k_shm_header, byte_order))
		return K2K_ELAYOUT;
	if (at >= offsetof(struct k2k_shm_header, header_bytes) && at < offsetof(struct k2k_shm_header, section_count))
		return K2K_ELAYOUT;
	if (at >= offsetof(struct k2k_shm_header, fingerprint) && at < offsetof(struct k2k_shm_header, compatible))
		return K2K_ELAYOUT;
	if (at >= offsetof(struct k2k_shm_header, incompatible) && at < offsetof(struct k2k_shm_header, uuid))
		return K2K_ELAYOUT;
	return K2K_ECORRUPT;
}

TEST(each_flipped_byte_of_both_headers_is_found)
{
	set_up();
	for (int object = 0; object < 2; object++)
		for (size_t at = 0; at < sizeof(struct k2k_shm_header); at++)
			for (int pass = 0; pass < 2; pass++) {
				unsigned char *byte = (object ? bytes.live : bytes.defs) + at;
				unsigned char mask = pass ? 0xff : (unsigned char)(1u << at % 8);
				char what[64];

				snprintf(what, sizeof what, "byte %zu of %s flipped by %02x", at, object ? "live" : "defs", mask);
				*byte ^= mask;
				refused(expected_of(at), what);
				CHECK_STR(k2k_error_detail()->object, object ? "live" : "defs");
				CHECK(k2k_error_detail()->field[0] != '\0');
				if (at % 64 == 0 && !object) {
					CHECK_CODE(k2k_registry_create(name, &small, NULL), K2K_EEXIST, "create: %s", what);
					CHECK_CODE(k2k_registry_destroy(name, 0, NULL), expected_of(at), "destroy: %s", what);
				}
				*byte ^= mask;
			}
	CHECK_BYTES(&bytes, "attaching to damaged headers");
	accepted("whole again");
}

static struct k2k_shm_header *header_of(int object)
{
	return (struct k2k_shm_header *)(void *)(object ? bytes.live : bytes.defs);
}

/* Changes that carry a right checksum: of another version, another machine, or forged. */
#define REFUSED_WITH(object, change, code, why)                                                     \
	do {                                                                                        \
		struct k2k_shm_header *h = header_of(object), header_copy = *h;                     \
		change;                                                                             \
		h->checksum = k2k_layout_checksum(h);                                               \
		refused((code), #change);                                                           \
		if (why[0])                                                                         \
			CHECK_STR(k2k_error_detail()->field, why);                                  \
		*h = header_copy;                                                                   \
	} while (0)

TEST(another_layout_boot_or_machine_is_told_apart)
{
	set_up();
	for (int object = 0; object < 2; object++) {
		REFUSED_WITH(object, h->layout_version = 2, K2K_ELAYOUT, "layout version");
		REFUSED_WITH(object, h->layout_version = 0, K2K_ELAYOUT, "layout version");
		REFUSED_WITH(object, h->header_bytes = 2048, K2K_ELAYOUT, "record size");
		REFUSED_WITH(object, h->fingerprint++, K2K_ELAYOUT, "fingerprint");
		REFUSED_WITH(object, h->incompatible = UINT64_C(1) << 63, K2K_ELAYOUT, "features");
		REFUSED_WITH(object, h->clock = 2, K2K_ELAYOUT, "clock");
		REFUSED_WITH(object, h->clock = 0, K2K_ELAYOUT, "clock");
		REFUSED_WITH(object, h->boot_id[0] ^= 1, K2K_EBOOT, "boot id");
		REFUSED_WITH(object, h->boot_id[15] ^= 0x80, K2K_EBOOT, "boot id");
		REFUSED_WITH(object, (h->magic = __builtin_bswap64(h->magic), h->byte_order = __builtin_bswap32(h->byte_order)),
		             K2K_ELAYOUT, "byte order");
		REFUSED_WITH(object, h->magic = object ? K2K_DEFS_MAGIC : K2K_LIVE_MAGIC, K2K_ECORRUPT, "magic");
		REFUSED_WITH(object, h->total_bytes += 4096, K2K_ECORRUPT, "size");
		REFUSED_WITH(object, h->total_bytes = 0, K2K_ECORRUPT, "size");
		REFUSED_WITH(object, h->total_bytes = UINT64_MAX, K2K_ECORRUPT, "size");
		REFUSED_WITH(object, h->object_mode = 0, K2K_EOWNER, "mode");
		REFUSED_WITH(object, h->uuid[3] ^= 1, K2K_ECORRUPT, "");
		REFUSED_WITH(object, h->section_count = 0, K2K_ECORRUPT, "section");
		REFUSED_WITH(object, h->section_count = 1, K2K_ECORRUPT, "section");
		REFUSED_WITH(object, h->section_count = K2K_SECTIONS_MAX + 1, K2K_ECORRUPT, "section count");
		REFUSED_WITH(object, h->section_count = UINT32_MAX, K2K_ECORRUPT, "section count");
	}
	CHECK_BYTES(&bytes, "attaching to another layout");
	/* what is only new, and compatible, does no harm */
	header_of(0)->compatible = header_of(1)->compatible = 1;
	header_of(0)->reserved[0] = header_of(1)->reserved[527] = 1;
	header_of(0)->checksum = k2k_layout_checksum(header_of(0));
	header_of(1)->checksum = k2k_layout_checksum(header_of(1));
	accepted("compatible features");
}

TEST(forged_sections_are_found)
{
	set_up();
	for (int object = 0; object < 2; object++)
		for (uint32_t i = 0; i < header_of(object)->section_count; i++) {
			static const uint64_t counts[] = { 0, UINT32_MAX, UINT64_C(1) << 32, UINT64_C(1) << 58, UINT64_C(1) << 62,
				                           UINT64_MAX };
			const uint64_t offsets[] = { 0, 8, 64, 4032, 4097, 1 << 20, UINT64_C(1) << 32, UINT64_C(1) << 63,
				                     UINT64_MAX, UINT64_MAX - 63 };

			REFUSED_WITH(object, h->sections[i].kind = 0, K2K_ECORRUPT, "section");
			REFUSED_WITH(object, h->sections[i].kind = 999, K2K_ECORRUPT, "section");
			REFUSED_WITH(object, h->sections[i].stride_bytes += 8, K2K_ELAYOUT, "record size");
			REFUSED_WITH(object, h->sections[i].stride_bytes = 0, K2K_ELAYOUT, "record size");
			for (size_t k = 0; k < sizeof counts / sizeof counts[0]; k++)
				REFUSED_WITH(object, h->sections[i].count = counts[k], K2K_ECORRUPT, "section");
			for (size_t k = 0; k < sizeof offsets / sizeof offsets[0]; k++)
				REFUSED_WITH(object, h->sections[i].offset_bytes = offsets[k], K2K_ECORRUPT, "section");
			switch (header_of(object)->sections[i].kind) {
			case K2K_SECTION_TENANT_HEADS: case K2K_SECTION_BUDGET_HEADS: case K2K_SECTION_LEDGER_HEADS:
				REFUSED_WITH(object, h->sections[i].count = 3, K2K_ECORRUPT, "count");
				break;
			case K2K_SECTION_TENANTS: case K2K_SECTION_TENANTS_COLD: case K2K_SECTION_SLOTS: case K2K_SECTION_CELLS:
			case K2K_SECTION_CELLS_COLD:
				REFUSED_WITH(object, h->sections[i].count--, K2K_ECORRUPT, "count");
				break;
			default: break;
			}
		}
	CHECK_BYTES(&bytes, "attaching to forged sections");
	accepted("whole again");
}

TEST(a_registry_of_another_boot_is_removed_by_destroy)
{
	set_up();
	for (int object = 0; object < 2; object++) {
		header_of(object)->boot_id[5] ^= 1;
		header_of(object)->checksum = k2k_layout_checksum(header_of(object));
	}
	refused(K2K_EBOOT, "another boot");
	CHECK_EQ(k2k_registry_create(name, &small, NULL), K2K_EEXIST);
	CHECK_EQ(k2k_registry_destroy(name, 0, NULL), 0);
	CHECK(access(bytes.defs_path, F_OK) != 0 && access(bytes.live_path, F_OK) != 0);
	CHECK_EQ(k2k_registry_create(name, &small, NULL), 0);
	accepted("created anew");
}

TEST(what_a_killed_destroy_left_is_no_registry_any_more)
{
	struct k2k_registry *reg;

	set_up();
	((struct k2k_shm_defs *)(void *)bytes.defs)->poisoned = 1;
	CHECK_EQ(k2k_registry_open(name, K2K_ROLE_OBSERVER, NULL, &reg), K2K_ENOREGISTRY);
	CHECK_EQ(k2k_registry_open(name, K2K_ROLE_BROKER, NULL, &reg), K2K_ENOREGISTRY);
	CHECK(access(bytes.defs_path, F_OK) == 0);
	CHECK_EQ(k2k_registry_open(name, K2K_ROLE_ADMIN, NULL, &reg), K2K_ENOREGISTRY);
	CHECK(access(bytes.defs_path, F_OK) != 0 && access(bytes.live_path, F_OK) != 0);
}

/* ---- a file system of one's own under /dev/shm -------------------------------------------------- */

static void own_shm(unsigned long flags, const char *options)
{
	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("k2k-test", "/dev/shm", "tmpfs", flags, options) != 0)
		SKIP("needs the right to mount");
	name = fresh_registry();
}

static uint64_t shm_free(void)
{
	struct statvfs fs;

	CHECK(statvfs("/dev/shm", &fs) == 0);
	return (uint64_t)fs.f_bavail * fs.f_frsize;
}

static void create_fails(int code, const char *what)
{
	static struct traces before;
	struct k2k_registry *reg = (struct k2k_registry *)&before;
	uint64_t is_free = shm_free();

	traces_take(&before, "k2k");
	CHECK_CODE(k2k_registry_create(name, &small, &reg), code, "%s", what);
	CHECK(reg == NULL);
	CHECK_EQ(k2k_error_detail()->code, code);
	CHECK_TRACES(&before, "k2k", what);
	CHECK_EQ(shm_free(), is_free);
}

TEST(a_shared_memory_file_system_that_is_too_small_is_named_with_both_sizes)
{
	struct k2k_registry_plan plan = { .size = sizeof plan };

	own_shm(0, "size=32k");
	CHECK_EQ(k2k_registry_plan(&small, &plan), 0);
	CHECK_EQ(plan.shm_free_bytes, 32768);
	CHECK(plan.total_bytes > 32768);
	create_fails(K2K_ENOMEM, "a tiny file system");
	CHECK_EQ(k2k_error_detail()->expected, plan.total_bytes);
	CHECK_EQ(k2k_error_detail()->found, 32768);
	CHECK_HAS(k2k_error_detail()->text, "/dev/shm");
	CHECK_HAS(k2k_error_detail()->text, "32768");
}

/* The real calls, with something happening before the n-th. */
static int before_fallocate;     /* the n-th fills the file system first */
static bool threads_fail;
static int filler;

static int filling_fallocate(int fd, int mode, off64_t offset, off64_t length)
{
	if (before_fallocate && --before_fallocate == 0) {
		char page[4096] = "";

		filler = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		CHECK(filler >= 0);
		while (write(filler, page, sizeof page) > 0)
			;
	}
	return (int)syscall(SYS_fallocate, fd, mode, offset, length);
}

int fallocate(int fd, int mode, off_t offset, off_t length);
int fallocate(int fd, int mode, off_t offset, off_t length)
{
	return filling_fallocate(fd, mode, offset, length);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t length);
int fallocate64(int fd, int mode, off64_t offset, off64_t length)
{
	return filling_fallocate(fd, mode, offset, length);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument)
{
	int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) =
		(int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))dlsym(RTLD_NEXT, "pthread_create");

	return threads_fail ? EAGAIN : real(thread, attributes, run, argument);
}

TEST(a_file_system_that_fills_up_meanwhile_is_out_of_memory_too)
{
	struct k2k_registry_plan plan = { .size = sizeof plan };

	own_shm(0, "size=1m");
	CHECK_EQ(k2k_registry_plan(&small, &plan), 0);
	for (int n = 1; n <= 2; n++) {
		static struct traces before;
		struct k2k_registry *reg;

		before_fallocate = n;
		traces_take(&before, "k2k");
		CHECK_CODE(k2k_registry_create(name, &small, &reg), K2K_ENOMEM, "filled before reservation %d", n);
		CHECK(reg == NULL && before_fallocate == 0);
		close(filler);
		CHECK_TRACES(&before, "k2k", "a file system that filled up");
		CHECK_EQ(shm_free(), 1 << 20);
		/* needed and free, here too */
		CHECK_EQ(k2k_error_detail()->expected, plan.total_bytes);
		CHECK(k2k_error_detail()->found < plan.total_bytes);
	}
	CHECK_EQ(k2k_registry_create(name, &small, NULL), 0);
}

TEST(a_file_system_without_inodes_is_out_of_room)
{
	int made = 0;

	own_shm(0, "size=1m,nr_inodes=1");
	create_fails(K2K_ENOMEM, "no inodes");
	for (int inodes = 2; inodes < 8 && !made; inodes++) {
		char options[64];

		snprintf(options, sizeof options, "remount,size=1m,nr_inodes=%d", inodes);
		CHECK(mount("k2k-test", "/dev/shm", "tmpfs", MS_REMOUNT, options + 8) == 0);
		if (k2k_registry_create(name, &small, NULL) == 0)
			made = 1;
		else
			create_fails(K2K_ENOMEM, options);
	}
	CHECK(made);
	accepted("enough inodes");
}

TEST(a_file_system_that_is_read_only_or_missing_is_told)
{
	static struct traces before;

	own_shm(MS_RDONLY, "size=1m");
	create_fails(K2K_EPERM, "read-only");
	refused(K2K_ENOREGISTRY, "read-only");
	CHECK(umount("/dev/shm") == 0);
	CHECK(mount("k2k-test", "/dev", "tmpfs", 0, "size=64k") == 0);
	traces_take(&before, name);
	CHECK_CODE(k2k_registry_create(name, &small, NULL), K2K_EIO, "no /dev/shm");
	CHECK_CODE(k2k_registry_plan(NULL, &(struct k2k_registry_plan){ .size = sizeof(struct k2k_registry_plan) }), K2K_EIO, "plan");
	CHECK_TRACES(&before, name, "no /dev/shm");
}

TEST(a_device_is_no_registry_even_where_devices_are_not_opened)
{
	own_shm(MS_NODEV, "size=1m");
	CHECK_EQ(k2k_registry_create(name, &small, NULL), 0);
	bytes_open(&bytes, name);
	CHECK(unlink(bytes.defs_path) == 0);
	if (mknod(bytes.defs_path, S_IFCHR | 0600, makedev(1, 3)) != 0)
		SKIP("can't make devices");
	refused(K2K_EOWNER, "a device on a file system without devices");
}

/* ---- a system that refuses ------------------------------------------------------------------------ */

static void spare_descriptors(int n)
{
	struct rlimit limit;
	int fd;

	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = 256;
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	fd = dup(2);
	CHECK(fd >= 0);
	close(fd);
	limit.rlim_cur = (rlim_t)(fd + n);
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

TEST(without_descriptors_create_and_open_leave_nothing)
{
	static struct traces before;
	bool opened = false, created = false;

	set_up();
	for (int n = 0; n < 10; n++)
		for (int role = K2K_ROLE_ADMIN; role <= K2K_ROLE_OBSERVER; role++) {
			struct k2k_registry *reg;
			int code;

			traces_take(&before, name);
			spare_descriptors(n);
			code = k2k_registry_open(name, (enum k2k_role)role, NULL, &reg);
			if (code)
				CHECK_CODE(code, K2K_EIO, "open as %s with %d descriptors", role_name(role), n);
			else
				CHECK_EQ(k2k_registry_close(&reg), 0);
			spare_descriptors(100);
			CHECK_TRACES(&before, name, "open with few descriptors");
			opened = code == 0;
		}
	CHECK(opened);
	name = fresh_registry();
	for (int n = 0; n < 12; n++) {
		struct k2k_registry *reg = (struct k2k_registry *)&before;
		int code;

		traces_take(&before, name);
		spare_descriptors(n);
		code = k2k_registry_create(name, &small, &reg);
		if (code) {
			CHECK_CODE(code, K2K_EIO, "create with %d descriptors", n);
			CHECK(reg == NULL);
			spare_descriptors(100);
		} else {
			spare_descriptors(100);
			CHECK_EQ(k2k_registry_close(&reg), 0);
			CHECK_EQ(k2k_registry_destroy(name, 0, NULL), 0);
		}
		CHECK_TRACES(&before, name, "create with few descriptors");
		created = code == 0;
	}
	CHECK(created);
}

TEST(without_descriptors_a_change_changes_nothing)
{
	struct k2k_registry *reg;
	int registered;

	set_up();
	CHECK_EQ(k2k_registry_open(name, K2K_ROLE_ADMIN, NULL, &reg), 0);
	bytes_copy(&bytes);
	spare_descriptors(0);
	CHECK_EQ(k2k_tenant_register(reg, 5, NULL), K2K_EIO);
	CHECK(k2k_error_detail()->system_errno == EMFILE);
	CHECK_BYTES(&bytes, "register without descriptors");
	CHECK_EQ(k2k_tenant_is_registered(reg, 5, &registered), 0);
	CHECK_EQ(registered, 0);
	spare_descriptors(100);
	CHECK_EQ(k2k_tenant_register(reg, 5, NULL), 0);
}

TEST(without_address_space_open_leaves_nothing)
{
	struct k2k_registry *reg;
	struct k2k_create_options options = small;
	struct rlimit limit = { 0, RLIM_INFINITY };
	static struct traces before;
	char line[256];
	unsigned long pages;
	FILE *file;

	name = fresh_registry();
	options.max_engagements = 1 << 18;
	CHECK_EQ(k2k_registry_create(name, &options, NULL), 0);
	CHECK_EQ(k2k_registry_open(name, K2K_ROLE_OBSERVER, NULL, &reg), 0); /* a first handle, so that what stays is there */
	CHECK_EQ(k2k_registry_close(&reg), 0);
	traces_take(&before, name);
	CHECK_TRACES(&before, name, "nothing");
	file = fopen("/proc/self/statm", "re");
	CHECK(file && fgets(line, sizeof line, file));
	fclose(file);
	pages = strtoul(line, NULL, 10);
	limit.rlim_cur = pages * 4096 + (4u << 20);
	CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
	for (int role = K2K_ROLE_ADMIN; role <= K2K_ROLE_OBSERVER; role++)
		CHECK_CODE(k2k_registry_open(name, (enum k2k_role)role, NULL, &reg), K2K_ENOMEM, "open as %s", role_name(role));
	limit.rlim_cur = RLIM_INFINITY;
	CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
	CHECK_TRACES(&before, name, "open without address space");
}

TEST(a_broker_whose_helper_cannot_start_leaves_nothing)
{
	static struct traces before;
	struct k2k_registry *reg;

	set_up();
	traces_take(&before, name);
	threads_fail = true;
	CHECK_EQ(k2k_registry_open(name, K2K_ROLE_BROKER, NULL, &reg), K2K_ENOMEM);
	CHECK(reg == NULL);
	CHECK_TRACES(&before, name, "a broker without a helper");
	CHECK_EQ(((struct k2k_shm_slot *)(void *)(bytes.live + 4096))->owner, 0);
	threads_fail = false;
	accepted("with threads");
}

/* A program may close all descriptors that it does not know, and get their numbers anew. */
TEST(a_program_that_closes_our_descriptors_loses_nothing)
{
	struct k2k_registry *handles[4], *watcher;
	struct k2k_broker_info list[2] = { { .size = sizeof list[0] } };
	struct gate closed, seen;
	size_t count;
	pid_t pid;

	set_up();
	gate_make(&closed);
	gate_make(&seen);
	pid = spawn();
	if (pid == 0) {
		int taken[16];

		for (int role = K2K_ROLE_ADMIN; role <= K2K_ROLE_OBSERVER; role++)
			CHECK_EQ(k2k_registry_open(name, (enum k2k_role)role, NULL, &handles[role]), 0);
		CHECK_EQ(k2k_kernel_acquire(handles[K2K_ROLE_BROKER], 1, NULL, NULL), 0);
		CHECK(dup2(closed.fd[1], 900) >= 0 && dup2(seen.fd[0], 901) >= 0);
		CHECK(syscall(SYS_close_range, 3, 899, 0) == 0);
		for (int i = 0; i < 16; i++)
			taken[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
		closed.fd[1] = 900;
		seen.fd[0] = 901;
		gate_open(&closed);
		gate_wait(&seen);
		CHECK_EQ(k2k_kernel_acquire(handles[K2K_ROLE_BROKER], 1, NULL, NULL), 0);
		CHECK_EQ(k2k_tenant_register(handles[K2K_ROLE_ADMIN], 2, NULL), 0);
		CHECK_EQ(k2k_broker_list(handles[K2K_ROLE_OBSERVER], list, 2, &count), 0);
		CHECK_EQ(count, 1);
		CHECK_EQ(list[0].state, K2K_BROKER_ACTIVE);
		CHECK_EQ(list[0].kernels, 2);
		for (int role = K2K_ROLE_ADMIN; role <= K2K_ROLE_OBSERVER; role++)
			CHECK_EQ(k2k_registry_close(&handles[role]), 0);
		for (int i = 0; i < 16; i++)
			CHECK(fcntl(taken[i], F_GETFD) >= 0); /* none of the program's was closed */
		_exit(0);
	}
	gate_wait(&closed);
	CHECK_EQ(k2k_registry_open(name, K2K_ROLE_OBSERVER, NULL, &watcher), 0);
	CHECK_EQ(k2k_broker_list(watcher, list, 2, &count), 0);
	CHECK_EQ(count, 1);
	CHECK_EQ(list[0].state, K2K_BROKER_ACTIVE);
	CHECK_EQ(list[0].kernels, 1);
	gate_open(&seen);
	spawn_wait_within(pid, 20);
}

/* ---- who holds it up ------------------------------------------------------------------------------ */

static bool is_locked(const char *path, off_t byte)
{
	struct flock ask = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };
	int fd = open(path, O_RDWR | O_CLOEXEC);

	CHECK(fd >= 0 && fcntl(fd, F_OFD_GETLK, &ask) == 0);
	close(fd);
	return ask.l_type != F_UNLCK;
}

static struct k2k_open_options impatient(void)
{
	struct k2k_open_options options = K2K_OPEN_OPTIONS_INIT;

	options.flags = K2K_OPEN_TIMEOUT;
	options.timeout_ns = 30000000;
	return options;
}

#define CHECK_NAMES(pid, call)                                                      \
	do {                                                                        \
		char pid_text[32];                                                  \
		CHECK_CODE((call), K2K_EBUSY, "%s", #call);                         \
		CHECK_EQ(k2k_error_detail()->code, K2K_EBUSY);                      \
		CHECK_EQ(k2k_error_detail()->pid, (pid));                           \
		snprintf(pid_text, sizeof pid_text, "process %ld", (long)(pid));    \
		CHECK_HAS(k2k_error_detail()->text, pid_text);                      \
	} while (0)

TEST(a_writer_that_is_stopped_is_named_and_holds_up_no_reader)
{
	struct k2k_open_options options = impatient();
	struct k2k_registry *admin, *broker;
	struct k2k_repair_info repair = { .size = sizeof repair };
	struct k2k_shm_cell *cell;
	size_t count;
	pid_t pid;

	set_up();
	CHECK_EQ(k2k_registry_open(name, K2K_ROLE_ADMIN, &options, &admin), 0);
	/* a window far in the future: check finds it, and looks again and again under the lock */
	cell = (struct k2k_shm_cell *)(void *)(bytes.live + 4096 + 64 * sizeof(struct k2k_shm_slot));
	cell->window = (UINT64_C(1) << 63);
	pid = spawn();
	if (pid == 0) {
		struct k2k_registry *mine;

		prctl(PR_SET_NAME, "stopped-one");
		CHECK_EQ(k2k_registry_open(name, K2K_ROLE_ADMIN, NULL, &mine), 0);
		for (;;) {
			CHECK_EQ(k2k_registry_check(mine, NULL, 0, &count), 0);
			CHECK_EQ(count, 1);
		}
	}
	do {
		kill(pid, SIGCONT);
		WAIT_UNTIL(is_locked(bytes.defs_path, (off_t)K2K_LOCK_BYTE_WRITER), 5);
		kill(pid, SIGSTOP);
		CHECK(waitpid(pid, NULL, WUNTRACED) == pid);
	} while (!is_locked(bytes.defs_path, (off_t)K2K_LOCK_BYTE_WRITER));
	bytes_copy(&bytes);
	CHECK_NAMES(pid, k2k_tenant_register(admin, 9, NULL));
	CHECK_HAS(k2k_error_detail()->text, "stopped-one");
	CHECK_STR(k2k_error_detail()->object, "writer");
	CHECK_NAMES(pid, k2k_tenant_update(admin, 1, &(struct k2k_quota)K2K_QUOTA_STANDARD, 1));
	CHECK_NAMES(pid, k2k_tenant_deregister(admin, 1, NULL));
	CHECK_NAMES(pid, k2k_budget_set(admin, 1, 1, 1));
	CHECK_NAMES(pid, k2k_registry_check(admin, NULL, 0, &count));
	CHECK_NAMES(pid, k2k_registry_repair(admin, &repair));
	CHECK_NAMES(pid, k2k_registry_destroy(name, K2K_DESTROY_FORCE, &options));
	CHECK_BYTES(&bytes, "changes that were held up");
	CHECK_EQ(k2k_registry_open(name, K2K_ROLE_BROKER, &options, &broker), 0);
	CHECK_EQ(k2k_kernel_acquire(broker, 1, NULL, NULL), 0);
	CHECK_EQ(k2k_registry_close(&broker), 0);
	spawn_kill(pid);
	WAIT_UNTIL(k2k_tenant_register(admin, 9, NULL) == 0, 5);
}

static pid_t hold_shared(const char *path, off_t start, off_t length, int command)
{
	struct gate held;
	pid_t pid;

	gate_make(&held);
	pid = spawn();
	if (pid == 0) {
		struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = length };
		int fd = open(path, O_RDONLY);

		CHECK(fd >= 0 && fcntl(fd, command, &lock) == 0);
		gate_open(&held);
		for (;;)
			pause();
	}
	gate_wait(&held);
	return pid;
}

TEST(a_reader_that_locks_the_writers_byte_is_named)
{
	static const int commands[] = { F_OFD_SETLK, F_SETLK };
	struct k2k_open_options options = impatient();
	struct k2k_registry *admin, *broker;

	set_up();
	CHECK_EQ(k2k_registry_open(name, K2K_ROLE_ADMIN, &options, &admin), 0);
	for (int i = 0; i < 2; i++) {
		pid_t pid = hold_shared(bytes.defs_path, (off_t)K2K_LOCK_BYTE_WRITER, 1, commands[i]);

		bytes_copy(&bytes);
		CHECK_NAMES(pid, k2k_tenant_register(admin, 9, NULL));
		CHECK_NAMES(pid, k2k_registry_destroy(name, K2K_DESTROY_FORCE, &options));
		CHECK_BYTES(&bytes, "changes that a reader held up");
		CHECK_EQ(k2k_registry_open(name, K2K_ROLE_BROKER, &options, &broker), 0);
		CHECK_EQ(k2k_registry_close(&broker), 0);
		spawn_kill(pid);
	}
	WAIT_UNTIL(k2k_tenant_register(admin, 9, NULL) == 0, 5);
}

TEST(a_reader_that_locks_all_of_live_is_named_and_fakes_no_life)
{
	struct k2k_open_options options = impatient();
	struct k2k_registry *broker, *watcher, *other;
	struct k2k_broker_info list[2] = { { .size = sizeof list[0] } };
	static struct traces before;
	size_t count;
	pid_t pid, victim;
	struct gate attached;

	set_up();
	gate_make(&attached);
	victim = spawn();
	if (victim == 0) {
		CHECK_EQ(k2k_registry_open(name, K2K_ROLE_BROKER, NULL, &other), 0);
		CHECK_EQ(k2k_kernel_acquire(other, 1, NULL, NULL), 0);
		gate_open(&attached);
		for (;;)
			pause();
	}
	gate_wait(&attached);
	CHECK_EQ(k2k_registry_open(name, K2K_ROLE_OBSERVER, NULL, &watcher), 0);
	pid = hold_shared(bytes.live_path, 0, 1, F_OFD_SETLK);
	spawn_kill(pid);
	spawn_kill(victim);
	pid = hold_shared(bytes.live_path, 0, 0, F_OFD_SETLK);
	do
		CHECK_EQ(k2k_broker_list(watcher, list, 2, &count), 0);
	while (list[0].state == K2K_BROKER_ACTIVE);
	CHECK_EQ(list[0].state, K2K_BROKER_DEAD);
	CHECK_EQ(list[0].kernels, 0);
	bytes_copy(&bytes);
	traces_take(&before, name);
	CHECK_NAMES(pid, k2k_registry_open(name, K2K_ROLE_BROKER, &options, &broker));
	CHECK_TRACES(&before, name, "an attach that a reader held up");
	CHECK_BYTES(&bytes, "an attach that a reader held up");
	spawn_kill(pid);
	CHECK_EQ(k2k_registry_open(name, K2K_ROLE_BROKER, &options, &broker), 0);
}
