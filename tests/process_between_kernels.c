/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_between_kernels.c - like process_between.c: a name is looked up, or a message decided,
 * while kernels move, end and come back, and while their tenant is registered again.
 */
#include "between.h"

#include "kernel.h"
#include "tenant.h"

enum { ONE = 1, TWO = 2, ROOM = 16, CHURN = 3 * ROOM };
/* As many as a test retires; see begin_sized(). */
enum { FEW = 4, MANY = 4096 };

/* The mark of each state of a kernel: its tag and its address say the same. */
static struct k2k_kernel_of marked(uint64_t mark)
{
	return (struct k2k_kernel_of){ .tag = { mark, mark }, .address = { { mark, mark } } };
}

static int add(struct k2k_registry *reg, const char *kernel, k2k_tenant_id id, uint64_t mark)
{
	const struct k2k_kernel_of of = marked(mark);

	return k2k_kernel_add(reg, kernel, id, of.tag, &of.address, NULL);
}

static void begin_with_two(uint64_t tenants)
{
	begin_sized(tenants, 4, true);
	register_tenant(admin, ONE, K2K_UNLIMITED, 1000);
	register_tenant(admin, TWO, K2K_UNLIMITED, 1000);
}

/* ---- look-ups ---- */

static struct k2k_kernel_info *found; /* shared */

static void find_a(struct k2k_registry *reg, struct shared *answer)
{
	*found = (struct k2k_kernel_info)K2K_KERNEL_INFO_INIT;
	answer->code = k2k_kernel_find(reg, "a", found);
}

static void begin_to_find(void)
{
	begin_with_two(FEW);
	found = shared_bytes(sizeof *found);
	assert_int_equal(add(other, "a", ONE, 1), 0);
}

/* Odd marks are of the one tenant, even ones of the other. */
static void is_of_one_state(uint64_t n)
{
	uint64_t mark = found->tag.org_id;

	if (found->tag.engagement_id != mark || found->address.words[0] != mark ||
	    found->address.words[1] != mark || found->id != (mark % 2 ? ONE : TWO) ||
	    strcmp(found->name, "a") != 0)
		fail_msg("after %" PRIu64 " instructions: a kernel of tenant %" PRIu64
		         ", with %" PRIu64 "/%" PRIu64 " and %" PRIu64 "/%" PRIu64,
		         n, found->id, mark, found->tag.engagement_id, found->address.words[0],
		         found->address.words[1]);
}

/* Writes both sets. */
static void move_twice(struct k2k_registry *by, uint64_t n)
{
	(void)by;
	assert_int_equal(add(other, "a", TWO, 4 * n), 0);
	assert_int_equal(add(other, "a", ONE, 4 * n + 1), 0);
}

static void is_found_in_one_state(uint64_t n)
{
	if (shared->code)
		fail_msg("after %" PRIu64 " instructions: %s", n, k2k_errname(shared->code));
	is_of_one_state(n);
}

TEST(a_kernel_that_moves_twice_is_found_as_it_was_at_one_moment)
{
	begin_to_find();
	interrupt(&(struct scene){ K2K_ROLE_OBSERVER, find_a, NULL, move_twice,
	                           is_found_in_one_state });
}

static int looked;

/* The victim moves its own. */
static void move_own(struct k2k_registry *reg, struct shared *answer)
{
	static uint64_t mark;

	mark++;
	answer->code = add(reg, "a", mark % 2 ? ONE : TWO, mark);
}

static void look_at_a(struct k2k_registry *by, uint64_t n)
{
	(void)n;
	*found = (struct k2k_kernel_info)K2K_KERNEL_INFO_INIT;
	looked = k2k_kernel_find(by, "a", found);
}

static void was_found_in_one_state(uint64_t n)
{
	assert_int_equal(shared->code, 0);
	if (looked)
		fail_msg("after %" PRIu64 " instructions: %s", n, k2k_errname(looked));
	is_of_one_state(n);
}

TEST(a_kernel_is_found_in_one_state_wherever_its_move_stands)
{
	begin_with_two(FEW);
	found = shared_bytes(sizeof *found);
	interrupt_every = 6; /* fewer than write a set */
	interrupt(&(struct scene){ K2K_ROLE_BROKER, move_own, NULL, look_at_a,
	                           was_found_in_one_state });
}

static void only_a(struct k2k_registry *by, uint64_t n)
{
	(void)by;
	k2k_kernel_remove(other, "b");
	assert_int_equal(add(other, "a", ONE, 4 * n + 3), 0);
}

/*
 * The name ends, and its record is used again for others, more often than there are records: one
 * that is stopped in the middle of a look-up holds up none of them.
 */
static void use_the_record_again(struct k2k_registry *by, uint64_t n)
{
	char distinct[32];

	(void)by;
	assert_int_equal(k2k_kernel_remove(other, "a"), 0);
	for (int i = 0; i < CHURN; i++) {
		snprintf(distinct, sizeof distinct, "%" PRIu64 ".%d", n, i);
		assert_int_equal(add(other, distinct, TWO, 2), 0);
		assert_int_equal(k2k_kernel_remove(other, distinct), 0);
	}
	assert_int_equal(add(other, "b", TWO, 2), 0);
}

static void is_found_or_not(uint64_t n)
{
	if (shared->code == 0)
		is_of_one_state(n);
	else if (shared->code != K2K_ENOKERNEL)
		fail_msg("after %" PRIu64 " instructions: %s", n, k2k_errname(shared->code));
}

TEST(a_kernel_whose_record_is_used_again_is_found_as_it_was_or_not_at_all)
{
	begin_to_find();
	interrupt(&(struct scene){ K2K_ROLE_OBSERVER, find_a, only_a, use_the_record_again,
	                           is_found_or_not });
}

/* ---- messages ---- */

static struct k2k_route *route; /* shared */

/* The victim has no helpers: one that wakes up would meet its breakpoints. */
static bool alone;

/* The victim has "from", this process has "to". */
static void send_one(struct k2k_registry *reg, struct shared *answer)
{
	static bool have;

	if (!have && alone)
		k2k_helper_stop(&reg->helper);
	if (!have)
		assert_int_equal(add(reg, "from", ONE, 1), 0);
	have = true;
	*route = (struct k2k_route)K2K_ROUTE_INIT;
	answer->code = k2k_message_route(reg, "from", "to", (struct k2k_audit_tag){ 0, 0 }, 1,
	                                 route, NULL);
}

/* Moves the victim's kernel by the stores that another thread of it would make. */
static void move_from(k2k_tenant_id id)
{
	const struct k2k_kernel_user user = { &other->map, &other->liveness, &other->broker,
		                              &other->kernels_full_at };
	struct k2k_kernel_of of = marked(id);
	struct k2k_kernel_name text;
	struct k2k_kernel_copy copy;
	uint64_t state_gen;

	assert_int_equal(k2k_tenant_find(&other->map, id, &of.slot, &state_gen), 0);
	of.generation = k2k_tenant_generation(state_gen);
	assert_true(k2k_kernel_name(&other->map, "from", &text));
	assert_int_equal(k2k_kernel_look(&other->map, &text, &copy), 0);
	k2k_kernel_publish(&user, copy.index, &of);
}

static void begin_to_send(uint64_t tenants)
{
	begin_with_two(tenants);
	route = shared_bytes(sizeof *route);
	assert_int_equal(add(other, "to", ONE, 1), 0);
}

static void both_of_one(struct k2k_registry *by, uint64_t n)
{
	(void)by;
	(void)n;
	move_from(ONE);
	assert_int_equal(add(other, "to", ONE, 1), 0);
}

static void both_of_two(struct k2k_registry *by, uint64_t n)
{
	(void)by;
	(void)n;
	assert_int_equal(add(other, "to", TWO, 2), 0);
	move_from(TWO);
}

static void stays_within_its_tenant(uint64_t n)
{
	if (shared->code)
		fail_msg("after %" PRIu64 " instructions: %s from %" PRIu64 " to %" PRIu64
		         ", but they moved together",
		         n, k2k_errname(shared->code), route->tenant, route->to_tenant);
	assert_int_equal(route->tenant, route->to_tenant);
	assert_int_equal(route->address.words[0], route->tenant);
	assert_int_equal(route->tag.org_id, route->tenant);
}

TEST(two_kernels_that_move_together_are_never_found_in_two_tenants)
{
	begin_to_send(FEW);
	interrupt(&(struct scene){ K2K_ROLE_BROKER, send_one, both_of_one, both_of_two,
	                           stays_within_its_tenant });
}

static void from_one_to_two(struct k2k_registry *by, uint64_t n)
{
	(void)by;
	(void)n;
	move_from(ONE);
	assert_int_equal(add(other, "to", TWO, 2), 0);
}

static void from_two_to_one(struct k2k_registry *by, uint64_t n)
{
	(void)by;
	(void)n;
	move_from(TWO);
	assert_int_equal(add(other, "to", ONE, 1), 0);
}

static void is_refused(uint64_t n)
{
	if (shared->code != K2K_ECROSSTENANT)
		fail_msg("after %" PRIu64 " instructions: %s, but they were never of one tenant", n,
		         shared->code ? k2k_errname(shared->code) : "admitted");
	assert_int_not_equal(route->tenant, route->to_tenant);
}

TEST(two_kernels_that_change_places_are_never_found_in_one_tenant)
{
	begin_to_send(FEW);
	alone = k2k_agent_in_caller = true;
	/* each refusal is an event, no two of which are written alike: all of a call is stepped */
	interrupt_every = 48;
	interrupt(&(struct scene){ K2K_ROLE_BROKER, send_one, from_one_to_two, from_two_to_one,
	                           is_refused });
	assert_int_equal(shared->code, K2K_ECROSSTENANT);
}

/* Nobody may use up what the next registration of the id has. */
static void register_again(struct k2k_registry *by, uint64_t n)
{
	(void)n;
	assert_int_equal(k2k_tenant_deregister(by, ONE, NULL), 0);
	register_tenant(by, ONE, 1, 1000);
}

static void is_charged_to_the_earlier_one(uint64_t n)
{
	if (shared->code != 0 && shared->code != K2K_ESTALE)
		fail_msg("after %" PRIu64 " instructions: %s", n, k2k_errname(shared->code));
	if (tenant_info(admin, ONE).admitted_total != 0)
		fail_msg("after %" PRIu64
		         " instructions: the next registration of the tenant was charged",
		         n);
}

TEST(a_message_is_never_charged_to_the_next_registration_of_its_tenant)
{
	begin_to_send(MANY);
	interrupt_every = 4;
	interrupt(&(struct scene){ K2K_ROLE_BROKER, send_one, both_of_one, register_again,
	                           is_charged_to_the_earlier_one });
}
