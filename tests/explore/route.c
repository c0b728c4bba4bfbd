/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * route.c - programs of the decision about a message (lib/route.c), beside all that may happen to
 * the names of its sender and its receiver, and to their tenants.
 *
 * The decision is that of one sender and one receiver, as they were at one moment of the call: the
 * answer names the tenant, owner and address of one publication, never of two. What the call counts
 * is one message, one rejection, or one attempt, for the registration that the answer names.
 */
#include "rate.h"

#include "directory.h"

/* The receiver and the third name have one hash; the sender is in another bucket. */
enum { FROM, TO, THIRD, NAMES };
static const char *const texts[NAMES] = { "longer name", "a", "b" };
static struct k2k_kernel_name names[NAMES];

/* Tenants, by their ids. A may be registered twice. */
enum { A = 1, B, C, TENANTS };
#define REGISTRATIONS TENANTS
static struct k2k_registration_of registered[TENANTS], second_of_a;

static struct {
	int code;
	struct k2k_route route;
	struct k2k_verdict verdict;
} sent;

/* ---- the beginning ----------------------------------------------------------------------- */

/* Not published. Its window is of this second, with nothing used of it. */
static struct k2k_registration_of build(k2k_tenant_id id, uint64_t rate)
{
	const struct k2k_limits limits = { .rate = rate };
	struct k2k_registration_of of;
	struct k2k_shm_cell *cell;

	explore_assert(k2k_tenant_build(&world_map, id, &limits, &of.slot, &of.generation) == 0);
	cell = &world_map.cells[of.slot];
	k2k_store_relaxed(&cell->window, k2k_rate_pack_second(WORLD_SECOND, 1));
	k2k_store_relaxed(&cell->ceiling, 0);
	return of;
}

/* Owner, tenant and number are also its tag and its address. */
static struct k2k_kernel_of publication(int broker, k2k_tenant_id id, int number)
{
	uint64_t mark = (uint64_t)broker * 100 + id * 10 + (uint64_t)number;

	return (struct k2k_kernel_of){ .slot = registered[id].slot,
		                       .generation = registered[id].generation,
		                       .tag = { mark, mark },
		                       .address.words = { mark, mark } };
}

static void add(int broker, int name, k2k_tenant_id id, int number)
{
	const struct k2k_kernel_of of = publication(broker, id, number);

	explore_assert(directory_add(broker, &names[name], &of) == 0);
}

static void move(int broker, int name, k2k_tenant_id id)
{
	const struct k2k_kernel_of of = publication(broker, id, 1);

	directory_move(broker, directory_record(&names[name]), &of);
}

/* Broker 0 sends, for tenant A. */
static void begin(uint64_t rate_of_a)
{
	world_begin(&(struct world_sizes){ .tenants = REGISTRATIONS, .slots = 4, .kernels = 2 });
	for (int i = 0; i < EXPLORE_THREADS; i++)
		world_broker(i);
	for (int i = 0; i < NAMES; i++)
		explore_assert(k2k_kernel_name(&world_map, texts[i], &names[i]));
	explore_assert(names[TO].bucket == names[THIRD].bucket &&
	               names[TO].bucket != names[FROM].bucket);
	for (k2k_tenant_id id = A; id < TENANTS; id++) {
		registered[id] = build(id, id == A ? rate_of_a : 1);
		k2k_tenant_publish(&world_map, registered[id].slot);
	}
	sent.code = 0;
	sent.route = (struct k2k_route)K2K_ROUTE_INIT;
	sent.verdict = (struct k2k_verdict)K2K_VERDICT_INIT;
	add(0, FROM, A, 0);
}

static void setup_same(void)
{
	begin(1);
	add(1, TO, A, 0);
}

static void setup_strict(void)
{
	setup_same();
	world_handles[0].defs.header.incompatible |= K2K_FEATURE_STRICT;
}

static void setup_other(void)
{
	begin(1);
	add(1, TO, B, 0);
}

/* Nobody has reported the death. */
static void setup_dead(void)
{
	begin(1);
	add(DIRECTORY_DEAD, TO, B, 0);
}

/* A is about to be registered again. */
static void setup_again(void)
{
	setup_same();
	second_of_a = build(A, 1);
}

/* A may send nothing, and the receiver is not there. */
static void setup_nothing(void)
{
	begin(0);
}

/* ---- the threads ------------------------------------------------------------------------- */

static void send(void)
{
	const struct k2k_audit_tag none = { 0, 0 };

	sent.code = k2k_message_route(world_self(), texts[FROM], texts[TO], none, 1, &sent.route,
	                              &sent.verdict);
}

static void stand_still(void)
{
}

static void move_receiver(void)
{
	move(1, TO, B);
}

/* At no time are both of one tenant. */
static void move_both(void)
{
	move(0, FROM, C);
	move(1, TO, A);
}

static void move_sender(void)
{
	move(0, FROM, B);
}

/* The name goes to another broker, and another tenant. */
static void hand_on(int broker, int name)
{
	directory_drop(broker, &names[name]);
	add(2, name, B, 1);
}

static void hand_on_receiver(void)
{
	hand_on(1, TO);
}

static void hand_on_sender(void)
{
	hand_on(0, FROM);
}

/* Its record becomes that of another name, of another tenant. */
static void use_record(void)
{
	directory_drop(1, &names[TO]);
	add(1, THIRD, B, 1);
}

static void sweep_and_take(void)
{
	const struct k2k_kernel_user user = directory_user(1);

	k2k_kernel_sweep(&user);
	add(1, TO, A, 1);
}

/* If its owner has died. */
static void take_over(void)
{
	const struct k2k_kernel_of of = publication(2, A, 1);
	int code = directory_add(2, &names[TO], &of);

	explore_assert(code == 0 || code == K2K_EEXIST);
}

static void send_beside_dead(void)
{
	bool dead = !explore_is_alive(1);

	send();
	explore_assert(!dead || sent.code != K2K_ECROSSTENANT);
}

/* A is registered again, in another slot, and the receiver's owner adds it again. */
static void register_again(void)
{
	explore_assert(k2k_tenant_retire(&world_map, registered[A].slot, 1) == 0);
	registered[A] = second_of_a;
	k2k_tenant_publish(&world_map, second_of_a.slot);
	move(1, TO, A);
}

/* ---- the end ----------------------------------------------------------------------------- */

static const char *word_of(int code)
{
	switch (code) {
	case 0: return "admitted";
	case K2K_ERATE: return "refused";
	case K2K_ECROSSTENANT: return "crosses";
	case K2K_ESTALE: return "stale";
	case K2K_ENOKERNEL: return "unknown";
	case K2K_ENOTHELD: return "not ours";
	default: return "wrong";
	}
}

static void check_counts(void)
{
	for (uint32_t slot = 0; slot < REGISTRATIONS; slot++) {
		uint64_t word = k2k_load_relaxed(&world_map.tenants[slot].state_gen);
		bool named = sent.route.generation &&
		             k2k_tenant_generation(word) == sent.route.generation;

		explore_assert(k2k_load_relaxed(&world_map.cells[slot].admitted) ==
		               (named && sent.code == 0));
		explore_assert(k2k_load_relaxed(&world_map.cells_cold[slot].rejected_rate) ==
		               (named && sent.code == K2K_ERATE));
	}
	explore_assert(k2k_load_relaxed(&world_map.slots[0].cross_tenant_total) ==
	               (sent.code == K2K_ECROSSTENANT));
}

static void check_sender(void)
{
	const struct k2k_route *route = &sent.route;
	uint64_t mark = route->tag.org_id;

	explore_assert(route->tag.engagement_id == mark);
	if (route->flags & K2K_ROUTE_SOURCE)
		explore_assert(mark / 100 == 0 && route->tenant == mark / 10);
	else
		explore_assert(mark == 0 && route->tenant == K2K_TENANT_UNSPECIFIED);
}

static void check_receiver(void)
{
	const struct k2k_route *route = &sent.route;
	uint64_t mark = route->address.words[0], owner = mark / 100;

	explore_assert(route->address.words[1] == mark);
	if (route->flags & K2K_ROUTE_DESTINATION)
		explore_assert(route->incarnation == world_incarnation((int)owner) &&
		               route->broker == owner && route->to_tenant == mark / 10 % 10);
	else
		explore_assert(mark == 0 && route->to_tenant == route->tenant);
	explore_assert((sent.code == K2K_ECROSSTENANT) == (route->to_tenant != route->tenant));
}

static void check(void)
{
	char to[] = { (char)('0' + sent.route.to_tenant), '\0' };

	explore_assert(sent.verdict.code == sent.code);
	check_counts();
	if (sent.code == K2K_ESTALE || sent.code == K2K_ENOKERNEL || sent.code == K2K_ENOTHELD) {
		explore_outcome("%s", word_of(sent.code));
		return;
	}
	check_sender();
	check_receiver();
	explore_outcome("%s %u>%s", word_of(sent.code), (unsigned int)sent.route.tenant,
	                sent.route.flags & K2K_ROUTE_DESTINATION ? to : "-");
}

/* ---- the receiver ------------------------------------------------------------------------ */

PROGRAM(route_receiver_moves, .what = "a message beside a move of its receiver to another tenant",
        .setup = setup_same, .threads = { send, move_receiver }, .check = check,
        .outcomes = { "admitted 1>1", "crosses 1>2" })
PROGRAM(route_receiver_handed_on, .what = "the same if another broker has the receiver's name next",
        .setup = setup_same, .threads = { send, hand_on_receiver, stand_still }, .check = check,
        .outcomes = { "admitted 1>1", "admitted 1>-", "crosses 1>2" })
PROGRAM(route_receiver_reused, .what = "the same if its record becomes that of another name",
        .setup = setup_same, .threads = { send, use_record }, .check = check,
        .outcomes = { "admitted 1>1", "admitted 1>-" })
PROGRAM(route_both_move, .what = "two that are never of one tenant are found so at no moment",
        .setup = setup_other, .threads = { send, move_both }, .check = check,
        .outcomes = { "crosses 1>2", "crosses 3>2", "crosses 3>1" })
PROGRAM(route_receiver_swept, .what = "a message beside a sweep and an heir of its dead receiver",
        .setup = setup_dead, .threads = { send, sweep_and_take }, .check = check,
        .outcomes = { "admitted 1>-", "admitted 1>1" })
PROGRAM(route_receiver_dies, .what = "the same for one that dies meanwhile", .setup = setup_other,
        .threads = { send_beside_dead, stand_still, take_over }, .mortal = 2, .deaths = 1,
        .check = check, .outcomes = { "admitted 1>-", "admitted 1>1", "crosses 1>2" })

/* ---- the sender -------------------------------------------------------------------------- */

PROGRAM(route_sender_moves, .what = "what is refused, or admitted, counts for one tenant",
        .setup = setup_nothing, .threads = { send, move_sender }, .check = check,
        .outcomes = { "refused 1>-", "admitted 2>-" })
PROGRAM(route_sender_handed_on,
        .what = "a message beside the removal of its sender, whose name goes to another broker",
        .setup = setup_same, .threads = { send, hand_on_sender, stand_still }, .check = check,
        .outcomes = { "admitted 1>1", "crosses 0>1", "not ours" })
PROGRAM(route_sender_strict, .what = "the same in a strict registry", .setup = setup_strict,
        .threads = { send, hand_on_sender, stand_still }, .check = check,
        .outcomes = { "admitted 1>1", "unknown", "not ours" })
PROGRAM(route_registered_again, .what = "nothing is counted for the next registration of a tenant",
        .setup = setup_again, .threads = { send, register_again }, .check = check,
        .outcomes = { "admitted 1>1", "stale" })
