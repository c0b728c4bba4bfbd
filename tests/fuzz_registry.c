/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_registry.c - arbitrary bytes in both objects, for attach, every call, check and repair
 * (libFuzzer).
 *
 * An input is an image of a real registry and a list of patches:
 *
 *	0     which image: empty, in use, put in order, with everything half done, full
 *	1     FIX_... below
 *	2..   patches of 12 bytes: what, object, offset (16 bits, in steps of 2 bytes), value (64
 *	      bits)
 *
 * With RAW the rest of the input replaces both headers. Every call must return a documented code;
 * K2K_ECORRUPT comes with a detail. Each call takes at most a second of processor time and pauses
 * (sanitizers are slow). No byte of a neighbour changes; no name, descriptor or mapping is left.
 *
 * K2K_FUZZ_SEEDS names a directory, which is filled with inputs to start from.
 */
#include "fuzz_images.h"

#include <dirent.h>
#include <fcntl.h>

#define CALL_NS 1000000000u
#define LOOK_AROUND 128 /* executions between two looks at what is left behind */

enum {
	/* the checksum of the header, so that what lies behind it is reached */
	FIX_DEFS = 1,
	FIX_LIVE = 2,
	FOLLOW_UUID = 4, /* live has the name that the patched header of defs says */
	RAW = 8,
	DESTROY = 16, /* at the end */
	AUDIT = 32,   /* with a sink */
	LONG = 64,    /* with more changes, and everything read again afterwards */
};

enum operation { SET64, SET32, SET8, XOR64, ADD64, ADD32, COPY, CUT, OPERATIONS };

struct patch {
	uint8_t operation, object;
	uint16_t offset;
	uint64_t value;
};
enum { PATCH_BYTES = 12, PATCHES_MAX = 24, HEAD_BYTES = 2 };

/* ---- what must not change ------------------------------------------------------------------ */

static size_t mappings_at_start;

static size_t count_lines(const char *path, const char *part)
{
	FILE *file = fopen(path, "re");
	char line[512];
	size_t count = 0;

	while (file && fgets(line, sizeof line, file))
		count += strstr(line, part) != NULL;
	if (file)
		fclose(file);
	return count;
}

static size_t count_names(const char *path, const char *prefix)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	size_t count = 0;

	while (dir && (entry = readdir(dir)))
		count += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
	if (dir)
		closedir(dir);
	return count;
}

__attribute__((format(printf, 1, 2), noreturn)) static void broken(const char *format, ...)
{
	va_list ap;

	fputs("== ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	abort(); /* the fuzzer keeps the input */
}

static void look_around(void)
{
	static struct traces left;
	char prefix[80];
	long at = bytes_differ(neighbour.bytes.defs, neighbour.bytes.defs_copy,
	                       neighbour.bytes.defs_bytes);

	if (at >= 0)
		broken("byte %ld of a neighbour's defs was changed", at);
	at = bytes_differ(neighbour.bytes.live, neighbour.bytes.live_copy,
	                  neighbour.bytes.live_bytes);
	if (at >= 0)
		broken("byte %ld of a neighbour's live was changed", at);
	if (access(neighbour.bytes.defs_path, F_OK) != 0 ||
	    access(neighbour.bytes.live_path, F_OK) != 0)
		broken("a neighbour was removed");
	snprintf(prefix, sizeof prefix, "k2k.%s.", name);
	if (count_names("/dev/shm", prefix))
		broken("names were left in /dev/shm");
	left.used = 0;
	traces_descriptors(&left);
	if (strstr(left.text, "/k2k."))
		broken("descriptors were left open:\n%s", left.text);
	if (count_lines("/proc/self/maps", "/k2k.") != mappings_at_start)
		broken("mappings were left");
}

/* ---- calls ----------------------------------------------------------------------------------- */

static uint64_t began_ns;

/* A code that is documented, and that a caller who makes no mistake can get. */
static int judge(const char *what, int code)
{
	uint64_t took_ns = spent_ns() - began_ns;

	if (took_ns > CALL_NS)
		broken("%s took %" PRIu64 " ms", what, took_ns / 1000000);
	if (code > 0 || strcmp(k2k_errname(code), "K2K_UNKNOWN") == 0)
		broken("%s answered %d", what, code);
	if (code == K2K_EINVAL || code == K2K_EROLE || code == K2K_EFORKED || code == K2K_EIO)
		broken("%s answered %s: %s", what, k2k_errname(code), k2k_error_detail()->text);
	if (code == K2K_ECORRUPT &&
	    (k2k_error_detail()->code != code || !k2k_error_detail()->object[0] ||
	     !k2k_error_detail()->text[0]))
		broken("%s answered CORRUPT and does not say what", what);
	return code;
}

#define ASK(call) (began_ns = spent_ns(), judge(#call, (call)))

static void read_tenant(struct k2k_registry *reg, k2k_tenant_id id)
{
	struct k2k_tenant_info info = { .size = sizeof info };
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	int registered;
	uint64_t ns;

	if (ASK(k2k_tenant_get(reg, id, &info)) == 0 && info.id != id)
		broken("asked for tenant %" PRIu64 ", got %" PRIu64, id, info.id);
	ASK(k2k_tenant_is_registered(reg, id, &registered));
	ASK(k2k_usage_engagement_for(reg, id, damage_tag, &ns));
	if (ASK(k2k_quota_check(reg, id, damage_tag, 900, &verdict)) == 0 &&
	    verdict.used > verdict.limit)
		broken("%" PRIu64 " used of %" PRIu64 ", and not rejected", verdict.used,
		       verdict.limit);
}

static void read_all(struct k2k_registry *reg)
{
	static struct k2k_budget_info budgets[8];
	static struct k2k_lease_info leases[8];
	static struct k2k_usage_info usage[8];
	static struct k2k_broker_info brokers[8];
	struct k2k_registry_info info = { .size = sizeof info };
	struct k2k_audit_stats stats = { .size = sizeof stats };
	struct k2k_audit_cursor cursor = K2K_AUDIT_CURSOR_INIT;
	struct k2k_audit_record events[8] = { { .size = sizeof events[0] } };
	static struct k2k_kernel_info kernels[8] = { K2K_KERNEL_INFO_INIT };
	struct k2k_kernel_info kernel = K2K_KERNEL_INFO_INIT;
	k2k_tenant_id ids[8] = { 0 };
	size_t count = 0;
	uint64_t ns;

	budgets[0].size = sizeof budgets[0];
	leases[0].size = sizeof leases[0];
	usage[0].size = sizeof usage[0];
	brokers[0].size = sizeof brokers[0];
	if (ASK(k2k_tenant_ids(reg, ids, 8, &count)) == 0 && count > reg->map.sizes.tenants)
		broken("%zu tenants", count);
	for (k2k_tenant_id id = 1; id <= 4; id++)
		read_tenant(reg, id);
	for (size_t i = 0; i < 8 && i < count; i++)
		if (ids[i] > 4)
			read_tenant(reg, ids[i]);
	ASK(k2k_budget_list(reg, 0, budgets, 8, &count));
	ASK(k2k_budget_list(reg, 1, budgets, 8, &count));
	ASK(k2k_lease_list(reg, 0, leases, 8, &count));
	ASK(k2k_lease_list(reg, 1, leases, 8, &count));
	ASK(k2k_usage_list(reg, 0, usage, 8, &count));
	ASK(k2k_usage_engagement(reg, damage_tag, &ns));
	if (ASK(k2k_kernel_find(reg, "a", &kernel)) == 0 && strcmp(kernel.name, "a") != 0)
		broken("asked for kernel a, got %s", kernel.name);
	if (ASK(k2k_kernel_list(reg, 0, kernels, 8, &count)) == 0 && count > reg->map.sizes.kernels)
		broken("%zu kernels", count);
	for (size_t i = 0; i < 8 && i < count; i++)
		if (!memchr(kernels[i].name, 0, sizeof kernels[i].name))
			broken("a kernel's name has no end");
	ASK(k2k_broker_list(reg, brokers, 8, &count));
	ASK(k2k_registry_info(reg, &info));
	ASK(k2k_audit_stats(reg, &stats));
	ASK(k2k_audit_read(reg, &cursor, K2K_AUDIT_OPEN_TOO, events, 8, &count));
	ASK(k2k_audit_read(reg, &cursor, 0, events, 8, &count));
}

static void check(struct k2k_registry *reg)
{
	static struct k2k_finding findings[4];
	size_t count;

	findings[0].size = sizeof findings[0];
	ASK(k2k_registry_check(reg, findings, 4, &count));
}

static void add_kernels(struct k2k_registry *reg)
{
	struct k2k_kernel_info kernel = K2K_KERNEL_INFO_INIT;
	struct k2k_route route = K2K_ROUTE_INIT;

	for (k2k_tenant_id id = 1; id <= 4; id++) {
		ASK(k2k_kernel_add(reg, "a", id, damage_tag, NULL, NULL));
		ASK(k2k_kernel_add(reg, "new", id, damage_tag, NULL, NULL));
		ASK(k2k_kernel_find(reg, "new", &kernel));
		ASK(k2k_message_route(reg, "new", "a", damage_tag, 1, &route, NULL));
		ASK(k2k_message_route(reg, "a", "nobody", damage_tag, 1, &route, NULL));
	}
	ASK(k2k_kernel_remove(reg, "a"));
	ASK(k2k_kernel_remove(reg, "new"));
}

static void send_all(struct k2k_registry *reg)
{
	struct k2k_verdict verdict = K2K_VERDICT_INIT;

	for (k2k_tenant_id id = 1; id <= 3; id++) {
		struct k2k_lease lease = K2K_LEASE_INIT, memory = K2K_LEASE_INIT;

		if (ASK(k2k_message_admit(reg, id, damage_tag, 1, &verdict)) == 0 &&
		    verdict.used > verdict.limit)
			broken("%" PRIu64 " used of %" PRIu64 ", and admitted", verdict.used,
			       verdict.limit);
		ASK(k2k_message_record(reg, id));
		ASK(k2k_usage_track(reg, id, damage_tag, 1));
		ASK(k2k_usage_track(reg, id, (struct k2k_audit_tag){ 1, 90 + id }, 1));
		ASK(k2k_kernel_acquire(reg, id, &lease, &verdict));
		ASK(k2k_gpu_memory_acquire(reg, id, 10, &memory, NULL));
		if (lease.amount)
			ASK(k2k_kernel_release(reg, &lease));
		if (memory.amount && id != 3)
			ASK(k2k_gpu_memory_release(reg, &memory));
		ASK(k2k_kernel_release_id(reg, id));
	}
	add_kernels(reg);
	ASK(k2k_audit_cross_tenant(reg, 1, 2, "x", "y", damage_tag));
}

static void change_all(struct k2k_registry *reg, unsigned int flags)
{
	struct k2k_tenant_totals totals = { .size = sizeof totals };
	struct k2k_repair_info repaired = { .size = sizeof repaired };
	struct k2k_budget list[2] = { { 1, 7 }, { 3, 8 } };
	struct k2k_quota quota = { .size = sizeof quota,
		                   .max_messages_per_sec = 10,
		                   .max_gpu_memory_bytes = 20,
		                   .max_concurrent_kernels = 3,
		                   .budget_count = 2,
		                   .budgets = list };

	ASK(k2k_tenant_register(reg, 4711, &quota));
	list[0].budget_ns = K2K_UNLIMITED;
	ASK(k2k_tenant_update(reg, 1, &quota, K2K_UPDATE_RATE | K2K_UPDATE_BUDGETS));
	ASK(k2k_tenant_deregister(reg, 3, &totals));
	ASK(k2k_registry_repair(reg, &repaired));
	if (!(flags & LONG))
		return;
	ASK(k2k_budget_set(reg, 2, 9, 5));
	ASK(k2k_budget_unset(reg, 2, 9));
	ASK(k2k_tenant_register(reg, 4712, NULL));
	ASK(k2k_tenant_deregister(reg, 4711, NULL));
	ASK(k2k_tenant_register(reg, 4711, NULL));
}

/*
 * Only words of `live` were patched: whatever they are, administration works, and what repair
 * leaves is whole.
 */
static bool only_live;

static void must_not_be_corrupt(int code, const char *what)
{
	if (code == K2K_ECORRUPT)
		broken("%s answered CORRUPT after a repair: %s", what, k2k_error_detail()->text);
}

static void repair_is_enough(struct k2k_registry *reg)
{
	struct k2k_repair_info repaired = { .size = sizeof repaired };
	struct k2k_finding finding = { .size = sizeof finding };
	struct k2k_budget budget = { 1, 7 };
	struct k2k_quota quota = { .size = sizeof quota,
		                   .max_messages_per_sec = 10,
		                   .max_gpu_memory_bytes = 20,
		                   .max_concurrent_kernels = 3,
		                   .budget_count = 1,
		                   .budgets = &budget };
	size_t count = 0;

	if (ASK(k2k_registry_repair(reg, &repaired)) == 0 &&
	    ASK(k2k_registry_repair(reg, &repaired)) == 0 && repaired.damaged != 0)
		broken("a second repair mends %" PRIu64, repaired.damaged);
	if (ASK(k2k_registry_check(reg, &finding, 1, &count)) == 0 && count != 0)
		broken("after a repair check finds %s: %s", finding.object, finding.text);
	must_not_be_corrupt(ASK(k2k_tenant_register(reg, 4713, &quota)), "register");
	must_not_be_corrupt(ASK(k2k_tenant_update(reg, 4713, &quota, K2K_UPDATE_RATE)), "update");
	must_not_be_corrupt(ASK(k2k_tenant_deregister(reg, 4713, NULL)), "deregister");
}

static void on_event(void *context, const struct k2k_audit_event *event)
{
	size_t length = strlen(event->description);

	for (uint32_t i = 0; i < event->field_count; i++)
		length += strlen(event->fields[i].key) + strlen(event->fields[i].value);
	*(size_t *)context = length;
}

static void attach(enum k2k_role role, struct k2k_registry **reg)
{
	struct k2k_open_options options = K2K_OPEN_OPTIONS_INIT;

	options.flags = K2K_OPEN_TIMEOUT;
	options.timeout_ns = 200000000;
	ASK(k2k_registry_open(name, role, &options, reg));
}

/*
 * It waits for the helper thread, as long as the system lets others run: the fuzzer's own timeout
 * tells of a hang.
 */
static void detach(struct k2k_registry **reg)
{
	int code = *reg ? k2k_registry_close(reg) : 0;

	if (code)
		broken("close answered %s", k2k_errname(code));
}

static void call_everything(unsigned int flags)
{
	struct k2k_registry *observer, *broker, *admin;
	struct k2k_open_options options = K2K_OPEN_OPTIONS_INIT;
	size_t seen = 0;

	attach(K2K_ROLE_OBSERVER, &observer);
	if (observer) {
		read_all(observer);
		check(observer);
	}
	attach(K2K_ROLE_BROKER, &broker);
	if (broker && (flags & AUDIT))
		ASK(k2k_registry_set_audit_sink(broker, on_event, &seen));
	if (broker)
		send_all(broker);
	attach(K2K_ROLE_ADMIN, &admin);
	if (admin) {
		change_all(admin, flags);
		check(admin);
		if (only_live)
			repair_is_enough(admin);
	}
	if (broker && (flags & LONG))
		send_all(broker);
	if (observer && (flags & LONG))
		read_all(observer);
	if (flags & DESTROY) {
		options.flags = K2K_OPEN_TIMEOUT;
		options.timeout_ns = 200000000;
		ASK(k2k_registry_destroy(name, K2K_DESTROY_FORCE, &options));
	}
	detach(&admin);
	detach(&broker);
	detach(&observer);
}

/* ---- one input ------------------------------------------------------------------------------- */

static struct {
	_Alignas(64) unsigned char bytes[OBJECTS][OBJECT_MAX];
	size_t size[OBJECTS];
} now;

static struct patch patch_at(const uint8_t *data)
{
	struct patch patch = { (uint8_t)(data[0] % OPERATIONS), (uint8_t)(data[1] % OBJECTS), 0,
		               0 };

	memcpy(&patch.offset, data + 2, 2);
	memcpy(&patch.value, data + 4, 8);
	return patch;
}

static void apply(struct patch patch)
{
	unsigned char *bytes = now.bytes[patch.object];
	size_t size = now.size[patch.object], at, from = patch.value % OBJECT_MAX;
	uint64_t word = 0;
	uint32_t half = 0;

	if (patch.operation == CUT) {
		/* rarely, and not to the same size each time: most inputs are to get past it */
		if (patch.value % 16 == 0)
			now.size[patch.object] = 4 * (size_t)patch.offset;
		return;
	}
	if (size < 64)
		return;
	at = 4 * (size_t)patch.offset % (size - 63);
	memcpy(&word, bytes + at, 8);
	memcpy(&half, bytes + at, 4);
	switch (patch.operation) {
	case SET64: word = patch.value; break;
	case XOR64: word ^= patch.value; break;
	case ADD64: word += patch.value; break;
	case SET32: half = (uint32_t)patch.value; break;
	case ADD32: half += (uint32_t)patch.value; break;
	case SET8: bytes[at] = (unsigned char)patch.value; return;
	case COPY:
		if (from + 64 <= size)
			memmove(bytes + at, bytes + from, 64);
		return;
	}
	if (patch.operation == SET32 || patch.operation == ADD32)
		memcpy(bytes + at, &half, 4);
	else
		memcpy(bytes + at, &word, 8);
}

static void write_object(const char *path, int object, mode_t mode)
{
	int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, mode);

	assert_true(fd >= 0);
	assert_true(write(fd, now.bytes[object], now.size[object]) == (ssize_t)now.size[object]);
	close(fd);
}

static void fix(int object)
{
	struct k2k_shm_header *header = (struct k2k_shm_header *)(void *)now.bytes[object];

	header->checksum = k2k_layout_checksum(header);
}

static void fill_raw(const uint8_t *data, size_t size)
{
	for (int o = 0; o < OBJECTS; o++) {
		size_t n = size < sizeof(struct k2k_shm_header) ? size
		                                                : sizeof(struct k2k_shm_header);

		memcpy(now.bytes[o], data, n);
		data += n;
		size -= n;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned long executions;
	char defs_path[K2K_PATH_MAX], live_path[K2K_PATH_MAX];
	const struct image *image;
	unsigned int flags;

	if (size < HEAD_BYTES)
		return -1;
	image = &images[data[0] % IMAGES];
	flags = data[1];
	for (int o = 0; o < OBJECTS; o++) {
		memcpy(now.bytes[o], image->bytes[o], image->size[o]);
		now.size[o] = image->size[o];
	}
	/* which has budgets that no writer leaves so */
	only_live = !(flags & RAW) && data[0] % IMAGES != HALF_DONE;
	for (size_t at = HEAD_BYTES, n = 0; at + PATCH_BYTES <= size && n < PATCHES_MAX;
	     at += PATCH_BYTES, n++)
		only_live = only_live && patch_at(data + at).object == 1 &&
		            patch_at(data + at).operation != CUT &&
		            4 * (size_t)patch_at(data + at).offset >= sizeof(struct k2k_shm_header);
	if (flags & RAW)
		fill_raw(data + HEAD_BYTES, size - HEAD_BYTES);
	else
		for (size_t at = HEAD_BYTES, n = 0; at + PATCH_BYTES <= size && n < PATCHES_MAX;
		     at += PATCH_BYTES, n++)
			apply(patch_at(data + at));
	if (flags & FIX_DEFS)
		fix(0);
	if (flags & FIX_LIVE)
		fix(1);
	k2k_segment_defs_path(defs_path, name);
	k2k_segment_live_path(live_path, name,
	                      flags & FOLLOW_UUID
	                              ? ((struct k2k_shm_header *)(void *)now.bytes[0])->uuid
	                              : image->uuid);
	write_object(live_path, 1, 0660);
	write_object(defs_path, 0, 0640);
	call_everything(flags);
	unlink(defs_path);
	unlink(live_path);
	if (executions++ % LOOK_AROUND == 0)
		look_around();
	return 0;
}

/* ---- mutation: patches of words in use, with values near the right ones ---------------------- */

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

static uint64_t state;

static uint64_t draw(uint64_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % below;
}

static uint64_t draw_value(void)
{
	static const uint64_t hurtful[] = { 0,
		                            1,
		                            2,
		                            3,
		                            4,
		                            5,
		                            15,
		                            16,
		                            17,
		                            31,
		                            32,
		                            33,
		                            63,
		                            64,
		                            65,
		                            255,
		                            256,
		                            4095,
		                            4096,
		                            UINT16_MAX,
		                            INT32_MAX,
		                            UINT32_MAX,
		                            UINT64_MAX,
		                            UINT64_MAX - 1,
		                            UINT64_C(1) << 40,
		                            UINT64_C(1) << 41,
		                            UINT64_C(1) << 61,
		                            UINT64_C(1) << 62,
		                            UINT64_C(1) << 63,
		                            UINT64_C(1) << 34,
		                            K2K_POISONED };
	switch (draw(5)) {
	case 0: return UINT64_C(1) << draw(64);
	case 1: return draw(48);
	/* a generation or token with a state */
	case 2: return draw(12) << (draw(2) ? 8 : 2) | draw(5);
	case 3: return draw(UINT64_MAX);
	default: return hurtful[draw(sizeof hurtful / sizeof hurtful[0])];
	}
}

static void draw_patch(uint8_t *to, const struct image *image)
{
	struct patch patch = { (uint8_t)draw(OPERATIONS), (uint8_t)draw(OBJECTS), 0, draw_value() };

	if (draw(4))
		patch.offset = image->words[patch.object][draw(image->word_count[patch.object])];
	else
		patch.offset = (uint16_t)(draw(image->size[patch.object] / 4) & ~UINT64_C(1));
	if (draw(2) && (patch.operation == SET32 || patch.operation == ADD32))
		patch.offset = (uint16_t)(patch.offset + 1);
	if (patch.operation == COPY)
		patch.value = 4 * (uint64_t)image->words[patch.object]
		                                        [draw(image->word_count[patch.object])] &
		              ~UINT64_C(63);
	to[0] = patch.operation;
	to[1] = patch.object;
	memcpy(to + 2, &patch.offset, 2);
	memcpy(to + 4, &patch.value, 8);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	size_t patches;

	state = k2k_mix64(seed + 1u) | 1;
	if (size < HEAD_BYTES || max_size < HEAD_BYTES + PATCH_BYTES || (data[1] & RAW) ||
	    draw(8) == 0)
		return LLVMFuzzerMutate(data, size, max_size);
	patches = (size - HEAD_BYTES) / PATCH_BYTES;
	switch (draw(6)) {
	case 0: data[0] = (uint8_t)draw(IMAGES); break;
	case 1: data[1] ^= (uint8_t)(1u << draw(7)); break;
	case 2:
		if (patches) {
			size_t at = draw(patches);

			patches--;
			memmove(data + HEAD_BYTES + at * PATCH_BYTES,
			        data + HEAD_BYTES + (at + 1) * PATCH_BYTES,
			        (patches - at) * PATCH_BYTES);
			break;
		}
		/* fall through */
	case 3:
		if (patches) {
			draw_patch(data + HEAD_BYTES + draw(patches) * PATCH_BYTES,
			           &images[data[0] % IMAGES]);
			break;
		}
		/* fall through */
	default:
		if (patches < PATCHES_MAX && HEAD_BYTES + (patches + 1) * PATCH_BYTES <= max_size)
			draw_patch(data + HEAD_BYTES + patches++ * PATCH_BYTES,
			           &images[data[0] % IMAGES]);
	}
	return HEAD_BYTES + patches * PATCH_BYTES;
}

/* ---- start ----------------------------------------------------------------------------------- */

static void write_seed(const char *dir, int number, const void *data, size_t size)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof path, "%s/seed-%04d", dir, number);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fwrite(data, 1, size, file) == size);
	fclose(file);
}

/* Each image as it is; then patched once in each of its words in turn, spread over some inputs. */
static void write_seeds(const char *dir)
{
	int number = 0;

	state = 1;
	for (uint8_t i = 0; i < IMAGES; i++) {
		uint8_t plain[HEAD_BYTES] = { i, FIX_DEFS | FIX_LIVE },
			raw[HEAD_BYTES + 2 * sizeof(struct k2k_shm_header)] = { i, RAW };

		write_seed(dir, number++, plain, sizeof plain);
		for (int o = 0; o < OBJECTS; o++)
			memcpy(raw + HEAD_BYTES + (size_t)o * sizeof(struct k2k_shm_header),
			       images[i].bytes[o], sizeof(struct k2k_shm_header));
		write_seed(dir, number++, raw, sizeof raw);
		for (int n = 0; n < 40; n++) {
			uint8_t patched[HEAD_BYTES + PATCH_BYTES] = { i, FIX_DEFS | FIX_LIVE };

			draw_patch(patched + HEAD_BYTES, &images[i]);
			write_seed(dir, number++, patched, sizeof patched);
		}
	}
}

static void remove_neighbour(void)
{
	if (getpid() == harness_pid)
		remove_names();
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct k2k_create_options sizes = K2K_CREATE_OPTIONS_INIT;
	const char *seeds = getenv("K2K_FUZZ_SEEDS");
	struct k2k_registry *reg;

	(void)argc, (void)argv;
	umask(0);
	harness_pid = getpid();
	setenv("CMOCKA_TEST_ABORT", "1", 1);
	make_images();
	snprintf(name, sizeof name, "test-%ld-fuzz", (long)getpid());
	if (seeds)
		write_seeds(seeds);
	neighbour.name = fresh_registry();
	sizes.max_tenants = sizes.max_engagements = sizes.max_leases = sizes.max_kernels =
		sizes.max_budgets = 4;
	sizes.max_audit_events = 1;
	DAMAGE_MUST(k2k_registry_create(neighbour.name, &sizes, &reg));
	DAMAGE_MUST(k2k_tenant_register(reg, 1, NULL));
	DAMAGE_MUST(k2k_registry_close(&reg));
	bytes_open(&neighbour.bytes, neighbour.name);
	bytes_copy(&neighbour.bytes);
	mappings_at_start = count_lines("/proc/self/maps", "/k2k.");
	atexit(remove_neighbour);
	return 0;
}
