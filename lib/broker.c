/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "delay.h"
#include "error.h"

/*
 * A draw fails if the number is below the range (once in 2^21), or if its byte is locked: that is
 * as good as impossible, unless a process holds locks on very many bytes.
 */
#define DRAWS 16

static uint64_t start_time(void)
{
	FILE *file = fopen("/proc/self/stat", "re");
	char line[1024];
	unsigned long long ticks = 0;
	char *after;

	if (!file)
		return 0;
	if (fgets(line, sizeof(line), file)) {
		after = strrchr(line, ')'); /* comm may contain any character */
		/* field 22; the first after ')' is field 3 */
		for (int field = 2; after && field < 22; field++)
			after = strchr(after + 1, ' ');
		if (after)
			ticks = strtoull(after + 1, NULL, 10);
	}
	fclose(file);
	return ticks;
}

void k2k_identity_read(struct k2k_identity *identity)
{
	struct stat st;
	char comm[16];

	memset(identity, 0, sizeof(*identity));
	identity->pid = (uint64_t)getpid();
	if (stat("/proc/self/ns/pid", &st) == 0)
		identity->pid_namespace = st.st_ino;
	identity->start_time = start_time();
	memset(comm, 0, sizeof(comm));
	prctl(PR_GET_NAME, comm);
	memcpy(identity->comm, comm, sizeof(comm));
}

void k2k_identity_comm(char text[16], uint64_t low, uint64_t high)
{
	uint64_t words[2] = { low, high };

	memcpy(text, words, 16);
	text[15] = '\0';
	for (char *p = text; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
}

static k2k_u64 *cache_of(struct k2k_liveness *liveness, uint64_t incarnation)
{
	return &liveness->dead[incarnation % K2K_DEAD_CACHE];
}

/* True: it is dead, and the kernel need not be asked. */
static bool known_dead(struct k2k_liveness *liveness, uint64_t incarnation)
{
	/* a number outside of the range is no incarnation: 0, K2K_INCARNATION_WRITER, or damage */
	return incarnation < K2K_LOCK_BYTE_LIFE_MIN || incarnation >= K2K_LOCK_BYTE_LIFE_MAX ||
	       /* relaxed: a cache of a fact that never changes */
	       k2k_load_relaxed(cache_of(liveness, incarnation)) == incarnation;
}

void k2k_liveness_ask(struct k2k_liveness *liveness, const uint64_t *incarnations, bool *alive,
                      uint32_t count)
{
	uint64_t bytes[K2K_LIVENESS_AT_ONCE];
	uint32_t where[K2K_LIVENESS_AT_ONCE];
	bool held[K2K_LIVENESS_AT_ONCE];
	uint32_t asked = 0;

	for (uint32_t i = 0; i < count; i++) {
		alive[i] = false;
		if (known_dead(liveness, incarnations[i]))
			continue;
		where[asked] = i;
		bytes[asked++] = incarnations[i];
	}
	if (asked)
		k2k_lock_are_held(liveness->object, bytes, held, asked);
	for (uint32_t i = 0; i < asked; i++) {
		alive[where[i]] = held[i];
		if (!held[i])
			/* relaxed: as in known_dead() */
			k2k_store_relaxed(cache_of(liveness, bytes[i]), bytes[i]);
	}
	/*
	 * Asking the kernel is no barrier. Without this fence a later load could return an older
	 * value than the last store of the dead process.
	 */
	k2k_fence_seq_cst();
}

bool k2k_liveness_alive(struct k2k_liveness *liveness, uint64_t incarnation)
{
	bool alive;

	k2k_liveness_ask(liveness, &incarnation, &alive, 1);
	return alive;
}

int k2k_life_begin(const struct k2k_segment *object, struct k2k_lock *life, uint64_t *incarnation)
{
	uint64_t number = 0, pid;
	char comm[16];

	for (int i = 0; i < DRAWS; i++) {
		int code;

		if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
			return k2k_fail_errno(K2K_EIO, errno, "incarnation",
			                      "getrandom(2) gives no random number");
		number &= K2K_LOCK_BYTE_LIFE_MAX - 1;
		if (number < K2K_LOCK_BYTE_LIFE_MIN)
			continue;
		code = k2k_lock_try(object, number, life);
		if (code == K2K_EBUSY)
			continue;
		if (code)
			return code;
		*incarnation = number;
		return 0;
	}
	pid = k2k_lock_find_holder(object, number, false, comm);
	return k2k_fail_pid(
		K2K_EBUSY, "live", pid,
		"process %llu (%s) holds locks on all of %s, so no handle can be opened",
		(unsigned long long)pid, comm, object->path);
}

static bool take(struct k2k_shm_slot *slot, uint64_t from, struct k2k_broker *broker)
{
	/*
	 * publish[slot-owner]: a process that sees our incarnation also sees its byte locked.
	 * observe[slot-owner]: all stores of the old owner, which has detached or is dead
	 */
	return k2k_cas_acq_rel(&slot->owner, &from, broker->incarnation);
}

static void remember(const struct k2k_shm_slot *slot, uint64_t owner, struct k2k_broker *broker)
{
	broker->predecessor = owner;
	/* relaxed, all: for diagnostics; these are the dead owner's values until we sign */
	broker->predecessor_attached_ns = k2k_load_relaxed(&slot->attached_at_ns);
	broker->predecessor_identity.pid = k2k_load_relaxed(&slot->pid);
	broker->predecessor_identity.comm[0] = k2k_load_relaxed(&slot->comm[0]);
	broker->predecessor_identity.comm[1] = k2k_load_relaxed(&slot->comm[1]);
}

static int find_slot(const struct k2k_map *map, struct k2k_liveness *liveness,
                     struct k2k_broker *broker)
{
	for (uint32_t i = 0; i < map->sizes.slots; i++)
		if (take(&map->slots[i], 0, broker)) {
			broker->slot = i;
			return 0;
		}
	for (uint32_t i = 0; i < map->sizes.slots; i++) {
		/* observe[slot-owner] in take() */
		uint64_t owner = k2k_load_acquire(&map->slots[i].owner);

		if (!k2k_liveness_alive(liveness, owner) && take(&map->slots[i], owner, broker)) {
			broker->slot = i;
			remember(&map->slots[i], owner, broker);
			return 0;
		}
	}
	return k2k_fail_values(K2K_ENOBROKERSLOT, "live", "slots", map->sizes.slots,
	                       map->sizes.slots,
	                       "all %u places for brokers are taken: close a broker, or create "
	                       "the registry with more of them",
	                       map->sizes.slots);
}

static void sign(const struct k2k_map *map, struct k2k_shm_slot *slot,
                 const struct k2k_identity *own)
{
	/*
	 * The predecessor's ACTIVE would make writers wait for an ack that this owner has not
	 * stored yet, so ATTACHING comes first. The predecessor's identity would name the wrong
	 * process, so it is replaced next. A writer that sees ATTACHING does not wait for us.
	 */
	/* publish[slot-state] seen by observe[slot-state] in grace.c */
	k2k_store_release(&slot->state, K2K_SLOT_ATTACHING);
	/*
	 * fence[slot-owner] with that of still_owns() in deaths.c: whoever has read a word of ours
	 * below sees that we own the slot, and does not report it as the predecessor's.
	 */
	k2k_fence_release();
	/* relaxed, all: for diagnostics; ACTIVE below is released after them */
	k2k_store_relaxed(&slot->pid, own->pid);
	k2k_store_relaxed(&slot->pid_namespace, own->pid_namespace);
	k2k_store_relaxed(&slot->start_time, own->start_time);
	k2k_store_relaxed(&slot->attached_at_ns, k2k_clock_realtime_ns());
	k2k_store_relaxed(&slot->comm[0], own->comm[0]);
	k2k_store_relaxed(&slot->comm[1], own->comm[1]);
	/*
	 * Every record stamped up to this token was unlinked before the token was published, and we
	 * have read nothing yet, so we may acknowledge it. observe[grace-token]: the unlinks before
	 * it. publish[grace-ack]: we have no older read section.
	 */
	k2k_store_release(&slot->ack, k2k_load_acquire(&map->defs->grace_token));
	/* publish[slot-state]: the ack before it */
	k2k_store_release(&slot->state, K2K_SLOT_ACTIVE);
	K2K_DELAY(active);
	/*
	 * fence[grace-attach] with fence[grace-writer]: either the writer sees us ACTIVE and waits
	 * for our ack, or our first read sees its unlink. Without the fence, our ACTIVE could still
	 * be in the store buffer while we read an old link.
	 */
	k2k_fence_seq_cst();
}

int k2k_broker_attach(const struct k2k_map *map, struct k2k_liveness *liveness,
                      const struct k2k_identity *own, struct k2k_broker *broker)
{
	int code;

	memset(broker, 0, sizeof(*broker));
	code = k2k_life_begin(liveness->object, &broker->life, &broker->incarnation);
	if (code)
		return code;
	code = find_slot(map, liveness, broker);
	if (code) {
		k2k_lock_drop(&broker->life);
		broker->incarnation = 0;
		return code;
	}
	sign(map, &map->slots[broker->slot], own);
	return 0;
}

void k2k_broker_detach(const struct k2k_map *map, struct k2k_broker *broker)
{
	uint64_t own = broker->incarnation;

	if (!own)
		return;
	/*
	 * publish[slot-owner]: all our stores, for the next owner. It is a compare-exchange, so
	 * that we don't overwrite another value that damage has put there.
	 */
	k2k_cas_acq_rel(&map->slots[broker->slot].owner, &own, 0);
	k2k_lock_drop(&broker->life);
	broker->incarnation = 0;
}
