/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit_auditd - the format of an audit log: its lines, the ring positions they record, and reading
 * them
 */
#include "harness.h"

#include "common/audit_chain.h"
#include "common/audit_event.h"

#include <json-c/json.h>

static struct position round_trip(const struct position *position)
{
	json_object *object = json_object_new_object();
	struct position back;

	position_put(position, object);
	memset(&back, 0xee, sizeof back);
	assert_true(position_get(&back, object));
	json_object_put(object);
	return back;
}

TEST(a_place_in_the_rings_survives_its_text)
{
	struct position p, back;

	position_begin(&p, "some-uuid");
	back = round_trip(&p);
	assert_string_equal(back.uuid, "some-uuid");
	assert_int_equal(back.next[0], 1);
	assert_int_equal(back.next[64], 1);
	position_pass(&p, 0, 1, 0);
	position_pass(&p, 64, UINT64_MAX - 1, 0);
	position_pass(&p, 7, 10, 5);
	position_pass(&p, 8, 10, 1);
	position_pass(&p, RINGS_MOST, 10, 1);
	position_pass(&p, RINGS_MOST - 1, 20, 1);
	back = round_trip(&p);
	assert_int_equal(back.next[0], 2);
	assert_int_equal(back.next[64], UINT64_MAX);
	assert_int_equal(back.next[7], 15);
	assert_int_equal(back.next[8], 11);
	assert_int_equal(back.next[1], 1);
	assert_int_equal(back.next[RINGS_MOST - 1], 21);
}

TEST(a_place_that_is_none_is_refused)
{
	static const char *const texts[] = {
		"{}",
		"{\"uuid\":\"u\"}",
		"{\"next\":{}}",
		"{\"uuid\":5,\"next\":{}}",
		"{\"uuid\":\"u\",\"next\":[]}",
		"{\"uuid\":\"u\",\"next\":{\"2049\":\"1\"}}",
		"{\"uuid\":\"u\",\"next\":{\"-1\":\"1\"}}",
		"{\"uuid\":\"u\",\"next\":{\"1\":1}}",
		"{\"uuid\":\"u\",\"next\":{\"1\":\"99999999999999999999\"}}",
		"{\"uuid\":\"u\",\"next\":{\"1\":\"\"}}",
		"{\"uuid\":\"0123456789012345678901234567890123456789\",\"next\":{}}",
	};

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		json_object *object = json_tokener_parse(texts[i]);
		struct position p;

		assert_non_null(object);
		if (position_get(&p, object))
			fail_msg("taken: %s", texts[i]);
		json_object_put(object);
	}
}

TEST(an_event_says_which_one_it_is)
{
	struct k2k_audit_record r = {
		.size = sizeof r, .ring = 64, .sequence = UINT64_MAX, .kind = K2K_AUDIT_KIND_REPAIR
	};
	uint64_t sequence, lost;
	uint32_t ring;

	for (int pass = 0; pass < 2; pass++) {
		json_object *object = json_object_new_object();
		const char *text, *kind, *end;

		r.flags = pass ? K2K_AUDIT_LOST : 0;
		r.count = pass ? 17 : 1;
		event_put(object, &r);
		text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN);
		kind = text + strlen("{\"kind\":\"");
		end = strchr(kind, '"');
		assert_true(event_place(kind, (size_t)(end - kind), text + strlen(text), &ring,
		                        &sequence, &lost));
		assert_int_equal(ring, 64);
		assert_int_equal(sequence, UINT64_MAX);
		assert_int_equal(lost, pass ? 17 : 0);
		json_object_put(object);
	}
}

TEST(a_line_has_exactly_one_form)
{
	static const char good[] = "{\"seq\":\"12\",\"at_ns\":\"0\",\"kind\":\"k\",\"x\":1";
	static const char *const bad[] = {
		"{\"seq\":\"0\",\"at_ns\":\"0\",\"kind\":\"k\"",
		"{\"seq\":\"012\",\"at_ns\":\"0\",\"kind\":\"k\"",
		"{\"seq\":\"99999999999999999999\",\"at_ns\":\"0\",\"kind\":\"k\"",
		"{\"seq\":\"\",\"at_ns\":\"0\",\"kind\":\"k\"",
		"{ \"seq\":\"12\",\"at_ns\":\"0\",\"kind\":\"k\"",
		"{\"at_ns\":\"0\",\"seq\":\"12\",\"kind\":\"k\"",
		"{\"seq\":\"12\",\"at_ns\":\"0\",\"kind\":\"k",
		"",
	};
	uint8_t mac[CHAIN_MAC_BYTES];
	char text[512], tail[CHAIN_TAIL];
	struct chain_line line;

	assert_int_equal(chain_init(), 0);
	memset(mac, 0xa5, sizeof mac);
	chain_write_tail(tail, mac);
	assert_int_equal(strlen(tail), CHAIN_TAIL - 1);
	snprintf(text, sizeof text, "%s%s", good, tail);
	assert_true(chain_parse(text, strlen(text), &line));
	assert_int_equal(line.seq, 12);
	assert_int_equal(line.body_size, strlen(good));
	assert_true(chain_is_kind(&line, "k") && !chain_is_kind(&line, "kk") &&
	            !chain_is_kind(&line, ""));
	assert_memory_equal(line.mac, mac, sizeof mac);
	for (size_t size = 0; size < strlen(text); size++)
		assert_false(chain_parse(text, size, &line));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		snprintf(text, sizeof text, "%s%s", bad[i], tail);
		if (chain_parse(text, strlen(text), &line))
			fail_msg("taken: %s", text);
	}
	snprintf(text, sizeof text, "%s%s", good, tail);
	text[strlen(text) - 5] = 'A'; /* digits are lower case: a MAC has one spelling */
	assert_false(chain_parse(text, strlen(text), &line));
}

/* Reads lines of these sizes; if `half`, the last one has no newline. */
static void check_reader(const size_t *sizes, size_t count, int half)
{
	struct chain_reader reader;
	char path[128];
	const char *text;
	uint64_t offset = 0;
	size_t size;
	FILE *file;

	snprintf(path, sizeof path, "%s/lines", test_dir());
	file = fopen(path, "w");
	assert_non_null(file);
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < sizes[i]; j++)
			putc('a' + (int)(i % 26), file);
		if (i + 1 < count || !half)
			putc('\n', file);
	}
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chain_reader_open(&reader, path), 0);
	for (size_t i = 0; i < count; i++) {
		enum chain_read what = chain_reader_next(&reader, &text, &size);

		assert_int_equal(what, half && i + 1 == count ? CHAIN_HALF : CHAIN_LINE);
		if (sizes[i] < CHAIN_LINE_MAX)
			assert_int_equal(size, sizes[i]);
		else
			/* its size shows that it is not one of our lines */
			assert_true(size >= CHAIN_LINE_MAX);
		assert_true(size == 0 ||
		            (text[0] == 'a' + (char)(i % 26) && text[size - 1] == text[0]));
		assert_int_equal(reader.number, i + 1);
		offset += sizes[i] + 1;
		if (what == CHAIN_LINE)
			assert_int_equal(reader.offset, offset);
	}
	assert_int_equal(chain_reader_next(&reader, &text, &size), CHAIN_END);
	chain_reader_close(&reader);
}

TEST(lines_of_any_size_are_told_apart)
{
	static const size_t sizes[] = { 0,
		                        1,
		                        CHAIN_LINE_MAX - 1,
		                        CHAIN_LINE_MAX,
		                        CHAIN_LINE_MAX + 1,
		                        0,
		                        8 * CHAIN_LINE_MAX,
		                        8 * CHAIN_LINE_MAX - 1,
		                        8 * CHAIN_LINE_MAX + 1,
		                        3,
		                        40 * CHAIN_LINE_MAX,
		                        7,
		                        500000,
		                        5 };

	for (size_t count = 0; count <= sizeof sizes / sizeof sizes[0]; count++) {
		check_reader(sizes, count, 0);
		if (count && sizes[count - 1])
			check_reader(sizes, count, 1);
	}
}
