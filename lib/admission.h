/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * admission.h (F7) - admits messages of a registration that the caller has found by itself.
 */
#ifndef K2K_ADMISSION_H
#define K2K_ADMISSION_H

#include "handle.h"
#include "tenant.h"

/*
 * As k2k_message_admit(), for this registration and no later one of the same id; also K2K_ESTALE:
 * it is over, and nothing was counted.
 */
int k2k_admit_registration(struct k2k_registry *reg, const struct k2k_registration_of *of,
                           struct k2k_audit_tag tag, uint64_t n, struct k2k_verdict *verdict);

#endif
