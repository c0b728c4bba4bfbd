/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fleet.h - metrics that k2k-fleetd --metrics has written */
#ifndef K2K_EXPORTER_FLEET_H
#define K2K_EXPORTER_FLEET_H

#include <stddef.h>

/*
 * Appends the file to *text, which is reallocated, or nothing if there is no such file. Returns
 * null, or why a file that is there was left out: one of its lines is none of an agent's, say.
 */
const char *fleet_append(const char *path, char **text, size_t *length);

#endif
