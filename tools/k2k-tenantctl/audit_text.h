/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* audit_text.h - events and their rings as text */
#ifndef K2K_TENANTCTL_AUDIT_TEXT_H
#define K2K_TENANTCTL_AUDIT_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include <k2k/registry.h>

#define AUDIT_TEXT 320

/* What the column WHAT says about an event. Returns text. */
const char *audit_text(char text[AUDIT_TEXT], const struct k2k_audit_record *record);
/* "3", "admin" or "s3" (security events of broker slot 3), as --since reads them. */
const char *audit_ring_name(char text[AUDIT_TEXT], uint32_t ring);
bool audit_ring_parse(const char *text, size_t length, uint32_t *ring);
/* "3:17" */
const char *audit_event_name(char text[AUDIT_TEXT], uint32_t ring, uint64_t sequence);

#endif
