/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * structs.h (F0) - structs of callers that were compiled with any version of the header.
 *
 * A public struct that begins with `size` may grow, but only at its end. Its size in each version
 * is listed below. So a program that was compiled with an earlier header runs unchanged:
 *
 * 1. The caller sets `size`. It is one of the listed sizes, or larger than all of them: then the
 *    caller was compiled with a later header. Any other size is K2K_EINVAL.
 * 2. The library reads and writes nothing behind the end of the caller's struct. A field that an
 *    earlier struct lacks counts as 0. So 0 in a new field must mean "as before".
 * 3. A later struct has a part that this library does not know. If the struct is a result, the
 *    library sets that part to 0. If it is an argument, that part must be 0: any other value asks
 *    for something that the library would ignore, so it is K2K_EINVAL.
 * 4. In an array, the `size` of the first element is the stride.
 *
 * To add a field: append it in the header, and put the new size in front of the old ones here. The
 * struct must become larger: padding belongs to the earlier version. Structs without `size`
 * (k2k_budget, k2k_usage, k2k_audit_tag, k2k_table_info, ...) never grow: they are parts of others,
 * or elements of arrays without a stride.
 */
#ifndef K2K_STRUCTS_H
#define K2K_STRUCTS_H

#include <stddef.h>

#include "error.h"

/* Sizes in bytes: first that of the current header, then those of earlier ones. */
#define K2K_STRUCTS(X)                           \
	X(k2k_quota, 96, 80, 40)                 \
	X(k2k_verdict, 56)                       \
	X(k2k_lease, 32)                         \
	X(k2k_kernel_info, 144)                  \
	X(k2k_route, 80)                         \
	X(k2k_reservation, 72)                   \
	X(k2k_open_options, 40, 32)              \
	X(k2k_create_options, 72, 64, 56, 48)    \
	X(k2k_registry_plan, 112, 104, 96, 88)   \
	X(k2k_registry_info, 328, 320, 312, 296) \
	X(k2k_finding, 208)                      \
	X(k2k_repair_info, 88, 56)               \
	X(k2k_tenant_info, 256, 240, 136)        \
	X(k2k_shares, 32)                        \
	X(k2k_tenant_totals, 152, 104)           \
	X(k2k_tenant_image, 176, 104)            \
	X(k2k_budget_info, 96, 48)               \
	X(k2k_budget_use, 40)                    \
	X(k2k_broker_info, 104)                  \
	X(k2k_lease_info, 72, 56)                \
	X(k2k_usage_info, 56, 40)                \
	X(k2k_audit_record, 440)                 \
	X(k2k_audit_cursor, 1088, 1072)          \
	X(k2k_audit_follower_info, 152)          \
	X(k2k_audit_stats, 2984, 2968, 1432)

#define K2K_VERSIONS_MOST 8

struct k2k_versions {
	uint32_t sizes[K2K_VERSIONS_MOST + 1]; /* 0 ends the list */
};

#define K2K_DECLARE_VERSIONS(type, ...) extern const struct k2k_versions k2k_versions_of_##type;
K2K_STRUCTS(K2K_DECLARE_VERSIONS)

/* The versions of the struct that a pointer points to; another type does not compile. */
#define K2K_VERSIONS_CASE(type, ...) \
	, struct type * : &k2k_versions_of_##type, const struct type * : &k2k_versions_of_##type
#define K2K_VERSIONS(pointer) _Generic((pointer), char : NULL K2K_STRUCTS(K2K_VERSIONS_CASE))

/* 0, or K2K_EINVAL: null, a size of no version, unknown flags. `name` names the argument. */
int k2k_struct_check(const void *caller, const struct k2k_versions *versions, uint32_t known_flags,
                     const char *name);
/* Checks an argument, and copies it to `mine`, which has the current size; zeros fill the rest. */
int k2k_struct_take(void *mine, const void *caller, const struct k2k_versions *versions,
                    uint32_t known_flags, const char *name);
/*
 * Copies a result of `bytes` bytes to the caller's struct of `size` bytes: as much as fits. Zeros
 * fill the rest of a larger struct.
 */
void k2k_struct_give(void *caller, uint32_t size, const void *mine, size_t bytes);

/* Checks the caller's struct of a result, before the call does anything. */
#define K2K_CHECK_STRUCT(pointer, known_flags) \
	k2k_struct_check((pointer), K2K_VERSIONS(pointer), (known_flags), #pointer)
/* Checks an argument and copies it. The conditional makes the compiler compare the two types. */
#define K2K_TAKE_STRUCT(mine, pointer, known_flags)                                          \
	k2k_struct_take((mine), (1 ? (pointer) : (mine)), K2K_VERSIONS(mine), (known_flags), \
	                #pointer)
/* Copies a result to a struct that was checked; the conditional is as above. */
#define K2K_GIVE_STRUCT(pointer, mine) \
	k2k_struct_give((pointer), (pointer)->size, (1 ? (mine) : (pointer)), sizeof(*(mine)))

/* Checks `count`, and the array for results unless its `capacity` is 0. Below: its stride. */
#define K2K_CHECK_LIST(list, capacity, count, known_flags)      \
	(!(count)     ? k2k_fail_argument("count", "null")      \
	 : (capacity) ? K2K_CHECK_STRUCT((list), (known_flags)) \
	              : 0)
#define K2K_STRIDE(list, capacity) ((capacity) ? (list)->size : 0)

static inline void *k2k_element(void *array, uint32_t stride, size_t index)
{
	return (unsigned char *)array + (size_t)stride * index;
}

/* Copies a result to one element of an array that was checked. */
#define K2K_GIVE_ELEMENT(list, stride, index, mine) \
	k2k_struct_give(k2k_element((list), (stride), (index)), (stride), (mine), sizeof(*(mine)))

#endif
