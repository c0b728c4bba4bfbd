/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* broker_line - how k2k-broker parses its lines, without a registry */
#include "harness.h"
#include "line.h"

#include <json-c/json.h>

#define LAST "18446744073709551615"

static struct line_parsed parsed;
#define request parsed.request
static struct line_error error;

/*
 * The parsed bytes are in memory of exactly their size, so that a sanitizer sees an access beyond
 * them.
 */
static int parse_bytes(const char *bytes, size_t size)
{
	char *copy = malloc(size ? size : 1);
	int result;

	line_forget(&parsed);
	memcpy(copy, bytes, size);
	result = line_parse(LINE_WHOLE, copy, size, &parsed, &error);
	free(copy);
	return result;
}

static void accepts(const char *line)
{
	if (parse_bytes(line, strlen(line)) != 0)
		fail_msg("refused at column %zu: %s: %s", error.column, error.text, line);
}

static void refuses(const char *line, size_t column, const char *part)
{
	if (parse_bytes(line, strlen(line)) == 0)
		fail_msg("accepted: %s", line);
	if (error.column != column || !strstr(error.text, part))
		fail_msg("column %zu, \"%s\" instead of column %zu, \"%s\": %s", error.column,
		         error.text, column, part, line);
}

TEST(each_kind_of_line_is_understood)
{
	accepts("{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42,\"org\":1,\"engagement\":7}");
	assert_int_equal(request.operation, BROKER_ADD);
	assert_string_equal(request.name, "a");
	assert_int_equal(request.tenant, 42);
	assert_int_equal(request.tag.org_id, 1);
	assert_int_equal(request.tag.engagement_id, 7);
	accepts("{\"kernel\":\"remove\",\"name\":\"G0000/client\"}");
	assert_int_equal(request.operation, BROKER_REMOVE);
	assert_string_equal(request.name, "G0000/client");
	accepts(" { \"send\" : \"a\" ,\t\"to\":\"b\",\"org\":2,\"engagement\": \"8\" , "
	        "\"gpu_ns\":9 } ");
	assert_int_equal(request.operation, BROKER_SEND);
	assert_string_equal(request.name, "a");
	assert_string_equal(request.to, "b");
	assert_int_equal(request.tag.org_id, 2);
	assert_int_equal(request.tag.engagement_id, 8);
	assert_int_equal(request.gpu_ns, 9);
	accepts("{\"reserve\":\"job\",\"tenant\":42,\"org\":1,\"engagement\":7,\"gpu_ns\":\"5\"}");
	assert_int_equal(request.operation, BROKER_RESERVE);
	assert_string_equal(request.name, "job");
	assert_int_equal(request.tenant, 42);
	assert_int_equal(request.tag.org_id, 1);
	assert_int_equal(request.tag.engagement_id, 7);
	assert_int_equal(request.gpu_ns, 5);
	accepts("{\"gpu_ns\":0,\"commit\":\"job\"}");
	assert_int_equal(request.operation, BROKER_COMMIT);
	assert_int_equal(request.gpu_ns, 0);
	accepts("{\"cancel\":\"job\"}");
	assert_int_equal(request.operation, BROKER_CANCEL);
	assert_string_equal(request.name, "job");
	accepts("{\"id\":1,\"client\":\"gateway-1\"}");
	assert_int_equal(request.operation, BROKER_CLIENT);
	assert_string_equal(request.name, "gateway-1");
	assert_int_equal(parsed.column, 9);
	accepts("{\"stats\":true}");
	assert_int_equal(request.operation, BROKER_STATS);
}

TEST(a_line_about_a_reservation_says_how_much_and_nothing_else)
{
	refuses("{\"reserve\":\"job\",\"tenant\":42}", 29, "needs \"gpu_ns\"");
	refuses("{\"reserve\":\"job\",\"gpu_ns\":0}", 27, "at least 1");
	refuses("{\"reserve\":\"job\",\"gpu_ns\":-1}", 27, "whole number");
	refuses("{\"commit\":\"job\"}", 16, "needs \"gpu_ns\"");
	refuses("{\"commit\":\"job\",\"gpu_ns\":1,\"engagement\":7}", 28, "does not belong");
	refuses("{\"cancel\":\"job\",\"gpu_ns\":1}", 17, "does not belong to \"cancel\"");
	refuses("{\"cancel\":\"\"}", 11, "1 to 255");
	refuses("{\"client\":7}", 11, "must be a string");
	refuses("{\"client\":\"a\",\"name\":\"b\"}", 15, "does not belong to \"client\"");
	refuses("{\"reserve\":\"job\",\"send\":\"a\",\"to\":\"b\"}", 2,
	        "\"reserve\" does not belong to \"send\"");
}

TEST(what_is_left_out_is_zero)
{
	accepts("{\"kernel\":\"add\",\"name\":\"a\"}");
	assert_int_equal(request.tenant, 0);
	assert_int_equal(request.tag.org_id, 0);
	accepts("{\"send\":\"a\",\"to\":\"b\"}");
	assert_int_equal(request.tag.engagement_id, 0);
	assert_int_equal(request.gpu_ns, 0);
}

TEST(numbers_of_64_bits_survive_as_numbers_and_as_strings)
{
	accepts("{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":" LAST ",\"org\":\"" LAST
	        "\",\"engagement\":9223372036854775808}");
	assert_int_equal(request.tenant, UINT64_MAX);
	assert_int_equal(request.tag.org_id, UINT64_MAX);
	assert_int_equal(request.tag.engagement_id, UINT64_C(1) << 63);
	accepts("{\"send\":\"a\",\"to\":\"b\",\"org\":9007199254740993,\"engagement\":\"0\",\"gpu_"
	        "ns\":0}");
	assert_int_equal(request.tag.org_id, UINT64_C(9007199254740993));
	assert_int_equal(request.gpu_ns, 0);
}

TEST(what_is_no_whole_number_of_64_bits_is_refused_at_its_value)
{
	static const char *const values[] = {
		"-1",
		"-0",
		"1.0",
		"1e3",
		"0.5",
		"true",
		"false",
		"null",
		"[]",
		"[1]",
		"{}",
		"{\"a\":1}",
		"\"\"",
		"\" 1\"",
		"\"1 \"",
		"\"-1\"",
		"\"+1\"",
		"\"0x10\"",
		"\"007\"",
		"\"1.0\"",
		"\"18446744073709551616\"",
		"\"99999999999999999999999\"",
		"\"1\\u0000\"",
		"00",
		"\"00\"",
		"NaN",
		"Infinity",
	};
	char line[200];

	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		snprintf(line, sizeof line, "{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":%s}",
		         values[i]);
		refuses(line, 37, "\"tenant\" must be a whole number from 0 to " LAST);
	}
	/* json-c reports the overflow after the last digit. */
	assert_true(parse_bytes("{\"stats\":18446744073709551616}", 30) < 0);
	assert_true(
		parse_bytes("{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":18446744073709551616}",
	                    58) < 0);
	assert_true(error.column >= 37 && error.column <= 58);
}

TEST(what_is_no_json_is_refused_where_it_ends_to_be_some)
{
	refuses("hello", 1, "one JSON object");
	refuses("  [1]", 3, "one JSON object");
	refuses("", 1, "one JSON object");
	refuses("{\"send\":\"a\"", 12, "the line ends");
	refuses("{\"send\":\"a", 11, "the line ends");
	refuses("{", 2, "the line ends");
	refuses("{\"send\":\"a\",}", 13, "");
	refuses("{\"send\" \"a\"}", 9, "");
	refuses("{\"send\":a}", 9, "");
	refuses("{\"send\":'a',\"to\":\"b\"}", 9, "");
	refuses("{'send':\"a\",\"to\":\"b\"}", 2, "double quotes");
	refuses("{'se\"nd':\"a\",\"to\":\"b\"}", 2, "double quotes");
	refuses("{send:\"a\"}", 2, "");
	refuses("{\"stats\":true} x", 16, "");
	refuses("{\"stats\":true}{\"stats\":true}", 15, "");
	refuses("{\"stats\":true /* comment */}", 15, "");
	refuses("{\"send\":\"\xff\",\"to\":\"b\"}", 10, "utf");
	assert_true(parse_bytes("{\"stats\":true}\0x", 16) < 0);
	assert_int_equal(error.column, 15);
	assert_true(parse_bytes("{\"sta\0ts\":true}", 15) < 0);
	assert_int_equal(error.column, 6);
}

TEST(a_line_nested_without_end_is_refused)
{
	char line[4000];

	memset(line, '[', sizeof line);
	memcpy(line, "{\"send\":", 8);
	assert_true(parse_bytes(line, sizeof line) < 0);
	assert_true(error.column < 100);
}

TEST(an_unknown_key_is_refused_by_its_name)
{
	refuses("{\"send\":\"a\",\"to\":\"b\",\"gpu\":1}", 22, "unknown key \"gpu\"");
	refuses("{\"\":1}", 2, "unknown key \"\"");
	refuses("{}", 2, "is needed");
	refuses("{\"a\":{\"send\":1,\"x\":\"}\"},\"send\":\"b\"}", 2, "unknown key \"a\"");
	/* The quoted key is cut between characters, never inside one. */
	refuses("{\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\xc3\xa4yyyyyyy\":1}",
	        2, "xxx");
	assert_int_equal(error.text[strlen(error.text) - 1], 'x');
}

TEST(a_key_that_belongs_to_another_kind_of_line_is_refused)
{
	refuses("{\"send\":\"a\",\"to\":\"b\",\"tenant\":1}", 22,
	        "\"tenant\" does not belong to \"send\"");
	refuses("{\"kernel\":\"remove\",\"name\":\"a\",\"org\":1}", 31, "\"org\" does not belong");
	refuses("{\"kernel\":\"add\",\"name\":\"a\",\"to\":\"b\"}", 28, "\"to\" does not belong");
	refuses("{\"stats\":true,\"name\":\"a\"}", 15, "\"name\" does not belong");
	refuses("{\"stats\":false}", 10, "must be true");
	refuses("{\"stats\":1}", 10, "must be true");
	refuses("{\"kernel\":\"drop\",\"name\":\"a\"}", 11, "\"add\" or \"remove\"");
	refuses("{\"kernel\":1,\"name\":\"a\"}", 11, "\"add\" or \"remove\"");
}

TEST(a_missing_key_is_named_at_the_end_of_the_object)
{
	refuses("{\"send\":\"a\"} ", 12, "needs \"to\"");
	refuses("{\"kernel\":\"add\"}", 16, "needs \"name\"");
	refuses("{\"name\":\"a\"}", 12, "is needed");
}

TEST(a_key_that_stands_twice_is_refused_at_the_second)
{
	refuses("{\"send\":\"a\",\"to\":\"b\",\"send\":\"a\"}", 22, "\"send\" occurs twice");
	refuses("{\"send\":\"a\",\"to\":\"b\",\"s\\u0065nd\":\"a\"}", 22, "occurs twice");
}

TEST(a_key_may_be_written_with_escapes)
{
	accepts("{\"s\\u0065nd\":\"a\",\"to\":\"\\u00e4\\\"}\"}");
	assert_string_equal(request.name, "a");
	assert_string_equal(request.to, "\xc3\xa4\"}");
}

/* Returns how an id that a request spells like this is written back. */
static const char *id_of(const char *id)
{
	static char line[256];

	snprintf(line, sizeof line, "{\"id\":%s,\"send\":\"a\",\"to\":\"b\"}", id);
	accepts(line);
	assert_string_equal(request.name, "a");
	return json_object_to_json_string_ext(parsed.id, JSON_C_TO_STRING_PLAIN |
	                                                         JSON_C_TO_STRING_NOSLASHESCAPE);
}

TEST(an_id_is_any_string_or_number_and_kept_to_the_letter)
{
	static const char *const ids[] = {
		"\"\"",
		"\"a/b\"",
		"\"\\u0000x\"",
		"\"\\\"\"",
		"0",
		"-0",
		"1.0",
		"1.50e3",
		"-7",
		LAST,
		"18446744073709551616",
		"123456789012345678901234567890.125",
		"1e400",
	};

	for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
		assert_string_equal(id_of(ids[i]), ids[i]);
	accepts("{\"stats\":true,\"id\":7}");
	accepts("{\"kernel\":\"add\",\"name\":\"a\",\"id\":\"x\"}");
	accepts("{\"kernel\":\"remove\",\"name\":\"a\",\"id\":\"x\"}");
	accepts("{\"stats\":true}");
	assert_false(parsed.id);
}

TEST(what_is_no_string_or_number_is_no_id)
{
	static const char *const ids[] = { "null",     "true", "{}",   "[1]", "NaN", "-Infinity",
		                           "Infinity", "01",   "1.",   "-",   ".5",  "+1",
		                           "'a'",      "1e",   "0x10", "1.e5" };
	char line[100];

	for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
		snprintf(line, sizeof line, "{\"stats\":true,\"id\":%s}", ids[i]);
		if (parse_bytes(line, strlen(line)) == 0)
			fail_msg("accepted: %s as %s", line, json_object_to_json_string(parsed.id));
	}
	refuses("{\"stats\":true,\"id\":null}", 20, "\"id\" must be a string or a number");
	refuses("{\"id\":1,\"stats\":true,\"id\":1}", 22, "occurs twice");
}

TEST(a_request_that_is_refused_keeps_its_id)
{
	refuses("{\"id\":\"x\",\"send\":\"a\"}", 21, "needs \"to\"");
	assert_string_equal(json_object_get_string(parsed.id), "x");
	refuses("{\"id\":\"x\",", 11, "ends within");
	assert_false(parsed.id);
}

TEST(a_name_has_1_to_63_bytes_and_others_may_be_longer)
{
	char line[400];

	refuses("{\"send\":\"\",\"to\":\"b\"}", 9, "1 to 63");
	refuses("{\"send\":1,\"to\":\"b\"}", 9, "must be a string");
	refuses("{\"send\":\"a\",\"to\":null}", 18, "must be a string");
	refuses("{\"send\":\"a\\u0000b\",\"to\":\"b\"}", 9, "none of them 0");
	snprintf(line, sizeof line, "{\"send\":\"%063d\",\"to\":\"b\"}", 0);
	accepts(line);
	snprintf(line, sizeof line, "{\"send\":\"%064d\",\"to\":\"b\"}", 0);
	refuses(line, 9, "1 to 63");
	snprintf(line, sizeof line, "{\"cancel\":\"%0255d\"}", 0);
	accepts(line);
	snprintf(line, sizeof line, "{\"cancel\":\"%0256d\"}", 0);
	refuses(line, 11, "1 to 255");
	snprintf(line, sizeof line, "{\"client\":\"%0128d\"}", 0);
	accepts(line);
	snprintf(line, sizeof line, "{\"client\":\"%0129d\"}", 0);
	refuses(line, 11, "1 to 128");
}

/* ---- bytes into lines --------------------------------------------------------- */

static struct line_input input;

static void feed(const char *bytes, size_t size)
{
	size_t room;
	char *to = line_room(&input, &room);

	assert_true(room >= size);
	memcpy(to, bytes, size);
	line_read(&input, size);
}

static void expect_line(int at_end, const char *expected, uint64_t number)
{
	const char *line;
	size_t size;

	assert_int_equal(line_next(&input, at_end, &line, &size), LINE_WHOLE);
	assert_int_equal(size, strlen(expected));
	assert_memory_equal(line, expected, size);
	assert_int_equal(input.number, number);
}

static void expect_none(int at_end)
{
	const char *line;
	size_t size;

	assert_int_equal(line_next(&input, at_end, &line, &size), LINE_NONE);
}

TEST(lines_are_cut_at_their_ends_however_the_bytes_arrive)
{
	const char *bytes = "one\r\n\n \t\r\ntwo\n\nthree";

	for (const char *byte = bytes; *byte; byte++) {
		feed(byte, 1);
		if (byte == bytes + 4)
			expect_line(0, "one", 1);
		else if (byte == bytes + 13)
			expect_line(0, "two", 4);
		else
			expect_none(0);
	}
	expect_line(1, "three", 6);
	expect_none(1);
	input = (struct line_input){ 0 };
	feed(bytes, strlen(bytes));
	expect_line(0, "one", 1);
	expect_line(0, "two", 4);
	expect_none(0);
	expect_line(1, "three", 6);
}

TEST(a_line_that_is_too_long_is_answered_once_and_left_out)
{
	static char bytes[LINE_MAX_BYTES + 2];
	const char *line;
	size_t size;

	memset(bytes, 'x', sizeof bytes);
	feed(bytes, LINE_MAX_BYTES);
	expect_none(0);
	feed("\r\n", 2);
	assert_int_equal(line_next(&input, 0, &line, &size), LINE_WHOLE);
	assert_int_equal(size, LINE_MAX_BYTES);
	feed(bytes, LINE_MAX_BYTES + 1);
	feed("\n", 1);
	assert_int_equal(line_next(&input, 0, &line, &size), LINE_TOO_LONG);
	assert_true(line_parse(LINE_TOO_LONG, line, size, &parsed, &error) < 0);
	assert_int_equal(error.column, LINE_MAX_BYTES + 1);
	feed("ok\n", 3);
	expect_line(0, "ok", 3);
	for (int i = 0; i < 10; i++) {
		size_t room;

		feed(bytes, LINE_MAX_BYTES + 2);
		assert_int_equal(line_next(&input, 0, &line, &size),
		                 i == 0 ? LINE_TOO_LONG : LINE_NONE);
		line_room(&input, &room);
		assert_true(room > 0);
	}
	feed("x\nok\n", 5);
	expect_line(0, "ok", 5);
	feed(bytes, 100);
	expect_none(0);
	assert_int_equal(line_next(&input, 1, &line, &size), LINE_WHOLE);
	expect_none(1);
}

/*
 * Any bytes give an answer, never a crash. Under a sanitizer this test finds accesses beyond the
 * line.
 */
TEST(lines_damaged_in_any_byte_never_crash)
{
	static const char *const seeds[] = {
		"{\"kernel\":\"add\",\"name\":\"a\\u00e4\",\"tenant\":42,\"org\":\"1\","
		"\"engagement\":7}",
		"{\"send\":\"a\",\"to\":\"b\\\\\",\"gpu_ns\":\"15\"}",
		"{\"reserve\":\"job\",\"tenant\":42,\"gpu_ns\":\"15\",\"id\":\"r\\u0000\"}",
		"{\"commit\":\"job\",\"gpu_ns\":0,\"id\":1.5e3}",
		"{\"client\":\"c\\u00e4\"}",
		"{\"stats\":true}",
	};
	static const char bytes[] = "\"{}[]:,\\'\0\xff 0-.eu/*";

	for (size_t s = 0; s < sizeof seeds / sizeof seeds[0]; s++) {
		size_t size = strlen(seeds[s]);
		char line[200];

		for (size_t at = 0; at <= size; at++) {
			parse_bytes(seeds[s], at);
			for (size_t b = 0; b < sizeof bytes; b++) {
				memcpy(line, seeds[s], size);
				line[at] = bytes[b];
				if (parse_bytes(line, size) != 0)
					assert_true(error.column >= 1 && error.column <= size + 1 &&
					            error.text[0]);
				memcpy(line + at + 1, seeds[s] + at, size - at);
				if (parse_bytes(line, size + 1) != 0)
					assert_true(error.column >= 1 && error.column <= size + 2 &&
					            error.text[0]);
			}
		}
	}
}
