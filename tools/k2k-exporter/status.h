/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the status page shows, as JSON: tools/schema/status.json. */
#ifndef K2K_EXPORTER_STATUS_H
#define K2K_EXPORTER_STATUS_H

#include "common/snapshot.h"

/*
 * code not 0: why the registry can't be read; k2k_error_detail() is still of it. 0 or K2K_ENOMEM;
 * *text is to be freed.
 */
int status_text(const char *registry, int code, const struct snapshot *snapshot, char **text,
                size_t *length);

#endif
