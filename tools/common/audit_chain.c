/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "audit_chain.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <libgen.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(crypto_generichash_blake2b_BYTES == CHAIN_MAC_BYTES, "BLAKE2b-256");
_Static_assert(crypto_generichash_blake2b_PERSONALBYTES == 16, "the strings below fill 16 bytes");

static const uint8_t no_salt[crypto_generichash_blake2b_SALTBYTES];
static const uint8_t line_person[17] = "k2k-audit-line/1", head_person[17] = "k2k-audit-head/1",
		     key_person[16] = "k2k-audit-key/1";

int chain_init(void)
{
	return sodium_init() < 0 ? -1 : 0;
}

/* ---- keys ------------------------------------------------------------------------ */

static int refuse(char *why, size_t room, int code, const char *text)
{
	snprintf(why, room, "%s", text);
	return code;
}

static int check_key_file(int fd, char *why, size_t room)
{
	struct stat st;

	if (fstat(fd, &st))
		return refuse(why, room, CHAIN_KEY_SYSTEM, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return refuse(why, room, CHAIN_KEY_FORM, "not a regular file");
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return refuse(why, room, CHAIN_KEY_RIGHTS, "owned by somebody else");
	if (st.st_mode & 077)
		return refuse(why, room, CHAIN_KEY_RIGHTS,
		              "others than its owner have rights on it; chmod 0400 removes them");
	return 0;
}

int chain_read_key(const char *file, struct chain_key *key, char *why, size_t room)
{
	uint8_t bytes[2 * CHAIN_KEY_BYTES + 2];
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), code;
	ssize_t n = -1;
	size_t size;

	if (fd < 0)
		return refuse(why, room,
		              errno == EACCES || errno == EPERM ? CHAIN_KEY_RIGHTS
		                                                : CHAIN_KEY_SYSTEM,
		              strerror(errno));
	code = check_key_file(fd, why, room);
	if (!code && (n = read(fd, bytes, sizeof(bytes))) < 0)
		code = refuse(why, room, CHAIN_KEY_SYSTEM, strerror(errno));
	close(fd);
	if (code)
		return code;
	size = (size_t)n;
	if (size == 2 * CHAIN_KEY_BYTES + 1 && bytes[size - 1] == '\n')
		size--;
	key->size = 0;
	if (size == CHAIN_KEY_BYTES) {
		memcpy(key->bytes, bytes, size);
		key->size = size;
	} else if (size == 2 * CHAIN_KEY_BYTES &&
	           chain_mac_parse((const char *)bytes, size, key->bytes)) {
		key->size = CHAIN_KEY_BYTES;
	} else {
		code = refuse(why, room, CHAIN_KEY_FORM,
		              "a key is 32 bytes, or 64 hexadecimal digits");
	}
	sodium_memzero(bytes, sizeof(bytes));
	return code;
}

static void hash(const struct chain_key *key, const uint8_t person[16], const uint8_t *before,
                 const char *body, size_t size, uint8_t *mac, size_t mac_size)
{
	crypto_generichash_blake2b_state state;

	crypto_generichash_blake2b_init_salt_personal(&state, key->size ? key->bytes : NULL,
	                                              key->size, mac_size, no_salt, person);
	if (before)
		crypto_generichash_blake2b_update(&state, before, CHAIN_MAC_BYTES);
	crypto_generichash_blake2b_update(&state, (const uint8_t *)body, size);
	crypto_generichash_blake2b_final(&state, mac, mac_size);
	sodium_memzero(&state, sizeof(state));
}

/* The first 8 bytes of a 16-byte hash, because libsodium's BLAKE2b makes no shorter one. */
void chain_key_name(const struct chain_key *key, char name[CHAIN_KEY_NAME])
{
	uint8_t bytes[crypto_generichash_blake2b_BYTES_MIN];

	name[0] = 0;
	if (!key->size)
		return;
	hash(key, key_person, NULL, "", 0, bytes, sizeof(bytes));
	sodium_bin2hex(name, CHAIN_KEY_NAME, bytes, (CHAIN_KEY_NAME - 1) / 2);
}

/* ---- lines -------------------------------------------------------------------------- */

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool chain_mac_parse(const char *text, size_t size, uint8_t mac[CHAIN_MAC_BYTES])
{
	if (size != 2 * CHAIN_MAC_BYTES)
		return false;
	for (size_t i = 0; i < CHAIN_MAC_BYTES; i++) {
		int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		mac[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

void chain_mac_text(const uint8_t mac[CHAIN_MAC_BYTES], char text[CHAIN_MAC_TEXT])
{
	sodium_bin2hex(text, CHAIN_MAC_TEXT, mac, CHAIN_MAC_BYTES);
}

/* The place after `what`; null if `what` is not there. */
static const char *skip(const char *at, const char *end, const char *what)
{
	size_t size = strlen(what);

	return at && (size_t)(end - at) >= size && !memcmp(at, what, size) ? at + size : NULL;
}

/* Reads a decimal number without leading zeros; null if there is none. */
static const char *skip_number(const char *at, const char *end, uint64_t *number)
{
	const char *start = at;

	*number = 0;
	for (; at && at < end && *at >= '0' && *at <= '9'; at++) {
		uint64_t more = (uint64_t)(*at - '0');

		if (*number > (UINT64_MAX - more) / 10)
			return NULL;
		*number = *number * 10 + more;
	}
	return !at || at == start || (*start == '0' && at - start > 1) ? NULL : at;
}

/* Returns the body's size; 0 if the text does not end with a mac. */
static size_t parse_tail(const char *text, size_t size, uint8_t mac[CHAIN_MAC_BYTES])
{
	static const char begin[] = ",\"mac\":\"", end[] = "\"}";
	const char *tail;

	if (size <= CHAIN_TAIL - 1)
		return 0;
	tail = text + size - (CHAIN_TAIL - 1);
	if (memcmp(tail, begin, sizeof(begin) - 1) || memcmp(text + size - 2, end, 2) ||
	    !chain_mac_parse(tail + sizeof(begin) - 1, 2 * CHAIN_MAC_BYTES, mac))
		return 0;
	return size - (CHAIN_TAIL - 1);
}

bool chain_parse(const char *text, size_t size, struct chain_line *line)
{
	const char *at, *end;

	if (size >= CHAIN_LINE_MAX || memchr(text, 0, size))
		return false;
	line->body_size = parse_tail(text, size, line->mac);
	end = text + line->body_size;
	at = skip(text, end, "{\"seq\":\"");
	at = skip_number(at, end, &line->seq);
	at = skip(at, end, "\",\"at_ns\":\"");
	at = skip_number(at, end, &line->at_ns);
	line->kind = skip(at, end, "\",\"kind\":\"");
	if (!line->kind)
		return false;
	at = memchr(line->kind, '"', (size_t)(end - line->kind));
	line->kind_size = at ? (size_t)(at - line->kind) : 0;
	return at && line->seq;
}

bool chain_is_kind(const struct chain_line *line, const char *kind)
{
	return line->kind_size == strlen(kind) && !memcmp(line->kind, kind, line->kind_size);
}

void chain_mac(const struct chain_key *key, const uint8_t before[CHAIN_MAC_BYTES], const char *body,
               size_t size, uint8_t mac[CHAIN_MAC_BYTES])
{
	hash(key, line_person, before, body, size, mac, CHAIN_MAC_BYTES);
}

bool chain_follows(const struct chain_key *key, const uint8_t before[CHAIN_MAC_BYTES],
                   const char *text, const struct chain_line *line)
{
	uint8_t mac[CHAIN_MAC_BYTES];

	chain_mac(key, before, text, line->body_size, mac);
	return sodium_memcmp(mac, line->mac, sizeof(mac)) == 0;
}

void chain_write_tail(char *to, const uint8_t mac[CHAIN_MAC_BYTES])
{
	char text[CHAIN_MAC_TEXT];

	chain_mac_text(mac, text);
	snprintf(to, CHAIN_TAIL, ",\"mac\":\"%s\"}", text);
}

/* ---- lines of a file --------------------------------------------------------------------- */

int chain_reader_open(struct chain_reader *reader, const char *file)
{
	*reader = (struct chain_reader){ .fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK),
		                         .room = 8 * CHAIN_LINE_MAX };
	if (reader->fd < 0)
		return errno;
	reader->bytes = malloc(reader->room);
	if (reader->bytes)
		return 0;
	chain_reader_close(reader);
	return ENOMEM;
}

void chain_reader_close(struct chain_reader *reader)
{
	free(reader->bytes);
	reader->bytes = NULL;
	if (reader->fd >= 0)
		close(reader->fd);
	reader->fd = -1;
}

/* Reads more bytes. Returns 0 or an errno. */
static int fill(struct chain_reader *reader)
{
	ssize_t n;

	memmove(reader->bytes, reader->bytes + reader->start, reader->end - reader->start);
	reader->end -= reader->start;
	reader->start = 0;
	do
		n = read(reader->fd, reader->bytes + reader->end, reader->room - reader->end);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno;
	reader->at_end = n == 0;
	reader->end += (size_t)n;
	return 0;
}

/* Drops the rest of a line that is too long, and keeps its beginning. */
static enum chain_read skip_rest(struct chain_reader *reader, const char **text, size_t *size)
{
	for (;;) {
		char *kept = reader->bytes + reader->start, *rest = kept + CHAIN_LINE_MAX, *end;
		size_t have = reader->end - reader->start - CHAIN_LINE_MAX;

		end = memchr(rest, '\n', have);
		*text = kept;
		*size = CHAIN_LINE_MAX;
		if (end || (reader->at_end && !have)) {
			reader->offset += (uint64_t)(end ? end + 1 - kept : CHAIN_LINE_MAX);
			reader->start = end ? (size_t)(end + 1 - reader->bytes) : reader->end;
			return end ? CHAIN_LINE : CHAIN_HALF;
		}
		reader->offset += have;
		reader->end -= have;
		errno = fill(reader);
		if (errno)
			return CHAIN_FAILED;
	}
}

enum chain_read chain_reader_next(struct chain_reader *reader, const char **text, size_t *size)
{
	reader->number++;
	for (;;) {
		char *start = reader->bytes + reader->start, *end;
		size_t have = reader->end - reader->start;

		end = memchr(start, '\n', have);
		*text = start;
		*size = end ? (size_t)(end - start) : have;
		if (end) {
			reader->start += *size + 1;
			reader->offset += *size + 1;
			return CHAIN_LINE;
		}
		if (reader->at_end) {
			reader->start = reader->end;
			return have ? CHAIN_HALF : CHAIN_END;
		}
		if (have > CHAIN_LINE_MAX)
			return skip_rest(reader, text, size);
		errno = fill(reader);
		if (errno)
			return CHAIN_FAILED;
	}
}

/* ---- the head --------------------------------------------------------------------------- */

enum { HEAD_MAX = 512 };

enum chain_head_state chain_read_head(const char *file, const struct chain_key *key,
                                      struct chain_head *head)
{
	uint8_t stated[CHAIN_MAC_BYTES], mac[CHAIN_MAC_BYTES];
	char text[HEAD_MAX];
	const char *at, *end;
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t body;
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? CHAIN_HEAD_MISSING : CHAIN_HEAD_UNREADABLE;
	n = read(fd, text, sizeof(text));
	close(fd);
	if (n < 0)
		return CHAIN_HEAD_UNREADABLE;
	if (n < 1 || text[n - 1] != '\n' || !(body = parse_tail(text, (size_t)n - 1, stated)))
		return CHAIN_HEAD_BAD;
	end = text + body;
	at = skip_number(skip(text, end, "{\"count\":\""), end, &head->count);
	at = skip(at, end, "\",\"last\":\"");
	if (!at || end - at < 2 * CHAIN_MAC_BYTES ||
	    !chain_mac_parse(at, 2 * CHAIN_MAC_BYTES, head->last))
		return CHAIN_HEAD_BAD;
	at = skip_number(skip(at + 2 * CHAIN_MAC_BYTES, end, "\",\"at_ns\":\""), end, &head->at_ns);
	at = skip_number(skip(at, end, "\",\"interval_ns\":\""), end, &head->interval_ns);
	at = skip(at, end, "\"");
	hash(key, head_person, NULL, text, body, mac, sizeof(mac));
	return at == end && sodium_memcmp(mac, stated, sizeof(mac)) == 0 ? CHAIN_HEAD_GOOD
	                                                                 : CHAIN_HEAD_BAD;
}

static int sync_directory(const char *file)
{
	char copy[PATH_MAX];
	int fd, error;

	snprintf(copy, sizeof(copy), "%s", file);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	error = fsync(fd) ? errno : 0;
	close(fd);
	return error == EINVAL ? 0 : error; /* not every file system can sync a directory */
}

static int write_new(const char *file, const char *text, size_t size)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600), error;
	ssize_t n;

	if (fd < 0)
		return errno;
	n = write(fd, text, size);
	error = n < 0 ? errno : (size_t)n < size ? ENOSPC : fsync(fd) ? errno : 0;
	close(fd);
	return error;
}

int chain_write_head(const char *file, const struct chain_key *key, const struct chain_head *head)
{
	char text[HEAD_MAX], fresh[PATH_MAX], last[CHAIN_MAC_TEXT];
	uint8_t mac[CHAIN_MAC_BYTES];
	int body, error;

	chain_mac_text(head->last, last);
	body = snprintf(text, sizeof(text),
	                "{\"count\":\"%" PRIu64 "\",\"last\":\"%s\",\"at_ns\":\"%" PRIu64
	                "\",\"interval_ns\":\"%" PRIu64 "\"",
	                head->count, last, head->at_ns, head->interval_ns);
	hash(key, head_person, NULL, text, (size_t)body, mac, sizeof(mac));
	chain_write_tail(text + body, mac);
	strcat(text, "\n");
	if ((size_t)snprintf(fresh, sizeof(fresh), "%s.new", file) >= sizeof(fresh))
		return ENAMETOOLONG;
	error = write_new(fresh, text, strlen(text));
	if (!error && rename(fresh, file))
		error = errno;
	if (error)
		unlink(fresh);
	return error ? error : sync_directory(file);
}

/* ---- the first line of a file --------------------------------------------------------------- */

static const char *string_of(json_object *object, const char *key)
{
	json_object *value;

	return json_object_object_get_ex(object, key, &value) &&
	                       json_object_is_type(value, json_type_string)
	               ? json_object_get_string(value)
	               : NULL;
}

bool chain_parse_opened(const char *text, size_t size, const struct chain_line *line,
                        struct chain_opened *opened)
{
	struct json_tokener *tokener;
	const char *prev, *key, *oldest;

	memset(opened, 0, sizeof(*opened));
	if (!chain_is_kind(line, "log.opened"))
		return false;
	tokener = json_tokener_new();
	if (!tokener)
		return false;
	opened->json = json_tokener_parse_ex(tokener, text, (int)size);
	json_tokener_free(tokener);
	prev = string_of(opened->json, "prev");
	key = string_of(opened->json, "key");
	oldest = string_of(opened->json, "oldest");
	if (!prev || !chain_mac_parse(prev, strlen(prev), opened->prev) || !oldest ||
	    !skip_number(oldest, oldest + strlen(oldest), &opened->oldest) ||
	    (key && strlen(key) != CHAIN_KEY_NAME - 1)) {
		chain_free_opened(opened);
		return false;
	}
	if (key)
		strcpy(opened->key, key);
	return true;
}

void chain_free_opened(struct chain_opened *opened)
{
	json_object_put(opened->json);
	opened->json = NULL;
}
