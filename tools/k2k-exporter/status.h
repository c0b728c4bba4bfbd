/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* status.h - what the status page shows, as JSON: tools/schema/status.json */
#ifndef K2K_EXPORTER_STATUS_H
#define K2K_EXPORTER_STATUS_H

#include "common/snapshot.h"

/*
 * `code`: 0, or why the registry can't be read; then k2k_error_detail() must still be of that call.
 * Returns 0 or K2K_ENOMEM; *text is to be freed.
 */
int status_text(const char *registry, int code, const struct snapshot *snapshot, char **text,
                size_t *length);

#endif
