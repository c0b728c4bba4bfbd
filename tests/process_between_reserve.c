/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_between_reserve.c - a reserve, a commit or an admission is interrupted after each of its
 * instructions, while another broker reserves or commits: what is booked and reserved never exceeds
 * the budget, and what is free is never refused. x86-64 only, as crash_trace.h.
 */
#include "interrupt.h"

#include "ledger.h"

enum { TENANT = 1, ENGAGEMENT = 5 };

static const struct k2k_audit_tag tag = { 0, ENGAGEMENT };
static struct k2k_registry *admin, *b, *c;
static struct k2k_reservation of_b;
static int code_of_b, code_of_c;

static struct k2k_registry *open_broker(void)
{
	struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);

	reg->clock.injected_ns = &shared->clock_ns;
	return reg;
}

static void begin(uint64_t budget_ns)
{
	shared = shared_bytes(sizeof *shared);
	shared->clock_ns = UINT64_C(1000000000000);
	name = small_registry(1, &admin);
	admin->clock.injected_ns = &shared->clock_ns;
	register_tenant(admin, TENANT, K2K_UNLIMITED, 1);
	assert_int_equal(k2k_budget_set(admin, TENANT, ENGAGEMENT, budget_ns), 0);
	b = open_broker();
	c = open_broker();
}

static void end(void)
{
	assert_int_equal(k2k_registry_close(&b), 0);
	assert_int_equal(k2k_registry_close(&c), 0);
	WAIT_UNTIL(brokers_alive(admin) == 0, PATIENCE_S);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

static k2k_u64 *cost(void)
{
	struct k2k_hash_key key = { admin->map.defs->generation, ENGAGEMENT, 0 };
	uint32_t index = 0;

	assert_int_equal(k2k_ledger_find(&admin->map, &key, &index), 0);
	return &admin->map.ledger[index].cost_ns;
}

static uint64_t reserved(void)
{
	uint64_t ns;

	assert_int_equal(k2k_usage_reserved(admin, TENANT, tag, &ns), 0);
	return ns;
}

static int reserve(struct k2k_registry *reg, uint64_t ns, struct k2k_reservation *reservation)
{
	*reservation = (struct k2k_reservation)K2K_RESERVATION_INIT;
	return k2k_usage_reserve(reg, TENANT, tag, ns, reservation, NULL);
}

/* The budget as it was registered: nothing is used, and B has nothing. */
static void begin_anew(struct k2k_registry *by, uint64_t n)
{
	(void)by;
	(void)n;
	if (of_b.reserved_ns)
		assert_int_equal(k2k_usage_cancel(b, &of_b), 0);
	*cost() = 0;
}

/* ---- a commit is interrupted ---- */

enum { FOUR = 4, THREE = 3, TWO = 2 };

static void use(struct k2k_registry *reg, struct shared *answer, uint64_t ns)
{
	struct k2k_reservation mine;

	answer->code = reserve(reg, ns, &mine);
	if (answer->code == 0)
		assert_int_equal(k2k_usage_commit(reg, &mine, ns), 0);
}

static void use_three(struct k2k_registry *reg, struct shared *answer)
{
	use(reg, answer, THREE);
}

static void use_two(struct k2k_registry *reg, struct shared *answer)
{
	use(reg, answer, TWO);
}

static void b_reserves_two(struct k2k_registry *by, uint64_t n)
{
	(void)by;
	(void)n;
	code_of_b = reserve(b, TWO, &of_b);
}

static void within_four(uint64_t n)
{
	if (*cost() + reserved() > FOUR || (shared->code == 0 && code_of_b == 0))
		fail_msg("after %" PRIu64 " instructions: %s and %s; %" PRIu64
		         " ns are booked, %" PRIu64 " reserved, of %d",
		         n, k2k_errname(shared->code), k2k_errname(code_of_b), *cost(), reserved(),
		         FOUR);
}

TEST(what_is_booked_and_reserved_stays_within_the_budget_during_a_commit)
{
	begin(FOUR);
	interrupt_everywhere(admin, &(struct scene){ K2K_ROLE_BROKER, use_three, begin_anew,
	                                             b_reserves_two, within_four });
	end();
}

static void b_reserves_two_and_c_admits(struct k2k_registry *by, uint64_t n)
{
	b_reserves_two(by, n);
	code_of_c = k2k_message_admit(c, TENANT, tag, 1, NULL);
	if (code_of_b == 0)
		assert_int_equal(k2k_usage_cancel(b, &of_b), 0);
}

static void no_refusal(uint64_t n)
{
	if ((code_of_b && code_of_b != K2K_EBUSY) ||
	    (code_of_c && code_of_c != K2K_EBUDGET && code_of_c != K2K_EBUSY))
		fail_msg("after %" PRIu64 " instructions: reserve: %s, admit: %s", n,
		         k2k_errname(code_of_b), k2k_errname(code_of_c));
}

/* Two of four are used, and B asks for the other two; C sees that B has them, or not. */
TEST(what_a_commit_books_is_not_counted_twice)
{
	begin(FOUR);
	interrupt_everywhere(admin, &(struct scene){ K2K_ROLE_BROKER, use_two, begin_anew,
	                                             b_reserves_two_and_c_admits, no_refusal });
	end();
}

static void c_admits(struct k2k_registry *by, uint64_t n)
{
	(void)by;
	(void)n;
	code_of_c = k2k_message_admit(c, TENANT, tag, 1, NULL);
}

static void admitted(uint64_t n)
{
	if (code_of_c && code_of_c != K2K_EBUSY)
		fail_msg("after %" PRIu64 " instructions: %s, but half of it is free all the time",
		         n, k2k_errname(code_of_c));
}

TEST(an_admission_is_not_refused_for_what_a_commit_counts_twice)
{
	begin(FOUR);
	interrupt_everywhere(
		admin, &(struct scene){ K2K_ROLE_BROKER, use_two, begin_anew, c_admits, admitted });
	end();
}

/* ---- who looks is interrupted, and B commits meanwhile ---- */

static void b_has_three(struct k2k_registry *by, uint64_t n)
{
	begin_anew(by, n);
	assert_int_equal(reserve(b, THREE, &of_b), 0);
}

static void b_has_two(struct k2k_registry *by, uint64_t n)
{
	begin_anew(by, n);
	assert_int_equal(reserve(b, TWO, &of_b), 0);
}

static void b_commits(struct k2k_registry *by, uint64_t n)
{
	uint64_t ns = of_b.reserved_ns;

	(void)by;
	(void)n;
	assert_int_equal(k2k_usage_commit(b, &of_b, ns), 0);
}

static void ask_for(struct k2k_registry *reg, struct shared *answer, uint64_t ns, bool exact)
{
	struct k2k_reservation mine = K2K_RESERVATION_INIT;

	answer->verdict = (struct k2k_verdict)K2K_VERDICT_INIT;
	answer->code = k2k_usage_reserve(reg, TENANT, tag, ns, &mine,
	                                 exact ? &answer->verdict : NULL);
	if (answer->code == 0)
		assert_int_equal(k2k_usage_cancel(reg, &mine), 0);
}

static void ask_for_two(struct k2k_registry *reg, struct shared *answer)
{
	ask_for(reg, answer, TWO, false);
}

static void ask_for_two_exactly(struct k2k_registry *reg, struct shared *answer)
{
	ask_for(reg, answer, TWO, true);
}

static void refused(uint64_t n)
{
	if (shared->code != K2K_EBUDGET)
		fail_msg("after %" PRIu64 " instructions: %s, but three of four are used all the "
		         "time",
		         n, k2k_errname(shared->code));
}

TEST(what_is_booked_while_a_request_looks_is_counted)
{
	/* a refusal has thousands of instructions, which are stepped through for each anew */
	interrupt_every = 11;
	begin(FOUR);
	interrupt_everywhere(admin, &(struct scene){ K2K_ROLE_BROKER, ask_for_two, b_has_three,
	                                             b_commits, refused });
	interrupt_everywhere(admin, &(struct scene){ K2K_ROLE_BROKER, ask_for_two_exactly,
	                                             b_has_three, b_commits, refused });
	end();
}

static void granted(uint64_t n)
{
	if (shared->code != 0)
		fail_msg("after %" PRIu64 " instructions: %s, but half of it is free all the time",
		         n, k2k_errname(shared->code));
}

TEST(what_is_booked_while_a_request_looks_is_counted_once)
{
	begin(FOUR);
	interrupt_everywhere(admin, &(struct scene){ K2K_ROLE_BROKER, ask_for_two, b_has_two,
	                                             b_commits, granted });
	interrupt_everywhere(admin, &(struct scene){ K2K_ROLE_BROKER, ask_for_two_exactly,
	                                             b_has_two, b_commits, granted });
	end();
}

static void admit(struct k2k_registry *reg, struct shared *answer)
{
	answer->code = k2k_message_admit(reg, TENANT, tag, 1, NULL);
}

TEST(an_admission_is_not_refused_for_what_is_booked_while_it_looks)
{
	begin(FOUR);
	interrupt_everywhere(
		admin, &(struct scene){ K2K_ROLE_BROKER, admit, b_has_two, b_commits, granted });
	end();
}
