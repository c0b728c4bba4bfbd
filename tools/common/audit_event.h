/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * audit_event.h - an audit event as JSON, and a reader's position in the rings
 *
 * An event begins with "kind", "ring" and "sequence", in this order. Lost events are one event of
 * kind "lost", and "lost" after "sequence" is how many sequence numbers are missing from "sequence"
 * on. 64-bit numbers are decimal strings (json.h).
 */
#ifndef K2K_COMMON_AUDIT_EVENT_H
#define K2K_COMMON_AUDIT_EVENT_H

#include <json-c/json_object.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <k2k/registry.h>

#include "rings.h"

/* A reader's position in the rings of one instance of a registry. */
struct position {
	char uuid[40];             /* of the instance; "": none yet */
	uint64_t next[RINGS_MOST]; /* the next sequence to read, from 1 */
};

/* Sets it to the beginning of all rings of the instance `uuid`. */
void position_begin(struct position *position, const char *uuid);
/* Moves it past this record. */
void position_pass(struct position *position, uint32_t ring, uint64_t sequence, uint64_t lost);
/* Puts "uuid" and "next" into an object. */
void position_put(const struct position *position, json_object *object);
/* Reads them. False if they are missing or invalid. */
bool position_get(struct position *position, json_object *object);

/* Of a register or an update that names the rate: enum k2k_rate_period. */
uint32_t event_period(const struct k2k_audit_record *record);
/* Puts all members of the event into the object. */
void event_put(json_object *object, const struct k2k_audit_record *record);
/*
 * Reads ring, sequence and lost from the text of an event: `kind` is where the value of "kind" is
 * in it. False if it is not an event.
 */
bool event_place(const char *kind, size_t kind_size, const char *end, uint32_t *ring,
                 uint64_t *sequence, uint64_t *lost);

#endif
