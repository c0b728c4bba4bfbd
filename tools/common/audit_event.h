/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * audit_event.h - an audit record as JSON, and where a reader stands
 *
 * An event begins with "kind", "ring" and "sequence", in this order; of a gap the
 * kind is "lost", and "lost" follows: how many sequence numbers are missing from
 * "sequence" on. 64-bit numbers are decimal strings, an unlimited limit is null.
 */
#ifndef K2K_COMMON_AUDIT_EVENT_H
#define K2K_COMMON_AUDIT_EVENT_H

#include <json-c/json_object.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <k2k/registry.h>

/* Where a reader stands in the rings of one instance of a registry. */
struct position {
	char uuid[40];                  /* "": of none yet */
	uint64_t next[K2K_AUDIT_RINGS]; /* from 1 */
};

/* The beginning of all rings of the instance `uuid`. */
void position_begin(struct position *position, const char *uuid);
/* Past this record. */
void position_pass(struct position *position, uint32_t ring, uint64_t sequence, uint64_t lost);
/* "uuid" and "next" into an object, and out of it: false where it has none, or they are wrong. */
void position_put(const struct position *position, json_object *object);
bool position_get(struct position *position, json_object *object);

/* All members of an event. */
void event_put(json_object *object, const struct k2k_audit_record *record);
/* Back from the text behind `{...,"kind":"KIND"`: false where it is no event. */
bool event_place(const char *kind, size_t kind_size, const char *end, uint32_t *ring,
                 uint64_t *sequence, uint64_t *lost);

#endif
