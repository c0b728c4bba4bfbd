/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit_names.c - names of tenants: unique, found, moved, and never shown with damaged bytes */
#include "registry_fixture.h"
#include "tenant.h"
#include "text.h"
#include "trail_reader.h"

static struct fixture f;

static int add(k2k_tenant_id id, const char *name)
{
	struct k2k_quota quota = quota_standard();

	quota.name = name;
	return k2k_tenant_register(f.admin, id, &quota);
}

static int rename_to(k2k_tenant_id id, const char *name)
{
	struct k2k_quota quota = quota_unlimited();

	quota.name = name;
	return k2k_tenant_update(f.admin, id, &quota, K2K_UPDATE_NAME);
}

static k2k_tenant_id find(const char *name)
{
	k2k_tenant_id id = 12345;
	int code = k2k_tenant_find_name(f.broker, name, &id);

	if (code == K2K_ENOTENANT) {
		assert_int_equal(id, 12345);
		return 0;
	}
	assert_int_equal(code, 0);
	return id;
}

TEST(a_tenant_is_found_by_its_name_until_that_changes)
{
	fixture_open(&f);
	assert_int_equal(add(1, "vision-team"), 0);
	assert_int_equal(add(2, NULL), 0);
	assert_int_equal(add(3, "\xc3\xa9quipe \xf0\x9f\x9a\x80"), 0);
	assert_int_equal(find("vision-team"), 1);
	assert_int_equal(find("\xc3\xa9quipe \xf0\x9f\x9a\x80"), 3);
	assert_int_equal(find("vision-tea"), 0);
	assert_int_equal(find("vision-team2"), 0);
	assert_string_equal(info_of(f.broker, 1).name, "vision-team");
	assert_string_equal(info_of(f.broker, 2).name, "");
	assert_int_equal(rename_to(1, "speech"), 0);
	assert_int_equal(find("vision-team"), 0);
	assert_int_equal(find("speech"), 1);
	assert_int_equal(rename_to(2, "vision-team"), 0);
	assert_int_equal(find("vision-team"), 2);
	/* other limits change, the name stays */
	assert_int_equal(k2k_tenant_update(f.admin, 2, &(struct k2k_quota)K2K_QUOTA_UNLIMITED,
	                                   K2K_UPDATE_KERNELS),
	                 0);
	assert_int_equal(find("vision-team"), 2);
	assert_int_equal(rename_to(2, NULL), 0);
	assert_int_equal(find("vision-team"), 0);
	assert_int_equal(k2k_tenant_deregister(f.admin, 1, NULL), 0);
	assert_int_equal(find("speech"), 0);
	fixture_close(&f);
}

TEST(a_name_of_31_bytes_fits_and_one_of_32_does_not)
{
	char name[33];

	fixture_open(&f);
	for (size_t bytes = 1; bytes <= 32; bytes++) {
		memset(name, 'a', bytes);
		name[bytes] = 0;
		assert_int_equal(add(bytes, name), bytes < 32 ? 0 : K2K_EINVAL);
	}
	for (size_t bytes = 1; bytes < 32; bytes++) {
		memset(name, 'a', bytes);
		name[bytes] = 0;
		assert_int_equal(find(name), bytes);
	}
	fixture_close(&f);
}

static void check_unique(void)
{
	assert_int_equal(add(1, "a"), 0);
	assert_int_equal(add(2, "b"), 0);
	assert_int_equal(add(3, "a"), K2K_EEXIST);
	assert_string_equal(k2k_error_detail()->field, "name");
	assert_int_equal(k2k_error_detail()->found, 1);
	assert_string_equal(k2k_error_detail()->text, "tenant 1 has the name a already");
	assert_int_equal(is_registered(f.admin, 3), 0);
	assert_int_equal(rename_to(2, "a"), K2K_EEXIST);
	assert_string_equal(info_of(f.admin, 2).name, "b");
	assert_int_equal(rename_to(1, "a"), 0);
	/* a name is free again: by a rename, by its removal, and by a deregister */
	assert_int_equal(rename_to(1, "c"), 0);
	assert_int_equal(rename_to(2, "a"), 0);
	assert_int_equal(add(3, "b"), 0);
	assert_int_equal(rename_to(3, NULL), 0);
	assert_int_equal(rename_to(2, "b"), 0);
	assert_int_equal(k2k_tenant_deregister(f.admin, 2, NULL), 0);
	assert_int_equal(rename_to(3, "b"), 0);
	assert_int_equal(add(2, "b"), K2K_EEXIST);
	assert_int_equal(add(2, "a"), 0);
	assert_int_equal(add(4, "c"), K2K_EEXIST);
}

TEST(no_two_tenants_have_one_name)
{
	fixture_open(&f);
	check_unique();
	fixture_close(&f);
}

TEST(no_two_tenants_have_one_name_in_a_batch)
{
	fixture_open(&f);
	assert_int_equal(k2k_batch_begin(f.admin), 0);
	check_unique();
	assert_int_equal(k2k_batch_end(f.admin), 0);
	assert_int_equal(add(5, "a"), K2K_EEXIST);
	fixture_close(&f);
}

TEST(a_batch_knows_the_names_that_were_given_before_it)
{
	fixture_open(&f);
	assert_int_equal(add(1, "a"), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(k2k_batch_begin(f.admin), 0);
		assert_int_equal(add(2, "a"), K2K_EEXIST);
		assert_int_equal(k2k_batch_end(f.admin), 0);
		assert_int_equal(rename_to(1, "b"), 0);
		assert_int_equal(add(3 + i, "a"), i ? K2K_EEXIST : 0);
	}
	fixture_close(&f);
}

/* As many names as the table of a batch has room for, several times over. */
TEST(the_table_of_a_batch_grows_and_forgets_names_that_are_gone)
{
	const int count = 3000;
	char name[32];

	fixture_open_sized(&f, NULL);
	assert_int_equal(k2k_batch_begin(f.admin), 0);
	for (int round = 0; round < 3; round++) {
		for (int i = 1; i <= count; i++) {
			snprintf(name, sizeof name, "tenant-%d-%d", i, round);
			assert_int_equal(round ? rename_to((k2k_tenant_id)i, name)
			                       : add((k2k_tenant_id)i, name),
			                 0);
		}
		assert_int_equal(rename_to(1, name), K2K_EEXIST);
		assert_int_equal(rename_to(1, "tenant-1-free"), 0);
	}
	assert_int_equal(k2k_batch_end(f.admin), 0);
	assert_int_equal(find("tenant-3000-2"), 3000);
	assert_int_equal(find("tenant-3000-1"), 0);
	fixture_close(&f);
}

TEST(a_rename_is_one_event_with_the_name)
{
	static struct reader r;
	const struct k2k_audit_record *e;

	fixture_open(&f);
	reader_open(&r, f.admin);
	assert_int_equal(add(1, "0123456789abcdef0123456789abcde"), 0);
	assert_int_equal(rename_to(1, "b"), 0);
	assert_int_equal(rename_to(1, "b"), 0);
	assert_int_equal(rename_to(1, NULL), 0);
	reader_take_all(&r);
	e = reader_need(&r, K2K_AUDIT_KIND_REGISTER, 0);
	assert_true(e->values[K2K_AUDIT_REGISTER_MASK] & K2K_UPDATE_NAME);
	assert_string_equal(e->source, "0123456789abcdef0123456789abcde");
	assert_int_equal(e->tag.org_id, 0);
	assert_int_equal(e->used, 0);
	e = reader_need(&r, K2K_AUDIT_KIND_UPDATE, 0);
	assert_int_equal(e->values[K2K_AUDIT_REGISTER_MASK], K2K_UPDATE_NAME);
	assert_string_equal(e->source, "b");
	e = reader_need(&r, K2K_AUDIT_KIND_UPDATE, 1);
	assert_int_equal(e->values[K2K_AUDIT_REGISTER_MASK], K2K_UPDATE_NAME);
	assert_string_equal(e->source, "");
	assert_null(reader_find(&r, K2K_AUDIT_KIND_UPDATE, 2));
	fixture_close(&f);
}

static size_t findings(const char *part)
{
	struct k2k_finding list[4] = { { .size = sizeof list[0] } };
	size_t count, found = 0;

	assert_int_equal(k2k_registry_check(f.admin, list, 4, &count), 0);
	for (size_t i = 0; i < count && i < 4; i++)
		found += strstr(list[i].text, part) != NULL;
	return found;
}

static char *name_in_memory(k2k_tenant_id id)
{
	const struct k2k_map *map = &f.admin->map;
	uint64_t word;
	uint32_t slot;

	assert_int_equal(k2k_tenant_find(map, id, &slot, &word), 0);
	return (char *)map->tenants_cold[slot]
	        .name[K2K_SELECT_VERSION(map->tenants[slot].select) & 1];
}

TEST(damaged_bytes_of_a_name_are_found_and_never_shown)
{
	static const struct {
		const char *bytes, *shown;
	} damage[] = {
		{ "a\x1b[2J", "a?[2J" },
		{ "\xff\xfe", "??" },
		{ "caf\xc3", "caf?" },
		{ "\n", "?" },
		{ "0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcde" },
	};
	char *name;

	fixture_open(&f);
	assert_int_equal(add(1, "sound"), 0);
	assert_int_equal(findings("name"), 0);
	for (size_t i = 0; i < K2K_COUNT_OF(damage); i++) {
		name = name_in_memory(1);
		memset(name, 0, 32);
		memcpy(name, damage[i].bytes, strlen(damage[i].bytes));
		assert_string_equal(info_of(f.broker, 1).name, damage[i].shown);
		assert_int_equal(findings("a name that can't be one"), 1);
		assert_int_equal(rename_to(1, "sound"), 0);
		assert_int_equal(findings("name"), 0);
	}
	name = name_in_memory(1);
	name[20] = 'x'; /* behind its end */
	assert_string_equal(info_of(f.broker, 1).name, "sound");
	assert_int_equal(findings("a name that can't be one"), 1);
	name[20] = 0;
	assert_int_equal(add(2, "sounE"), 0);
	name_in_memory(2)[4] = 'd';
	assert_int_equal(findings("the same name"), 1);
	assert_int_equal(rename_to(2, "other"), 0);
	fixture_close(&f);
}

TEST(texts_are_utf8_without_control_characters)
{
	static const struct {
		const char *text;
		bool clean;
	} texts[] = {
		{ "", true },
		{ "a b", true },
		{ "\xc2\xa0", true },
		{ "\xc2\x9f", false },
		{ "\xdf\xbf", true },
		{ "\xe0\x9f\xbf", false },
		{ "\xed\x9f\xbf", true },
		{ "\xed\xa0\x80", false },
		{ "\xf4\x8f\xbf\xbf", true },
		{ "\xf4\x90\x80\x80", false },
		{ "\x80", false },
		{ "a\xe2\x82", false },
		{ "\x1f", false },
		{ "\x7f", false },
	};

	for (size_t i = 0; i < K2K_COUNT_OF(texts); i++)
		assert_int_equal(k2k_text_is_clean(texts[i].text, strlen(texts[i].text)),
		                 texts[i].clean);
	assert_false(k2k_text_is_clean("a\0b", 3));
}
