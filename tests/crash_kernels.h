/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * crash_kernels.h - operations on the directory of kernels, for the crash tests
 */
#ifndef K2K_TESTS_CRASH_KERNELS_H
#define K2K_TESTS_CRASH_KERNELS_H

#include "crash_scene.h"

#define VICTIMS_KERNEL "the victim's"

static int run_add(struct victim *v)
{
	return k2k_kernel_add(v->reg, VICTIMS_KERNEL, SUBJECT, tag_of(ENGAGEMENT), NULL, NULL);
}

static int run_move(struct victim *v)
{
	return k2k_kernel_add(v->reg, VICTIMS_KERNEL, BYSTANDERS, tag_of(ENGAGEMENT), NULL, NULL);
}

static int run_remove(struct victim *v)
{
	return k2k_kernel_remove(v->reg, VICTIMS_KERNEL);
}

static int run_route(struct victim *v)
{
	struct k2k_route route = K2K_ROUTE_INIT;

	return k2k_message_route(v->reg, VICTIMS_KERNEL, VICTIMS_KERNEL, no_tag, 3, &route, NULL);
}

static int run_route_across(struct victim *v)
{
	struct k2k_route route = K2K_ROUTE_INIT;

	return k2k_message_route(v->reg, "nobody's", VICTIMS_KERNEL, no_tag, 3, &route, NULL);
}

static void have_kernel(struct victim *v)
{
	assert_int_equal(run_add(v), 0);
}

static void have_others_kernel(struct k2k_registry *broker)
{
	assert_int_equal(k2k_kernel_add(broker, VICTIMS_KERNEL, BYSTANDERS, no_tag, NULL, NULL), 0);
}

/* Brokers that have died have all names that there is room for. */
static void fill_with_kernels(struct scene *scene, const char *first)
{
	pid_t pid = spawn();

	if (pid == 0) {
		struct k2k_registry *reg = open_with_clock(scene, K2K_ROLE_BROKER);
		char name[16];

		assert_int_equal(k2k_kernel_add(reg, first, BYSTANDERS, no_tag, NULL, NULL), 0);
		for (int i = 1; i < KERNELS - 1; i++) { /* the bystander has one */
			snprintf(name, sizeof(name), "%d", i);
			assert_int_equal(k2k_kernel_add(reg, name, BYSTANDERS, no_tag, NULL, NULL),
			                 0);
		}
		gate_open(&scene->ready);
		for (;;)
			pause();
	}
	gate_expect(&scene->ready, "a broker has many kernels");
	kill_broker(scene->admin, pid);
}

static void leave_dead_kernel(struct scene *scene)
{
	fill_with_kernels(scene, VICTIMS_KERNEL);
}

static void leave_no_room(struct scene *scene)
{
	fill_with_kernels(scene, "0");
}

#endif
