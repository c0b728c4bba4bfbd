/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * layout.h (F1) - every byte in shared memory. No logic.
 *
 *   /k2k.NAME.defs  definitions: written by one administrator at a time, read-only in a broker
 *
 *     0      struct k2k_shm_defs   header and directory, poison word, token, writer
 *     4096   tenant heads          u32 each, a power of two of them
 *            tenants               64 bytes each: what an admission reads
 *            tenants, cold half    160 bytes each
 *            budget heads          u32 each, a power of two of them
 *            budgets               80 bytes each
 *
 *   /k2k.NAME.live.UUID  what brokers write; UUID is that of the header, in hexadecimal
 *
 *     0      struct k2k_shm_live   header and directory, allocation hints, wake word of the trail
 *     4096   broker slots          256 bytes each
 *            cells                 64 bytes each, one for each tenant: the rate words
 *            cells, cold half      128 bytes each: totals of rejections, thresholds reached
 *            ledger heads          u32 each, a power of two of them
 *            ledger                64 bytes each: GPU time of (tenant, engagement)
 *            lease rows            one for each tenant, of a u32 for each broker slot: index + 1
 *                                  of its last lease record; only the slot's owner writes it
 *                                  Behind these, one for each reservation row
 *            leases                128 bytes each: what (tenant, broker slot) holds or has reserved
 *                                  of an engagement
 *            reservation rows      16 bytes each, a power of two of them
 *            audit rings           832 bytes each, 2 for each broker slot: for rejections, and for
 *                                  security events; and the administrators' ring
 *            audit events          256 bytes each: first those of ring 0, then of ring 1, ...; each
 *                                  ring has the same number of them, a power of two
 *            audit followers       8 of 128 bytes: a program that stores the events
 *            their positions       8 rows of a u64 for each ring: the number after the last event
 *                                  that the follower has stored
 *            periods               256 bytes each, as many as budgets: of a budget that renews
 *            kernel claims         u64 each, a power of two of them: who changes a bucket's chain
 *            kernel heads          u32 each, as many
 *            kernels               256 bytes each: a kernel's name, owner, tenant and address
 *            sources               64 bytes each, at most 32: of tenants used by many brokers
 *            shares                64 bytes each, one for each source and broker slot
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
#define K2K_LAYOUT_VERSION 2u
#define K2K_BYTE_ORDER 0x01020304u
#define K2K_COMPATIBLE UINT64_C(0)
/*
 * Changes require a follower of the audit trail that keeps up. A library that does not know this
 * bit must not change anything in such a registry.
 */
#define K2K_FEATURE_REQUIRE_AUDIT (UINT64_C(1) << 0)
/* A simulation: each handle takes the time from its opener instead of the machine's clocks. */
#define K2K_FEATURE_SIMULATED (UINT64_C(1) << 1)
/* A message from a kernel that is not in the directory is refused. */
#define K2K_FEATURE_STRICT (UINT64_C(1) << 2)
/* all that this version knows */
#define K2K_INCOMPATIBLE (K2K_FEATURE_REQUIRE_AUDIT | K2K_FEATURE_SIMULATED | K2K_FEATURE_STRICT)
#define K2K_SECTIONS_MAX 20
#define K2K_KERNEL_NAME_WORDS 8 /* of a kernel: 1 to 63 bytes, the rest are zero bytes */
#define K2K_SLOTS_DEFAULT 64
#define K2K_SLOTS_MAX 1024 /* broker slots of one registry */
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
	K2K_SECTION_POSITIONS = 16,
	K2K_SECTION_RESERVE_ROWS = 17,
	K2K_SECTION_PERIODS = 18,
	K2K_SECTION_KERNEL_CLAIMS = 19,
	K2K_SECTION_KERNEL_HEADS = 20,
	K2K_SECTION_KERNELS = 21,
	K2K_SECTION_SOURCES = 22,
	K2K_SECTION_SHARES = 23,
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
	uint8_t reserved[432];
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
	K2K_OP_CORRECT = 8,
};

/* First in, first out, linked by the records' list_next. Links are index + 1. */
struct k2k_shm_list {
	k2k_u32 head;
	k2k_u32 tail;
	k2k_u32 count;
	uint32_t reserved;
};

/*
 * A correction of an engagement's usage: the intent of one that is being made, and afterwards the
 * proof that its request was carried out. Sums are signed. Protocol: correct.c.
 */
#define K2K_CORRECTIONS 32
struct k2k_shm_correction {
	k2k_u64 request_id; /* of the caller; 0: none */
	k2k_u64 generation;
	k2k_u64 engagement;
	k2k_u64 ns;     /* what was asked for */
	k2k_u64 after;  /* the engagement's sum of corrections afterwards */
	k2k_u32 ledger; /* index + 1 of its record */
	k2k_u32 period; /* index + 1 of its budget's period record; 0: no budget that renews */
	k2k_u32 made;   /* corrections of that period record before, modulo 2^16 */
	uint32_t reserved0;
	uint64_t reserved1;
};

struct k2k_shm_defs {
	struct k2k_shm_header header;

	/* read by every lookup; written only once, by the call that destroys the registry */
	_Alignas(64) k2k_u32 poisoned; /* 0, or K2K_POISONED: being destroyed */
	uint32_t reserved0;
	/*
	 * Shares of rates over many hosts, written by an administrator every few seconds: they hold
	 * before this time of CLOCK_BOOTTIME in ns, as counted in the initial time namespace; 0:
	 * they don't. And whose they are: a number of the caller. Protocol: rate.h, shares.c.
	 */
	k2k_u64 shares_until_ns;
	k2k_u64 shares_epoch;
	uint8_t reserved7[40];

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
	uint64_t reserved5;
	struct k2k_shm_list period_free; /* period records; derived from the budgets */
	k2k_u64 corrections;             /* how many were made */
	/* corrections + 1: the next element of `correction` is the intent of one being made */
	k2k_u64 correcting;
	uint8_t reserved6[16];
	/* the newest ones: number n, from 0 on, is at n modulo their count */
	_Alignas(64) struct k2k_shm_correction correction[K2K_CORRECTIONS];

	/* random numbers, written before the object has a name: the hash of kernels' names */
	_Alignas(64) uint64_t kernel_key[K2K_KERNEL_NAME_WORDS];
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
	/* low half of the second in which a broker last asked whether all others are alive */
	k2k_u32 deaths_second;
	/* the same for the look whether leases have reached a threshold (watch.h) */
	k2k_u32 alerts_second;
	uint8_t reserved2[52];

	_Alignas(64) struct k2k_shm_pool kernel_pool;
	uint8_t reserved3[48];
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
	K2K_DEF_RENEWS = 1 << 1,      /* had a budget that renews at some time in this generation */
	K2K_DEF_ALERTS = 1 << 2,      /* had thresholds at some time in this generation */
};

/*
 * There are two sets of limits, and the version selects the one in force: set version & 1. An
 * update writes the other set and then raises the version in one store. The mode shares the word,
 * so that it changes together with the set.
 */
#define K2K_SELECT_VERSION(select) ((select) >> 8)
#define K2K_SELECT_MODE(select) ((uint32_t)(select)&0xff)
#define K2K_SELECT(version, mode) ((uint64_t)(version) << 8 | (mode))
#define K2K_VERSION_MAX ((UINT64_C(1) << 56) - 1)

/* The bits of a mode. */
enum {
	K2K_MODE_BUCKET = 1 << 0,    /* a token bucket; else a window */
	K2K_MODE_PERIOD = 3 << 1,    /* of the rate: second, minute, hour, day */
	K2K_MODE_SHADOW = 1 << 3,    /* limits are decided, counted and audited, but not enforced */
	K2K_MODE_SUSPENDED = 1 << 4, /* nothing new is admitted or granted, shadow or not */
	K2K_MODE_ALERTS = 1 << 5,    /* the set has thresholds */
	K2K_MODE_SHARED = 1 << 6,    /* the rate is a share, of a window of a second */
};
#define K2K_MODE_PERIOD_SHIFT 1
#define K2K_MODE_RATE (K2K_MODE_BUCKET | K2K_MODE_PERIOD | K2K_MODE_SHARED)
#define K2K_BURST_BITS 56
#define K2K_BURST(word) ((word) & ((UINT64_C(1) << K2K_BURST_BITS) - 1))
#define K2K_BURST_MODE(word) ((uint32_t)((word) >> K2K_BURST_BITS))
#define K2K_BURST_WORD(burst, mode) ((uint64_t)((mode)&K2K_MODE_RATE) << K2K_BURST_BITS | (burst))
#define K2K_MODE_KNOWN 0x7fu

#define K2K_ALERTS 4     /* percentages, ascending, in the bytes of one word; 0: unused */
#define K2K_NAME_WORDS 4 /* of a tenant: at most 31 bytes of UTF-8, the rest are zero bytes */

struct k2k_shm_tenant {
	k2k_u64 id;
	k2k_u64 state_gen;
	k2k_u64 select; /* version << 8 | mode */
	k2k_u32 next;
	k2k_u32 flags;
	k2k_u64 rate[2]; /* messages in the period of the mode */
	/* of a bucket, else 0; and the mode of the set's rate, which outlives a change of select */
	k2k_u64 burst[2];
};

struct k2k_shm_tenant_cold {
	k2k_u64 gpu_memory_bytes[2];
	k2k_u32 kernels[2];
	k2k_u32 alerts[2];
	k2k_u64 name[2][K2K_NAME_WORDS];
	k2k_u64 registered_at_ns; /* since 1970 */
	k2k_u64 retired_token;
	k2k_u32 budget_count;
	k2k_u32 list_next; /* in the free or the retired list */
	/* incarnation of the administrator that waits for its final totals, or 0 */
	k2k_u64 pinned_by;
	/* the generation whose final totals the writer that reaps it must report; 0: none */
	k2k_u64 totals_due;
	k2k_u64 alone[2]; /* of a shared rate: the limit while no shares hold; else 0 */
	uint8_t reserved[8];
};

/* ---- tenants: what brokers write ----------------------------------------- */

/* The rate words share one cache line. Their meaning and proof are in rate.h. */
#define K2K_RATE_TAG_BITS 18
#define K2K_RATE_TAG_MASK ((UINT64_C(1) << K2K_RATE_TAG_BITS) - 1)
#define K2K_RATE_FRACTION_BITS 16                             /* of a second, in an origin */
#define K2K_RATE_NEVER_USED (UINT64_MAX >> K2K_RATE_TAG_BITS) /* an origin that is none */
#define K2K_WINDOW_SECOND_MAX (K2K_RATE_NEVER_USED >> K2K_RATE_FRACTION_BITS)

struct k2k_shm_cell {
	/*
	 * origin << 18 | low bits of the version of the definition; changed together with ceiling
	 */
	_Alignas(16) k2k_u64 window;
	k2k_u64 ceiling;
	/* only grows; the top bit: it is open, and its shares count too */
	k2k_u64 admitted;
	k2k_u64 opening; /* the newest one, odd while it is open; changed together with the bit */
	/* how many ledger records brokers took for the tenant; a kill may leave it too high */
	k2k_u32 costs;
	k2k_u32 has_costs; /* 1: an engagement's record may exist */
	/* which broker slots may have a lease record of this tenant: k2k_slot_bit() */
	k2k_u64 lease_brokers;
	k2k_u32 source; /* index + 1; 0: it was never open */
	k2k_u32 sought; /* 1: a source may be its own */
	uint8_t reserved[8];
};

struct k2k_shm_cell_cold {
	k2k_u64 rejected_rate;
	k2k_u64 rejected_budget;
	k2k_u64 rejected_kernels;
	k2k_u64 rejected_gpu_memory;
	k2k_u64 unattributed_ns;
	k2k_u64 rejected_suspended;
	/* in shadow: what would have been rejected */
	k2k_u64 shadow_rate;
	k2k_u64 shadow_budget;
	k2k_u64 shadow_kernels;
	k2k_u64 shadow_gpu_memory;
	/* which thresholds were reported, and when: alert.h */
	k2k_u64 alert_rate, alert_kernels, alert_gpu_memory;
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
	k2k_u32 every;  /* enum k2k_every */
	k2k_u32 period; /* index + 1 of the period record; 0: it does not renew */
	/* 1: a later budget of the engagement has the period record now */
	k2k_u32 period_kept;
	k2k_u32 period_next; /* of the period record with this budget's index, in the free list */
};

/* How often a budget renews, at hours of UTC. */
enum k2k_every {
	K2K_EVERY_NONE = 0, /* never */
	K2K_EVERY_HOUR = 2,
	K2K_EVERY_DAY = 3,
	K2K_EVERY_WEEK = 4, /* on Mondays */
	K2K_EVERY_MONTH = 5,
};

/*
 * The periods of a budget that renews. The first word of a pair is the period's number (24 bits,
 * from 1 on), how many corrections were made (16 bits, modulo 2^16), and its begin in hours since
 * 1970 (24 bits); the second is its base. Protocol: period.h.
 */
#define K2K_PERIOD_NUMBER_MAX ((UINT64_C(1) << 24) - 1)
#define K2K_PERIOD_BEGIN_MAX ((UINT64_C(1) << 24) - 1)
#define K2K_PERIODS_KEPT 12 /* closed periods that can be read */
#define K2K_PERIOD_PLACES 13
/* Two words that one compare-exchange replaces together; each is loaded by itself. */
struct k2k_pair {
	_Alignas(16) k2k_u64 first;
	k2k_u64 second;
};
struct k2k_shm_period {
	struct k2k_pair now;
	k2k_u64 corrected
		[2]; /* signed; the low bit of "corrections made" selects the one in force */
	struct k2k_pair closed[K2K_PERIOD_PLACES]; /* number n is at n modulo their count */
	k2k_u64 alerts;                            /* by its number: alert.h */
	uint64_t reserved;
};

/*
 * Of a tenant that many brokers use at once: what is left of its window, and the broker slots'
 * shares of it, which lie one after another. Protocol: hot.h.
 */
#define K2K_SOURCES_MAX 32
struct k2k_shm_source {
	struct k2k_pair left; /* label << 18 | low bits of a version; messages */
	k2k_u64 owner;        /* the tenant's generation; 0: free */
	k2k_u64 brokers;      /* which broker slots may have a share: k2k_slot_bit() */
	k2k_u64 folds;
	uint8_t reserved[24];
};

struct k2k_shm_share {
	struct k2k_pair spent; /* messages; label << 22 | credit */
	k2k_u64 version;       /* of the definition that the credit was drawn under */
	k2k_u64 generation;    /* the tenant's */
	k2k_u64 used;          /* of the window, as of the newest draw */
	k2k_u64 draws;
	uint8_t reserved[16];
};

struct k2k_shm_cost {
	struct k2k_shm_entry entry;
	k2k_u64 cost_ns;      /* only grows; stops at UINT64_MAX */
	k2k_u64 corrected_ns; /* signed: the sum of the corrections by administrators */
	k2k_u64 alerts;       /* of a budget that does not renew, by its version: alert.h */
	uint8_t reserved[8];
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
	K2K_RESOURCE_GPU_TIME = 2, /* of an engagement's budget */
	K2K_RESOURCES = 3,
};

/* The first cache line has all that a lease of kernels needs. Protocol: lease.h. */
struct k2k_shm_lease {
	k2k_u64 state; /* as in an entry */
	/* only grows; odd: the fields below are being filled, so the record counts nothing */
	k2k_u64 use;
	k2k_u64 gen;         /* the tenant's generation */
	k2k_u64 incarnation; /* of the broker that the counters belong to */
	/*
	 * broker slot << 32 | the tenant's index. Of a reservation: K2K_LEASE_RESERVATION | how far
	 * its row is from the first one << 48 | broker slot << 32 | index of the ledger record
	 */
	k2k_u64 whose;
	struct k2k_shm_claim claims[K2K_RESOURCES];
	/* 1: its owner is about to book what it has reserved, and then ends the reservation */
	k2k_u64 moving;
	k2k_u64 named; /* of the kernels held: those that are names in the directory (kernel.h) */
};

#define K2K_LEASE_RESERVATION (UINT64_C(1) << 63)
#define K2K_LEASE_AWAY_SHIFT 48
/* a reservation's row is at most so many rows behind the first one */
#define K2K_RESERVE_REACH 63

/*
 * The reservations of a ledger record have the row at its index, modulo the number of rows, and as
 * many rows behind it as `reach` says.
 */
struct k2k_shm_reserve_row {
	k2k_u64 brokers; /* which broker slots may have a reservation in this row: k2k_slot_bit() */
	k2k_u32 reach;   /* only grows */
	uint32_t reserved;
};

/* ---- the directory of kernels ------------------------------------------------ */

/*
 * word = version << 3 | which set << 2 | state. The version only grows, also when the record is
 * used again for another name. Protocol: kernel.h.
 */
enum k2k_kernel_state {
	K2K_KERNEL_PARKED = 0,   /* nobody has the name */
	K2K_KERNEL_RESERVED = 1, /* its owner is about to take a slot for it */
	K2K_KERNEL_LIVE = 2,
};
#define K2K_KERNEL_STATE_BITS 2
#define K2K_KERNEL_VERSION_SHIFT 3

/* What a kernel was added with. There are two, so that a move is one store of the word. */
struct k2k_shm_kernel_set {
	k2k_u64 gen; /* the tenant's generation; 0: tenant 0 */
	k2k_u64 org_id, engagement_id;
	k2k_u64 address[2]; /* for its broker */
	k2k_u32 slot;       /* the tenant's index */
	uint32_t reserved;
};

struct k2k_shm_kernel {
	/*
	 * gen and key are the hash of the name; `slot` is 0. LIVE says only that the record is
	 * linked: whose it is says `incarnation`
	 */
	struct k2k_shm_entry entry;
	k2k_u64 word;
	k2k_u64 incarnation; /* of the owner */
	k2k_u32 broker;      /* the owner's slot */
	uint32_t reserved0;
	uint64_t reserved1;
	k2k_u64 name[K2K_KERNEL_NAME_WORDS];
	struct k2k_shm_kernel_set sets[2];
	uint8_t reserved2[32];
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
#define K2K_RINGS(slots) (2 * (slots) + 1)
/*
 * A ring has the same number in every registry: those of the first 64 broker slots, and the
 * administrators' ring, are below K2K_RINGS_LOW; then come two for each further slot. A registry
 * with fewer slots has no rings of some numbers, and does not store them (ring.h).
 */
#define K2K_RINGS_LOW K2K_RINGS(K2K_SLOTS_DEFAULT)
#define K2K_RING_ADMIN K2K_SLOTS_DEFAULT
#define K2K_RING_REJECTIONS(slot) \
	((slot) < K2K_SLOTS_DEFAULT ? (slot) : K2K_RINGS_LOW + 2 * ((slot)-K2K_SLOTS_DEFAULT))
#define K2K_RING_SECURITY(slot)                                      \
	((slot) < K2K_SLOTS_DEFAULT ? K2K_SLOTS_DEFAULT + 1 + (slot) \
	                            : K2K_RINGS_LOW + 2 * ((slot)-K2K_SLOTS_DEFAULT) + 1)
#define K2K_EVENT_KINDS 32

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
#define K2K_EVENT_DEAD_COMM 7     /* values[7] and values[8]: comm of a dead broker */
#define K2K_EVENT_REASON_VALUES 8 /* a correction's reason is in the bytes of the first 8 */

/* Flags of an event. */
enum {
	/* a kernel's name was too long and is truncated */
	K2K_EVENT_CUT_SOURCE = 1 << 0,
	K2K_EVENT_CUT_DESTINATION = 1 << 1,
	K2K_EVENT_SHADOW =
		1 << 2, /* it would have been a rejection, but the limits are in shadow */
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
};

/*
 * A number computed from the size of each struct, the offset of each field and the constants above
 * that the format depends on. An attach refuses an object with another fingerprint.
 */
uint64_t k2k_layout_fingerprint(void);
uint64_t k2k_layout_checksum(const struct k2k_shm_header *header);

#endif
