/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rate_requests COUNT - seeded requests to buckets, and the answers, for rate_gcra.py to compare
 *
 *   bucket RATE PERIOD_S BURST     a new tenant, whose bucket is full
 *   at NS N CODE REMAINING RETRY   N messages at this time of the clock, in nanoseconds since boot
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "handle.h"

#define CHECK(call)                                                                              \
	do {                                                                                     \
		int code_ = (call);                                                              \
                                                                                                 \
		if (code_ != 0) {                                                                \
			fprintf(stderr, "%s: %d: %s\n", #call, code_, k2k_error_detail()->text); \
			exit(1);                                                                 \
		}                                                                                \
	} while (0)

static const struct bucket {
	uint64_t rate, burst;
	uint32_t period;
} buckets[] = {
	{ 1, 1, K2K_PERIOD_SECOND },          { 1, 2, K2K_PERIOD_SECOND },
	{ 7, 3, K2K_PERIOD_SECOND },          { 5000, 200, K2K_PERIOD_SECOND },
	{ 999983, 1, K2K_PERIOD_SECOND },     { 65536, 10, K2K_PERIOD_SECOND },
	{ 30, 5, K2K_PERIOD_MINUTE },         { 7, 11, K2K_PERIOD_MINUTE },
	{ 500, 20, K2K_PERIOD_HOUR },         { 10, 1, K2K_PERIOD_DAY },
	{ 10000, 100, K2K_PERIOD_DAY },       { 4294967311, 4294967280, K2K_PERIOD_SECOND },
	{ 4294967311, 1000, K2K_PERIOD_DAY }, { 1000003, 8588934588, K2K_PERIOD_SECOND },
};

static const uint64_t seconds[] = { 1, 60, 3600, 86400 };
static uint64_t seed = 20260;

static uint64_t below(uint64_t n)
{
	seed = k2k_mix64(seed + 0x9e3779b97f4a7c15);
	return n ? seed % n : 0;
}

/* Mostly about as long as a few messages take to come back; sometimes nothing, or very long. */
static uint64_t gap(const struct bucket *bucket)
{
	uint64_t message = seconds[bucket->period] * K2K_NS_PER_SEC / bucket->rate + 1;

	switch (below(8)) {
	case 0: return 0;
	case 1: return below(20000);
	case 2: return below(message * (bucket->burst < 1000 ? bucket->burst : 1000) + 1);
	case 3: return message;
	default: return below(2 * message);
	}
}

static uint64_t wanted(const struct bucket *bucket)
{
	uint64_t most = bucket->burst < K2K_ADMIT_MAX ? bucket->burst : K2K_ADMIT_MAX;

	switch (below(6)) {
	case 0: return 1 + below(most);
	case 1: return most;
	case 2: return 1 + below(2 * most < K2K_ADMIT_MAX ? 2 * most : most);
	default: return 1 + below(most < 8 ? most : most / 8);
	}
}

int main(int argc, char **argv)
{
	struct k2k_registry *admin, *broker;
	_Atomic uint64_t now_ns = 12345678901;
	uint64_t count = argc == 2 ? strtoull(argv[1], NULL, 10) : 0;
	uint64_t each = count / K2K_COUNT_OF(buckets) + 1;
	char name[64];

	snprintf(name, sizeof(name), "test-requests-%ld", (long)getpid());
	CHECK(k2k_registry_create(name, NULL, &admin));
	CHECK(k2k_registry_open(name, K2K_ROLE_BROKER, NULL, &broker));
	admin->clock.injected_ns = &now_ns;
	broker->clock.injected_ns = &now_ns;
	for (size_t b = 0; b < K2K_COUNT_OF(buckets); b++) {
		struct k2k_quota quota = K2K_QUOTA_UNLIMITED;

		quota.max_messages_per_sec = buckets[b].rate;
		quota.burst = buckets[b].burst;
		quota.rate_policy = K2K_RATE_BUCKET;
		quota.rate_period = buckets[b].period;
		CHECK(k2k_tenant_register(admin, b + 1, &quota));
		printf("bucket %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", buckets[b].rate,
		       seconds[buckets[b].period], buckets[b].burst);
		for (uint64_t i = 0; i < each; i++) {
			struct k2k_verdict verdict = K2K_VERDICT_INIT;
			uint64_t n = wanted(&buckets[b]);
			struct k2k_audit_tag tag = { 0, 0 };
			int peek = k2k_quota_check(broker, b + 1, tag, n, NULL);
			int code = k2k_message_admit(broker, b + 1, tag, n, &verdict);

			if (peek != code) {
				fprintf(stderr, "a check says %d, admit %d\n", peek, code);
				exit(1);
			}
			printf("at %" PRIu64 " %" PRIu64 " %d %" PRIu64 " %" PRIu64 "\n", now_ns, n,
			       code, verdict.remaining, verdict.retry_after_ns);
			/* who waits as long as told, and one ns less */
			if (code && verdict.retry_after_ns < K2K_NEVER_NS / 4 && below(2) == 0)
				now_ns += verdict.retry_after_ns - below(2);
			else
				now_ns += gap(&buckets[b]);
		}
	}
	CHECK(k2k_registry_close(&broker));
	CHECK(k2k_registry_close(&admin));
	CHECK(k2k_registry_destroy(name, 0, NULL));
	return 0;
}
