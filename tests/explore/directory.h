/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * directory.h - changes of the directory of kernels (lib/kernel.h), as lib/kernel_calls.c makes
 * them, but without the slots of a tenant. A broker is named by the number of its thread.
 */
#ifndef K2K_EXPLORE_DIRECTORY_H
#define K2K_EXPLORE_DIRECTORY_H

#include "kernel.h"
#include "world.h"

#define DIRECTORY_DEAD 3 /* no thread has this number */

struct k2k_kernel_user directory_user(int broker);
/* Waits while another broker is in the way. 0, K2K_KERNEL_OURS, K2K_EEXIST, K2K_EFULL. */
int directory_add(int broker, const struct k2k_kernel_name *name, const struct k2k_kernel_of *of);
/* Of a name that is there: its record. */
uint32_t directory_record(const struct k2k_kernel_name *name);
/* A record of the broker's has another tenant, tag and address. */
void directory_move(int broker, uint32_t index, const struct k2k_kernel_of *of);
/* The broker gives back a name of its own. */
void directory_drop(int broker, const struct k2k_kernel_name *name);

#endif
