/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * layout.h (F1) - every byte in shared memory. No logic.
 *
 *   /k2k.NAME.defs  definitions: written by one administrator at a time, read-only in a broker
 *
 *     0      struct k2k_shm_defs   header and directory, poison word, token, writer
 *     4096   tenant heads          u32 each, a power of two of them
 *            tenants               64 bytes each: what an admission reads
 *            tenants, cold half    96 bytes each
 *            budget heads          u32 each, a power of two of them
 *            budgets               64 bytes each
 *
 *   /k2k.NAME.live.UUID  what brokers write; UUID is that of the header, in hexadecimal
 *
 *     0      struct k2k_shm_live   header and directory, allocation hints, wake word of the trail
 *     4096   broker slots          64 of 256 bytes
 *            cells                 64 bytes each, one for each tenant: the rate words
 *            cells, cold half      64 bytes each: totals of rejections
 *            ledger heads          u32 each, a power of two of them
 *            ledger                64 bytes each: GPU time of (tenant, engagement)
 *            lease rows            256 bytes each, one for each tenant: each broker's lease record
 *            leases                128 bytes each: what (tenant, broker slot) holds
 *            audit rings           129 of 448 bytes: 64 for rejections, one for each broker slot;
 *                                  the administrators' ring; 64 for security events, likewise
 *            audit events          256 bytes each: first those of ring 0, then of ring 1, ...; each
 *                                  ring has the same number of them, a power of two
 *            audit followers       8 of 1216 bytes: a program that stores the events, and how far
 *                                  it has come
 *
 * Rules. All fields are fixed-width integers, or atomics of them. There are no pointers, and all
 * padding has a name. A link is a u32: index + 1; 0 ends the chain. Stored enumerators have
 * explicit values, and 0 means unused. A record names its owner by a generation: the number of one
 * registration of one tenant, which the registry never uses again. State and generation, state and
 * incarnation, or state and token share one word, so that no process sees one without the other.
 *
 * Growth. The directory lists every section. `compatible` and `incompatible` are feature bits; an
 * attach refuses unknown incompatible ones. Reserved fields are zero.
 */
#ifndef K2K_LAYOUT_H
#define K2K_LAYOUT_H

#include "base.h"

#define K2K_DEFS_MAGIC UINT64_C(0x00736665446b326b) /* "k2kDefs" in memory, little-endian */
#define K2K_LIVE_MAGIC UINT64_C(0x006576694c6b326b) /* "k2kLive" */
#define K2K_LAYOUT_VERSION 1u
#define K2K_BYTE_ORDER 0x01020304u
#define K2K_COMPATIBLE UINT64_C(0)
/*
 * Changes require a follower of the audit trail that keeps up. A library that does not know this
 * bit must not change anything in such a registry.
 */
#define K2K_FEATURE_REQUIRE_AUDIT (UINT64_C(1) << 0)
#define K2K_INCOMPATIBLE K2K_FEATURE_REQUIRE_AUDIT /* all that this version knows */
#define K2K_SECTIONS_MAX 16
#define K2K_SLOTS 64 /* broker slots: a set of them is a 64-bit mask */
#define K2K_LINK_POISON UINT32_MAX
/* "DEAD": several bits differ from 0, so a flip of a single bit does not remove a registry */
#define K2K_POISONED UINT32_C(0x44414544)

enum k2k_section_kind {
	K2K_SECTION_TENANT_HEADS = 1,
	K2K_SECTION_TENANTS = 2,
	K2K_SECTION_TENANTS_COLD = 3,
	K2K_SECTION_BUDGET_HEADS = 4,
	K2K_SECTION_BUDGETS = 5,
	K2K_SECTION_SLOTS = 6,
	K2K_SECTION_CELLS = 7,
	K2K_SECTION_CELLS_COLD = 8,
	K2K_SECTION_LEDGER_HEADS = 9,
	K2K_SECTION_LEDGER = 10,
	K2K_SECTION_LEASES = 11,
	K2K_SECTION_RINGS = 12,
	K2K_SECTION_EVENTS = 13,
	K2K_SECTION_FOLLOWERS = 14,
	K2K_SECTION_LEASE_ROWS = 15,
};

struct k2k_shm_section {
	uint32_t kind;
	uint32_t stride_bytes;
	uint64_t offset_bytes;
	uint64_t count;
};

/*
 * Written before the object has a name, and never again. `checksum` covers the whole struct, with
 * 0 in the place of `checksum` itself.
 */
struct k2k_shm_header {
	uint64_t magic;
	uint32_t layout_version;
	uint32_t byte_order;
	uint32_t header_bytes; /* of this struct */
	uint32_t section_count;
	uint64_t total_bytes; /* of the object */
	uint64_t fingerprint; /* k2k_layout_fingerprint() of the creator */
	uint64_t compatible;
	uint64_t incompatible;
	uint8_t uuid[16];
	uint8_t boot_id[16];
	uint64_t created_at_ns; /* since 1970 */
	uint32_t clock;         /* enum k2k_clock_kind */
	uint32_t object_mode;   /* as created */
	struct k2k_shm_section sections[K2K_SECTIONS_MAX];
	uint8_t reserved[528];
	uint64_t checksum;
};

enum k2k_clock_kind {
	K2K_CLOCK_MONOTONIC_COARSE_HOST = 1, /* as counted in the initial time namespace */
};

/*
 * What the writer is doing. 0: no change is unfinished. If it is not 0 and no living incarnation
 * has the turn, the next writer recovers first.
 */
enum k2k_operation {
	K2K_OP_NONE = 0,
	K2K_OP_REGISTER = 1,
	K2K_OP_UPDATE = 2,
	K2K_OP_DEREGISTER = 3,
	K2K_OP_BUDGET = 4,
	K2K_OP_REPAIR = 5,
	K2K_OP_DESTROY = 6,
	K2K_OP_CHECK = 7,
};

/* First in, first out, linked by the records' list_next. Links are index + 1. */
struct k2k_shm_list {
	k2k_u32 head;
	k2k_u32 tail;
	k2k_u32 count;
	uint32_t reserved;
};

struct k2k_shm_defs {
	struct k2k_shm_header header;

	/* read by every lookup; written only once, by the call that destroys the registry */
	_Alignas(64) k2k_u32 poisoned; /* 0, or K2K_POISONED: being destroyed */
	uint8_t reserved0[60];

	/* read by helpers and by allocators */
	_Alignas(64) k2k_u64 grace_token; /* grace periods begun; starts at 1 */
	k2k_u32 grace_wake;               /* futex: low half of the token */
	uint8_t reserved1[52];

	/*
	 * The writer: its identity, and what it is doing. Only the writer writes these words;
	 * writer_owner is also written by an administrator that becomes the writer.
	 */
	_Alignas(64) k2k_u64 generation; /* of the newest registration */
	k2k_u32 intent;                  /* enum k2k_operation */
	/* low half of the incarnation that wrote the signature: writer_pid to writer_since_ns */
	k2k_u32 writer_signed;
	/* incarnation of the administrator that is the writer, or 0 */
	k2k_u64 writer_owner;
	k2k_u64 writer_pid;
	k2k_u64 writer_pid_namespace;
	k2k_u64 writer_comm[2];
	k2k_u64 writer_since_ns; /* CLOCK_MONOTONIC; 0: not signed */

	/* lists that are derived from the records; recovery rebuilds them */
	_Alignas(64) struct k2k_shm_list tenant_free;
	struct k2k_shm_list tenant_retired; /* in the order of their tokens */
	struct k2k_shm_list budget_free;
	struct k2k_shm_list budget_retired;

	/* written by the writer */
	/* GPU time of damaged records that repair removed because nothing names their tenant */
	_Alignas(64) k2k_u64 cut_ns;
	uint8_t reserved5[56];
};

struct k2k_shm_pool {
	k2k_u32 hint; /* where a search for a free record begins */
	k2k_u32 high; /* no record at or above it was ever claimed */
	/*
	 * raised whenever a record is given back: until then a process that found the pool full
	 * need not search it again
	 */
	k2k_u32 freed;
	k2k_u32 writer_hint; /* like hint, for records that the writer takes */
};

struct k2k_shm_live {
	struct k2k_shm_header header;

	/* Heuristics that any broker may write: readers don't trust but clamp them. */
	_Alignas(64) struct k2k_shm_pool ledger_pool;
	uint8_t reserved0[48];
	_Alignas(64) struct k2k_shm_pool lease_pool;
	uint8_t reserved1[48];

	/* futex: raised when the rings have something that their readers may not have seen */
	_Alignas(64) k2k_u32 audit_wake;
	uint8_t reserved2[60];
};

/* ---- tenants: definitions ------------------------------------------------ */

enum k2k_tenant_state {
	K2K_TENANT_FREE = 0,
	K2K_TENANT_BUILDING = 1, /* being registered; recovery undoes it if the writer died */
	K2K_TENANT_LIVE = 2,
	K2K_TENANT_SUSPENDED = 3, /* reserved */
	K2K_TENANT_RETIRED = 4,   /* waits for a grace period */
};

/* state_gen = generation << 8 | state */
#define K2K_STATE_BITS 8
#define K2K_GENERATION_MAX ((UINT64_C(1) << (64 - K2K_STATE_BITS)) - 1)

enum {
	K2K_DEF_HAS_BUDGETS = 1 << 0, /* had a budget at some time in this generation */
	K2K_DEF_SHADOW = 1 << 1,      /* reserved: to decide, count and audit, but always admit */
};

/*
 * There are two sets of limits, and the version selects the one in force: set version & 1. An
 * update writes the other set and then raises the version in one store. The algorithm (0: fixed
 * window of one second) shares the word, so that it changes together with the set.
 */
#define K2K_SELECT_VERSION(select) ((select) >> 8)
#define K2K_SELECT(version, algorithm) ((uint64_t)(version) << 8 | (algorithm))
#define K2K_VERSION_MAX ((UINT64_C(1) << 56) - 1)

struct k2k_shm_tenant {
	k2k_u64 id;
	k2k_u64 state_gen;
	k2k_u64 select; /* version << 8 | algorithm */
	k2k_u32 next;
	k2k_u32 flags;
	k2k_u64 rate[2];  /* messages per second */
	k2k_u64 burst[2]; /* reserved */
};

struct k2k_shm_tenant_cold {
	k2k_u64 gpu_memory_bytes[2];
	k2k_u32 kernels[2];
	k2k_u64 registered_at_ns; /* since 1970 */
	k2k_u64 retired_token;
	k2k_u32 budget_count;
	k2k_u32 list_next; /* in the free or the retired list */
	k2k_u64 label[4];  /* reserved */
	/* incarnation of the administrator that waits for its final totals, or 0 */
	k2k_u64 pinned_by;
	/* the generation whose final totals the writer that reaps it must report; 0: none */
	k2k_u64 totals_due;
};

/* ---- tenants: what brokers write ----------------------------------------- */

/* The rate words share one cache line. Their proof is in rate.h. */
#define K2K_WINDOW_BASE_BITS 34
#define K2K_WINDOW_BASE_MASK ((UINT64_C(1) << K2K_WINDOW_BASE_BITS) - 1)
#define K2K_WINDOW_SECOND_MAX (UINT64_MAX >> K2K_WINDOW_BASE_BITS)

struct k2k_shm_cell {
	k2k_u64 admitted; /* only grows */
	/* second << 34 | low 34 bits of `admitted` at the start of that second */
	k2k_u64 window;
	/* how many ledger records brokers took for the tenant; a kill may leave it too high */
	k2k_u32 costs;
	k2k_u32 has_costs; /* 1: an engagement's record may exist */
	/* bit b: broker slot b may have a lease record of this tenant */
	k2k_u64 lease_brokers;
	uint8_t reserved[32];
};

struct k2k_shm_cell_cold {
	k2k_u64 rejected_rate;
	k2k_u64 rejected_budget;
	k2k_u64 rejected_kernels;
	k2k_u64 rejected_gpu_memory;
	k2k_u64 unattributed_ns;
	uint8_t reserved[24];
};

/* ---- pooled records ------------------------------------------------------- */

/*
 * The common head of budgets and ledger records; a lease has the same first word. The low two bits
 * of the word `state` are a k2k_entry_state, and the meaning of the bits above depends on it.
 */
enum k2k_entry_state {
	K2K_ENTRY_FREE = 0,    /* above: 0 */
	K2K_ENTRY_CLAIMED = 1, /* above: the incarnation that took it */
	/* above: the incarnation that took it; for a budget, the newest token at that time */
	K2K_ENTRY_LIVE = 2,
	K2K_ENTRY_RETIRED = 3, /* above: the token that must pass before reuse */
};
/* a lease record that holds nothing; above: the incarnation that may reuse it */
#define K2K_ENTRY_IDLE K2K_ENTRY_RETIRED
#define K2K_ENTRY_STATE_BITS 2
/* Claimed by the writer. If no writer has the turn, the claim is abandoned. */
#define K2K_INCARNATION_WRITER UINT64_C(1)

struct k2k_shm_entry {
	k2k_u64 state;
	k2k_u64 gen;  /* the tenant's generation */
	k2k_u64 key;  /* engagement */
	k2k_u32 slot; /* the tenant's index */
	k2k_u32 next;
};

/*
 * The budget is in force for a reader that saw version v of its tenant if since <= v and (until ==
 * 0 or v < until). So the one store that raises the version changes the limits and any number of
 * budgets at once.
 */
struct k2k_shm_budget {
	struct k2k_shm_entry entry;
	k2k_u64 budget_ns;
	k2k_u64 since;
	k2k_u64 until;
	k2k_u32 ledger; /* index + 1 of the reserved ledger record */
	k2k_u32 list_next;
};

struct k2k_shm_cost {
	struct k2k_shm_entry entry;
	k2k_u64 cost_ns;     /* only grows; stops at UINT64_MAX */
	k2k_u64 reserved_ns; /* unused: meant for reservations */
	uint8_t reserved[16];
};

/*
 * Counters of one resource. `asked` and `ended` only grow, modulo 2^64. asked - ended is what the
 * broker holds or wants, and `held` is at most that.
 */
struct k2k_shm_claim {
	k2k_u64 asked;
	k2k_u64 ended;
	k2k_u64 held;
};

enum k2k_resource {
	K2K_RESOURCE_KERNELS = 0,
	K2K_RESOURCE_GPU_MEMORY = 1,
	K2K_RESOURCES = 2,
};

/* The first cache line has all that a lease of kernels needs. Protocol: lease.h. */
struct k2k_shm_lease {
	k2k_u64 state; /* as in an entry */
	/* only grows; odd: the fields below are being filled, so the record counts nothing */
	k2k_u64 use;
	k2k_u64 gen;         /* the tenant's generation */
	k2k_u64 incarnation; /* of the broker that the counters belong to */
	k2k_u64 whose;       /* broker slot << 32 | the tenant's index */
	struct k2k_shm_claim claims[K2K_RESOURCES];
	uint8_t reserved[40];
};

/*
 * For one tenant: index + 1 of the last lease record of each broker slot; 0: none. Only the owner
 * of a broker slot writes that slot's word.
 */
struct k2k_shm_lease_row {
	k2k_u32 record[K2K_SLOTS];
};

/* ---- broker slots ---------------------------------------------------------- */

enum k2k_slot_state {
	K2K_SLOT_UNUSED = 0,
	K2K_SLOT_ATTACHING = 1, /* its owner has read nothing yet: no grace period waits for it */
	K2K_SLOT_ACTIVE = 2,
};

struct k2k_shm_slot {
	k2k_u64 owner; /* incarnation, or 0 */
	k2k_u64 ack;   /* the newest token that the owner has acknowledged */
	k2k_u32 state; /* enum k2k_slot_state */
	uint8_t reserved0[44];
	/* the owner's identity, for diagnostics: it proves nothing about life */
	k2k_u64 pid;
	k2k_u64 pid_namespace;
	k2k_u64 start_time;     /* of the process, clock ticks after boot */
	k2k_u64 attached_at_ns; /* since 1970 */
	k2k_u64 comm[2];
	k2k_u64 reserved1[2];
	/* counters of the slot, not of its owner: the next owner continues them */
	k2k_u64 cross_tenant_total;
	k2k_u64 unknown_tenant_total;
	/* the last incarnation whose death was reported in the audit trail */
	k2k_u64 death_reported;
	k2k_u64 reserved2[5];
	uint8_t reserved3[64];
};

/* ---- the audit trail --------------------------------------------------------- */

/*
 * The owner of a broker slot has two rings: one for rejections by a limit, which a tenant can cause
 * in any number, and one for security events, so that rejections never overwrite security events.
 */
#define K2K_RINGS (2 * K2K_SLOTS + 1)
#define K2K_RING_ADMIN K2K_SLOTS
#define K2K_RING_SECURITY(slot) (K2K_SLOTS + 1 + (slot))
#define K2K_EVENT_KINDS 16

/*
 * Written by the threads of the slot's owner; the administrators' ring by the writer. Protocol and
 * proof: ring.h.
 */
struct k2k_shm_ring {
	/* number of the newest event that a writer has begun; the first is 1 */
	_Alignas(64) k2k_u64 claimed;
	/* events up to this one were begun by earlier owners, which have all died or detached */
	k2k_u64 since;
	k2k_u64 reserved[6];
	/* by kind, since creation */
	_Alignas(64) k2k_u64 written[K2K_EVENT_KINDS];
	k2k_u64 coalesced[K2K_EVENT_KINDS];
	k2k_u64 lost[K2K_EVENT_KINDS]; /* events that their writers gave up */
};

#define K2K_EVENT_NAME_BYTES 68
#define K2K_EVENT_ACTOR_BYTES 64
#define K2K_EVENT_VALUES 9
#define K2K_EVENT_DEAD_COMM 7 /* values[7] and values[8]: comm of a dead broker */

/* Flags of an event: a kernel's name was too long and is truncated. */
enum {
	K2K_EVENT_CUT_SOURCE = 1 << 0,
	K2K_EVENT_CUT_DESTINATION = 1 << 1,
};

/*
 * The content of an event. Shared memory holds it as words. Names and texts end with a zero byte.
 */
struct k2k_event_body {
	uint64_t time_ns;      /* since 1970 */
	uint64_t monotonic_ns; /* as counted in the initial time namespace */
	/* enum k2k_audit_kind of the public header; 0: no event, because its writer backed out */
	uint16_t kind;
	uint16_t flags;
	int32_t code;
	uint64_t tenant, to;
	uint64_t org_id, engagement_id;
	uint64_t generation;
	/* a cross-tenant attempt has no limit: here they are the comm of its broker */
	uint64_t used, limit;
	uint64_t pid, incarnation;
	union {
		struct {
			char source[K2K_EVENT_NAME_BYTES], destination[K2K_EVENT_NAME_BYTES];
		} kernels; /* for a cross-tenant attempt */
		struct {
			uint64_t comm[2];
		} broker; /* for other rejections */
		struct {
			/* by K2K_AUDIT_REGISTER_RATE, ...; see also K2K_EVENT_DEAD_COMM */
			uint64_t values[K2K_EVENT_VALUES];
			char actor[K2K_EVENT_ACTOR_BYTES];
		} change; /* for kinds that are not rejections */
	} more;
};

#define K2K_EVENT_WORDS 29

/*
 * count = closed: 1 bit | low 39 bits of the event's number | how many equal rejections the event
 * stands for: 24 bits. A repeat is added by compare-exchange, so it never counts for another event
 * than the one meant: the same word can come again only after 2^39 events, which takes days. When
 * the count of an event is full, the next repeat begins another event.
 */
#define K2K_EVENT_COUNT_BITS 24
#define K2K_EVENT_NUMBER_BITS 39
#define K2K_EVENT_CLOSED (UINT64_C(1) << 63)

struct k2k_shm_event {
	/* 0: never used; 2n - 1: event n is being written; 2n: event n is complete */
	k2k_u64 sequence;
	k2k_u64 count;
	/* the highest event number whose writer found this place taken and gave up */
	k2k_u64 given_up;
	k2k_u64 words[K2K_EVENT_WORDS];
};

/*
 * A follower is a program that stores all events of the trail. Only the owner of a record writes
 * it; the owner is alive while the byte at offset `owner` of live is locked, as for a broker.
 * Readers must not trust these words: they are only what the owner says. Protocol: follower.h.
 */
#define K2K_FOLLOWERS 8

struct k2k_shm_follower {
	_Alignas(64) k2k_u64 owner; /* incarnation, or 0 */
	/* the time of its last report, as monotonic_ns of an event; 0: it has not reported yet */
	k2k_u64 said_ns;
	k2k_u64 failing_since_ns; /* since 1970; 0: it can write its log */
	k2k_u64 failures;         /* how often it began to fail */
	k2k_u64 pid;
	k2k_u64 comm[2];
	k2k_u64 attached_at_ns; /* since 1970 */
	/* the next owner continues the words from here on */
	/* events that it found overwritten, or that were never completed */
	k2k_u64 lost;
	k2k_u64 damaged; /* how often it found a ring damaged */
	/* the latest loss; the time is since 1970 */
	k2k_u64 lost_ring, lost_from, lost_count, lost_at_ns;
	k2k_u64 reserved0[2];
	k2k_u64 next[K2K_RINGS]; /* for each ring: the number after the last one stored */
	k2k_u64 reserved1[7];
};

/*
 * A number computed from the size of each struct, the offset of each field and the constants above
 * that the format depends on. An attach refuses an object with another fingerprint.
 */
uint64_t k2k_layout_fingerprint(void);
uint64_t k2k_layout_checksum(const struct k2k_shm_header *header);

#endif
