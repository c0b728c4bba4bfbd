/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* brokers.h - prints brokers, for `brokers` and `top` */
#ifndef K2K_TENANTCTL_BROKERS_H
#define K2K_TENANTCTL_BROKERS_H

#include <json-c/json_object.h>

#include "ctl.h"

const char *broker_state_name(uint32_t state);
void brokers_print(struct ctl *ctl, const struct k2k_broker_info *brokers, size_t count);
json_object *brokers_json(const struct k2k_broker_info *brokers, size_t count);

#endif
