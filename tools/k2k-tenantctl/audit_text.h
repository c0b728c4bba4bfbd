/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a table says about an event, beside its columns. */
#ifndef K2K_TENANTCTL_AUDIT_TEXT_H
#define K2K_TENANTCTL_AUDIT_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include <k2k/registry.h>

#define AUDIT_TEXT 320

/* Returns text. */
const char *audit_text(char text[AUDIT_TEXT], const struct k2k_audit_record *record);
/* "3", "admin", "s3" (security events of broker slot 3), and "3:17": what --since reads. */
const char *audit_ring_name(char text[AUDIT_TEXT], uint32_t ring);
bool audit_ring_parse(const char *text, size_t length, uint32_t *ring);
const char *audit_event_name(char text[AUDIT_TEXT], uint32_t ring, uint64_t sequence);

#endif
