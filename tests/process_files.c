/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_files.c - registries whose files are not what they should be.
 */
#include "files_fixture.h"

#include <fcntl.h>

/* ---- not a regular file --------------------------------------------------------------------- */

static const char *const types[] = { "a directory",
	                             "a fifo",
	                             "a dangling symlink",
	                             "a symlink to a registry",
	                             "a symlink to itself",
	                             "a socket",
	                             "a device" };
enum { TYPES = sizeof types / sizeof types[0] };

static bool make(int type, const char *path, const char *real)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	switch (type) {
	case 0: assert_int_equal(mkdir(path, 0700), 0); return true;
	case 1: assert_int_equal(mkfifo(path, 0600), 0); return true;
	case 2: assert_int_equal(symlink("/nonexistent/file", path), 0); return true;
	case 3: assert_int_equal(symlink(real, path), 0); return true;
	case 4: assert_int_equal(symlink(path, path), 0); return true;
	case 5:
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_true(strlen(path) < sizeof address.sun_path);
		strcpy(address.sun_path, path);
		assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
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
		assert_string_equal(k2k_error_detail()->field, "type");
		if (path == bytes.defs_path) {
			struct stat before, after;

			assert_int_equal(lstat(path, &before), 0);
			CHECK_CODE(k2k_registry_create(name, &small, &reg), K2K_EEXIST,
			           "create over %s", types[type]);
			CHECK_CODE(k2k_registry_destroy(name, 0, NULL), K2K_EOWNER, "destroy of %s",
			           types[type]);
			CHECK_CODE(k2k_registry_destroy(name, K2K_DESTROY_FORCE, NULL), K2K_EOWNER,
			           "destroy of %s", types[type]);
			assert_true(lstat(path, &after) == 0 && before.st_ino == after.st_ino);
		}
		assert_int_equal(remove(path), 0);
	}
}

TEST(what_is_not_a_regular_file_is_refused_and_left_alone)
{
	char aside[600];

	set_up();
	snprintf(aside, sizeof aside, "%s.aside", bytes.defs_path);
	assert_int_equal(rename(bytes.defs_path, aside), 0);
	try_types(bytes.defs_path, aside);
	assert_int_equal(rename(aside, bytes.defs_path), 0);
	accepted("defs put back");
	bytes_copy(&bytes);
	snprintf(aside, sizeof aside, "%s/aside", "/dev/shm");
	snprintf(aside, sizeof aside, "%.500s.aside", bytes.defs_path);
	assert_int_equal(rename(bytes.live_path, aside), 0);
	try_types(bytes.live_path, aside);
	assert_int_equal(rename(aside, bytes.live_path), 0);
	CHECK_BYTES(&bytes, "attaching to what is not a regular file");
	accepted("live put back");
}

/* ---- owner and mode -------------------------------------------------------------------------- */

TEST(the_files_of_a_stranger_are_refused_unless_he_is_named)
{
	struct k2k_open_options options = K2K_OPEN_OPTIONS_INIT;
	const char *paths[2] = { bytes.defs_path, bytes.live_path };

	if (geteuid() != 0)
		skip_msg("needs root");
	set_up();
	options.flags = K2K_OPEN_OWNER_UID;
	options.owner_uid = STRANGER;
	for (int i = 0; i < 2; i++) {
		struct k2k_registry *reg;

		assert_int_equal(chown(paths[i], STRANGER, (gid_t)-1), 0);
		refused(K2K_EOWNER, "a stranger's file");
		assert_string_equal(k2k_error_detail()->field, "owner");
		assert_int_equal(k2k_error_detail()->found, STRANGER);
		assert_contains(k2k_error_detail()->text, "4242");
		options.owner_uid = STRANGER + 1;
		assert_int_equal(k2k_registry_open(name, K2K_ROLE_BROKER, &options, &reg),
		                 K2K_EOWNER);
		options.owner_uid = STRANGER;
		assert_int_equal(k2k_registry_open(name, K2K_ROLE_BROKER, &options, &reg), 0);
		assert_int_equal(k2k_registry_close(&reg), 0);
		if (i == 0) {
			assert_int_equal(k2k_registry_destroy(name, K2K_DESTROY_FORCE, NULL),
			                 K2K_EOWNER);
			assert_int_equal(k2k_registry_create(name, &small, NULL), K2K_EEXIST);
		}
		assert_int_equal(chown(paths[i], 0, (gid_t)-1), 0);
	}
	accepted("own files");
}

TEST(files_that_are_open_to_more_than_they_should_be_are_refused)
{
	static const mode_t wrong_defs[] = { 0664, 0646, 0642, 0660, 0666, 0777 };
	static const mode_t wrong_live[] = { 0664, 0666, 0662, 0770 };

	set_up();
	for (size_t i = 0; i < sizeof wrong_defs / sizeof wrong_defs[0]; i++) {
		assert_int_equal(chmod(bytes.defs_path, wrong_defs[i]), 0);
		refused(K2K_EOWNER, "defs open to others");
		assert_string_equal(k2k_error_detail()->field, "mode");
	}
	assert_int_equal(chmod(bytes.defs_path, 0600), 0);
	for (size_t i = 0; i < sizeof wrong_live / sizeof wrong_live[0]; i++) {
		assert_int_equal(chmod(bytes.live_path, wrong_live[i]), 0);
		refused(K2K_EOWNER, "live open to others");
		assert_string_equal(k2k_error_detail()->field, "mode");
	}
	assert_int_equal(chmod(bytes.live_path, 0600), 0);
	accepted("fewer rights than it was created with");
}

TEST(a_user_without_rights_is_told_so)
{
	pid_t pid;

	if (geteuid() != 0)
		skip_msg("needs root");
	set_up();
	assert_int_equal(chmod(bytes.defs_path, 0640), 0);
	pid = spawn();
	if (pid == 0) {
		assert_true(setgroups(0, NULL) == 0 &&
		            setresgid(STRANGER, STRANGER, STRANGER) == 0 &&
		            setresuid(STRANGER, STRANGER, STRANGER) == 0);
		prctl(PR_SET_DUMPABLE, 1);
		refused(K2K_EPERM, "no rights");
		assert_int_equal(k2k_registry_destroy(name, K2K_DESTROY_FORCE, NULL), K2K_EPERM);
		assert_int_equal(k2k_registry_create(name, &small, NULL), K2K_EEXIST);
		exit(0);
	}
	spawn_wait(pid);
	assert_true(chmod(bytes.defs_path, 0644) == 0 && chmod(bytes.live_path, 0660) == 0);
	pid = spawn();
	if (pid == 0) {
		struct k2k_registry *reg;

		assert_true(setgroups(0, NULL) == 0 &&
		            setresgid(STRANGER, STRANGER, STRANGER) == 0 &&
		            setresuid(STRANGER, STRANGER, STRANGER) == 0);
		prctl(PR_SET_DUMPABLE, 1);
		/* defs can be read, live can't */
		assert_int_equal(k2k_registry_open(name, K2K_ROLE_OBSERVER, NULL, &reg),
		                 K2K_EOWNER); /* 0644 is not the mode it was created with */
		exit(0);
	}
	spawn_wait(pid);
	CHECK_BYTES(&bytes, "a user without rights");
}

/* ---- truncated files ------------------------------------------------------------------------- */

static void write_all(const char *path, const unsigned char *from, size_t n)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0 && ftruncate(fd, (off_t)n) == 0 &&
	            pwrite(fd, from, n, 0) == (ssize_t)n);
	close(fd);
}

TEST(a_registry_cut_short_or_with_holes_is_damaged)
{
	set_up();
	for (int object = 0; object < 2; object++) {
		const char *path = object ? bytes.live_path : bytes.defs_path;
		const unsigned char *copy = object ? bytes.live_copy : bytes.defs_copy;
		off_t total = (off_t)(object ? bytes.live_bytes : bytes.defs_bytes);
		const off_t sizes[] = { 0,
			                1,
			                8,
			                1016,
			                1023,
			                1024,
			                1152,
			                1279,
			                1280,
			                4095,
			                4096,
			                8192,
			                total - 4096,
			                total - 1,
			                total + 1,
			                total + 4096,
			                total * 2 };
		int fd;

		for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
			char what[64];

			if (sizes[i] == total)
				continue;
			snprintf(what, sizeof what, "%s of %lld bytes", object ? "live" : "defs",
			         (long long)sizes[i]);
			assert_int_equal(truncate(path, sizes[i]), 0);
			refused(K2K_ECORRUPT, what);
			assert_string_equal(k2k_error_detail()->object, object ? "live" : "defs");
			assert_string_equal(k2k_error_detail()->field, "size");
			if (!object) {
				CHECK_CODE(k2k_registry_create(name, &small, NULL), K2K_EEXIST,
				           "create over a cut one");
				CHECK_CODE(k2k_registry_destroy(name, 0, NULL), K2K_ECORRUPT,
				           "destroy of a cut one");
			}
			write_all(path, copy, (size_t)total);
		}
		fd = open(path, O_RDWR | O_CLOEXEC);
		assert_true(fd >= 0 && fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		                                 total - 4096, 4096) == 0);
		refused(K2K_ECORRUPT, "a hole");
		assert_string_equal(k2k_error_detail()->field, "blocks");
		close(fd);
		write_all(path, copy, (size_t)total);
		accepted("whole again");
		bytes_restore(&bytes);
	}
	/* The registry can still be removed. */
	assert_int_equal(truncate(bytes.defs_path, 2000), 0);
	assert_int_equal(k2k_registry_destroy(name, K2K_DESTROY_FORCE, NULL), 0);
	assert_true(access(bytes.defs_path, F_OK) != 0 && access(bytes.live_path, F_OK) != 0);
}

TEST(defs_without_live_is_damaged_and_can_be_destroyed)
{
	set_up();
	assert_int_equal(unlink(bytes.live_path), 0);
	refused(K2K_ECORRUPT, "live is missing");
	assert_int_equal(k2k_registry_create(name, &small, NULL), K2K_EEXIST);
	assert_int_equal(k2k_registry_destroy(name, 0, NULL), 0);
	assert_int_not_equal(access(bytes.defs_path, F_OK), 0);
	assert_int_equal(k2k_registry_create(name, &small, NULL), 0);
}

TEST(live_without_defs_is_no_registry_and_is_swept)
{
	struct k2k_registry *reg;

	set_up();
	assert_int_equal(unlink(bytes.defs_path), 0);
	assert_int_equal(k2k_registry_open(name, K2K_ROLE_BROKER, NULL, &reg), K2K_ENOREGISTRY);
	assert_int_equal(access(bytes.live_path, F_OK), 0);
	assert_int_equal(k2k_registry_open(name, K2K_ROLE_ADMIN, NULL, &reg), K2K_ENOREGISTRY);
	assert_int_not_equal(access(bytes.live_path, F_OK), 0);
}

/* ---- headers --------------------------------------------------------------------------------- */

/* Returns the code that a damaged byte of the header must give. */
static int expected_of(size_t at, unsigned char mask)
{
	/* a known feature: only the checksum shows the damage */
	if (at == offsetof(struct k2k_shm_header, incompatible) &&
	    mask == K2K_FEATURE_REQUIRE_AUDIT)
		return K2K_ECORRUPT;
	if (at >= offsetof(struct k2k_shm_header, layout_version) &&
	    at < offsetof(struct k2k_shm_header, byte_order))
		return K2K_ELAYOUT;
	if (at >= offsetof(struct k2k_shm_header, header_bytes) &&
	    at < offsetof(struct k2k_shm_header, section_count))
		return K2K_ELAYOUT;
	if (at >= offsetof(struct k2k_shm_header, fingerprint) &&
	    at < offsetof(struct k2k_shm_header, compatible))
		return K2K_ELAYOUT;
	if (at >= offsetof(struct k2k_shm_header, incompatible) &&
	    at < offsetof(struct k2k_shm_header, uuid))
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

				snprintf(what, sizeof what, "byte %zu of %s flipped by %02x", at,
				         object ? "live" : "defs", mask);
				*byte ^= mask;
				refused(expected_of(at, mask), what);
				assert_string_equal(k2k_error_detail()->object,
				                    object ? "live" : "defs");
				assert_true(k2k_error_detail()->field[0] != '\0');
				if (at % 64 == 0 && !object) {
					CHECK_CODE(k2k_registry_create(name, &small, NULL),
					           K2K_EEXIST, "create: %s", what);
					CHECK_CODE(k2k_registry_destroy(name, 0, NULL),
					           expected_of(at, mask), "destroy: %s", what);
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

/* Changes with a valid checksum: of another version, another machine, or forged. */
#define REFUSED_WITH(object, change, code, why)                                 \
	do {                                                                    \
		struct k2k_shm_header *h = header_of(object), header_copy = *h; \
		change;                                                         \
		h->checksum = k2k_layout_checksum(h);                           \
		refused((code), #change);                                       \
		if (why[0])                                                     \
			assert_string_equal(k2k_error_detail()->field, why);    \
		*h = header_copy;                                               \
	} while (0)

TEST(another_layout_boot_or_machine_is_told_apart)
{
	set_up();
	for (int object = 0; object < 2; object++) {
		REFUSED_WITH(object, h->layout_version = K2K_LAYOUT_VERSION + 1, K2K_ELAYOUT,
		             "layout version");
		REFUSED_WITH(object, h->layout_version = 0, K2K_ELAYOUT, "layout version");
		REFUSED_WITH(object, h->layout_version = 1, K2K_ELAYOUT, "layout version");
		REFUSED_WITH(object, h->header_bytes = 2048, K2K_ELAYOUT, "record size");
		REFUSED_WITH(object, h->fingerprint++, K2K_ELAYOUT, "fingerprint");
		REFUSED_WITH(object, h->incompatible = UINT64_C(1) << 63, K2K_ELAYOUT, "features");
		REFUSED_WITH(object, h->clock = 2, K2K_ELAYOUT, "clock");
		REFUSED_WITH(object, h->clock = 0, K2K_ELAYOUT, "clock");
		REFUSED_WITH(object,
		             (h->magic = __builtin_bswap64(h->magic),
		              h->byte_order = __builtin_bswap32(h->byte_order)),
		             K2K_ELAYOUT, "byte order");
		REFUSED_WITH(object, h->magic = object ? K2K_DEFS_MAGIC : K2K_LIVE_MAGIC,
		             K2K_ECORRUPT, "magic");
		REFUSED_WITH(object, h->total_bytes += 4096, K2K_ECORRUPT, "size");
		REFUSED_WITH(object, h->total_bytes = 0, K2K_ECORRUPT, "size");
		REFUSED_WITH(object, h->total_bytes = UINT64_MAX, K2K_ECORRUPT, "size");
		REFUSED_WITH(object, h->object_mode = 0, K2K_EOWNER, "mode");
		REFUSED_WITH(object, h->uuid[3] ^= 1, K2K_ECORRUPT, "");
		REFUSED_WITH(object, h->section_count = 0, K2K_ECORRUPT, "section");
		REFUSED_WITH(object, h->section_count = 1, K2K_ECORRUPT, "section");
		REFUSED_WITH(object, h->section_count = K2K_SECTIONS_MAX + 1, K2K_ECORRUPT,
		             "section count");
		REFUSED_WITH(object, h->section_count = UINT32_MAX, K2K_ECORRUPT, "section count");
	}
	REFUSED_WITH(0, h->boot_id[0] ^= 1, K2K_EBOOT, "boot id");
	REFUSED_WITH(0, h->boot_id[15] ^= 0x80, K2K_EBOOT, "boot id");
	CHECK_BYTES(&bytes, "attaching to another layout");
	/* A new but compatible feature does no harm. */
	header_of(0)->compatible = header_of(1)->compatible = 1;
	header_of(0)->reserved[0] = header_of(1)->reserved[sizeof header_of(1)->reserved - 1] = 1;
	header_of(0)->checksum = k2k_layout_checksum(header_of(0));
	header_of(1)->checksum = k2k_layout_checksum(header_of(1));
	accepted("compatible features");
}

TEST(forged_sections_are_found)
{
	set_up();
	for (int object = 0; object < 2; object++)
		for (uint32_t i = 0; i < header_of(object)->section_count; i++) {
			static const uint64_t counts[] = { 0,
				                           UINT32_MAX,
				                           UINT64_C(1) << 32,
				                           UINT64_C(1) << 58,
				                           UINT64_C(1) << 62,
				                           UINT64_MAX };
			const uint64_t offsets[] = { 0,
				                     8,
				                     64,
				                     4032,
				                     4097,
				                     1 << 20,
				                     UINT64_C(1) << 32,
				                     UINT64_C(1) << 63,
				                     UINT64_MAX,
				                     UINT64_MAX - 63 };

			REFUSED_WITH(object, h->sections[i].kind = 0, K2K_ECORRUPT, "section");
			REFUSED_WITH(object, h->sections[i].kind = 999, K2K_ECORRUPT, "section");
			REFUSED_WITH(object, h->sections[i].stride_bytes += 8, K2K_ELAYOUT,
			             "record size");
			REFUSED_WITH(object, h->sections[i].stride_bytes = 0, K2K_ELAYOUT,
			             "record size");
			for (size_t k = 0; k < sizeof counts / sizeof counts[0]; k++)
				REFUSED_WITH(object, h->sections[i].count = counts[k], K2K_ECORRUPT,
				             "section");
			for (size_t k = 0; k < sizeof offsets / sizeof offsets[0]; k++)
				REFUSED_WITH(object, h->sections[i].offset_bytes = offsets[k],
				             K2K_ECORRUPT, "section");
			switch (header_of(object)->sections[i].kind) {
			case K2K_SECTION_TENANT_HEADS:
			case K2K_SECTION_BUDGET_HEADS:
			case K2K_SECTION_LEDGER_HEADS:
				REFUSED_WITH(object, h->sections[i].count = 3, K2K_ECORRUPT,
				             "count");
				break;
			case K2K_SECTION_TENANTS:
			case K2K_SECTION_TENANTS_COLD:
			case K2K_SECTION_SLOTS:
			case K2K_SECTION_CELLS:
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
	assert_int_equal(k2k_registry_create(name, &small, NULL), K2K_EEXIST);
	assert_int_equal(k2k_registry_destroy(name, 0, NULL), 0);
	assert_true(access(bytes.defs_path, F_OK) != 0 && access(bytes.live_path, F_OK) != 0);
	assert_int_equal(k2k_registry_create(name, &small, NULL), 0);
	accepted("created anew");
}

TEST(what_a_killed_destroy_left_is_no_registry_any_more)
{
	struct k2k_registry *reg;

	set_up();
	((struct k2k_shm_defs *)(void *)bytes.defs)->poisoned = K2K_POISONED;
	assert_int_equal(k2k_registry_open(name, K2K_ROLE_OBSERVER, NULL, &reg), K2K_ENOREGISTRY);
	assert_int_equal(k2k_registry_open(name, K2K_ROLE_BROKER, NULL, &reg), K2K_ENOREGISTRY);
	assert_int_equal(access(bytes.defs_path, F_OK), 0);
	assert_int_equal(k2k_registry_open(name, K2K_ROLE_ADMIN, NULL, &reg), K2K_ENOREGISTRY);
	assert_true(access(bytes.defs_path, F_OK) != 0 && access(bytes.live_path, F_OK) != 0);
}
