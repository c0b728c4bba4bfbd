/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "directory.h"

#define TRY_NS UINT64_C(1000)

struct k2k_kernel_user directory_user(int broker)
{
	struct k2k_registry *reg = &world_handles[broker];

	return (struct k2k_kernel_user){ .map = &world_map,
		                         .liveness = &reg->liveness,
		                         .broker = &reg->broker,
		                         .full_at = &reg->kernels_full_at };
}

int directory_add(int broker, const struct k2k_kernel_name *name, const struct k2k_kernel_of *of)
{
	const struct k2k_kernel_user user = directory_user(broker);
	struct k2k_kernel_copy copy;
	uint64_t other;
	int code;

	for (;;) {
		code = k2k_kernel_reserve(&user, name, &copy, &other);
		if (code == K2K_KERNEL_AGAIN)
			k2k_clock_sleep_ns(TRY_NS);
		else if (code != K2K_EFULL || k2k_kernel_sweep(&user) == 0)
			break;
	}
	if (code == 0)
		k2k_kernel_publish(&user, copy.index, of);
	return code;
}

uint32_t directory_record(const struct k2k_kernel_name *name)
{
	struct k2k_kernel_copy copy = { .index = 0 };

	explore_assert(k2k_kernel_look(&world_map, name, &copy) == 0);
	return copy.index;
}

void directory_move(int broker, uint32_t index, const struct k2k_kernel_of *of)
{
	const struct k2k_kernel_user user = directory_user(broker);

	k2k_kernel_publish(&user, index, of);
}

void directory_drop(int broker, const struct k2k_kernel_name *name)
{
	const struct k2k_kernel_user user = directory_user(broker);
	uint32_t index = directory_record(name);

	k2k_kernel_drop(&user, name, index, k2k_kernel_park(&user, index));
}
