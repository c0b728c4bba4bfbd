# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests the limits: periods, bursts, shadow, thresholds, suspension, names, budgets that renew, corrections, reservations, clocks."""
import unittest

import k2k_registry
from fixture import RegistryTest, fresh_name
from k2k_registry import (AuditTag, BudgetUse, Error, RatePeriod, RatePolicy, Rejected, Renewal, Role, SimulatedClock, TenantQuota,
                          TenantRegistry, destroy)

S = 10**9
HOUR, DAY = 3600 * S, 86400 * S
TAG = AuditTag(1, 7)
RATE = -5004


class Failing:
    def failing(self, name, function, *arguments, **named):
        with self.assertRaises(Error) as raised:
            function(*arguments, **named)
        self.assertEqual(raised.exception.name, name)
        return raised.exception


class Limits(Failing, RegistryTest):
    def test_a_rate_has_a_period_and_a_burst(self):
        self.admin.register(1, TenantQuota(30, rate_period=RatePeriod.MINUTE))
        self.admin.register(2, TenantQuota(5, rate_period=RatePeriod.HOUR, burst=20))
        window, bucket = self.admin.get(1), self.admin.get(2)
        self.assertEqual((window.max_messages_per_sec, RatePeriod(window.rate_period), RatePolicy(window.rate_policy), window.burst),
                         (30, RatePeriod.MINUTE, RatePolicy.WINDOW, 0))
        self.assertEqual((bucket.max_messages_per_sec, RatePeriod(bucket.rate_period), RatePolicy(bucket.rate_policy), bucket.burst),
                         (5, RatePeriod.HOUR, RatePolicy.BUCKET, 20))
        self.broker.admit(1, messages=30)
        self.failing("K2K_ERATE", self.broker.admit, 1)
        self.broker.admit(2, messages=20)
        self.assertGreater(self.failing("K2K_ERATE", self.broker.admit, 2).verdict.retry_after_ns, 60 * S)

    def test_an_update_of_a_rate_names_all_of_it(self):
        self.admin.register(1, TenantQuota(30, rate_period=RatePeriod.MINUTE, name="vision-team"))
        self.assertRaises(TypeError, self.admin.update, 1, burst=5)
        self.assertRaises(TypeError, self.admin.update, 1, rate_period=RatePeriod.DAY)
        self.assertRaises(TypeError, self.admin.update, 1, renewals={7: Renewal.DAY})
        self.assertEqual(self.admin.get(1).rate_period, RatePeriod.MINUTE)
        self.admin.update(1, max_messages_per_sec=7, rate_period=RatePeriod.DAY, burst=5, shadow=True)
        info = self.admin.get(1)
        self.assertEqual((info.max_messages_per_sec, info.rate_period, info.burst, info.shadow, info.name),
                         (7, RatePeriod.DAY, 5, 1, "vision-team"))
        self.admin.update(1, max_messages_per_sec=7)
        info = self.admin.get(1)
        self.assertEqual((info.rate_period, info.rate_policy, info.burst), (RatePeriod.SECOND, RatePolicy.WINDOW, 0))

    def test_a_share_is_in_force_while_shares_hold(self):
        self.admin.register(1, TenantQuota(5, rate_alone=2))
        self.assertEqual((self.admin.get(1).rate_shared, self.admin.get(1).rate_alone, self.admin.get(1).rate_holds), (1, 2, 0))
        self.admin.hold_shares(3, 0)
        self.admin.hold_shares(3, self.admin.shares().now_ns + 3600 * S)
        self.assertEqual((self.broker.shares().epoch, self.broker.get(1).rate_holds, self.broker.check_quota(1).limit), (3, 1, 5))
        self.failing("K2K_ESTALE", self.admin.hold_shares, 2, 0)
        self.assertRaises(TypeError, self.admin.update, 1, rate_alone=5)
        self.admin.update(1, max_messages_per_sec=7)
        self.assertEqual(self.admin.get(1).rate_shared, 0)

    def test_shadow_passes_and_says_what_it_would_have_been(self):
        self.admin.register(1, TenantQuota(2, rate_period=RatePeriod.HOUR, shadow=True))
        self.assertEqual([self.broker.admit(1).shadow_code for _ in range(4)], [0, 0, RATE, RATE])
        self.assertEqual(Error(RATE).name, "K2K_ERATE")
        info = self.admin.get(1)
        self.assertEqual((info.shadow_rejected_total.rate, info.rejected_total.rate, info.admitted_total), (2, 0, 2))
        self.admin.update(1, shadow=False)
        self.assertRaises(Rejected, self.broker.admit, 1)

    def test_thresholds_are_reached_and_removed(self):
        self.assertRaises(ValueError, self.admin.register, 1, TenantQuota(alerts=(1, 2, 3, 4, 5)))
        self.failing("K2K_EINVAL", self.admin.register, 1, TenantQuota(alerts=(80, 50)))
        self.admin.register(1, TenantQuota(10, rate_period=RatePeriod.DAY, budgets={7: 100}, alerts=(50, 80)))
        self.broker.admit(1, TAG, 5)
        self.broker.track_usage(1, TAG, 80)
        self.assertEqual((tuple(self.admin.get(1).alerts), self.admin.get(1).alerted_rate), ((50, 80, 0, 0), 50))
        self.assertEqual([budget.alerted for budget in self.admin.budgets(1)], [80])
        self.admin.update(1, shadow=True)
        self.assertEqual(tuple(self.admin.get(1).alerts), (50, 80, 0, 0))
        self.admin.update(1, alerts=())
        self.assertEqual(tuple(self.admin.get(1).alerts), (0, 0, 0, 0))

    def test_a_suspended_tenant_is_refused_until_it_is_resumed(self):
        self.admin.register(1)
        lease = self.broker.acquire_kernel_slot(1)
        self.admin.suspend(1)
        with self.assertRaises(Rejected) as raised:
            self.broker.admit(1)
        self.assertEqual((raised.exception.name, str(raised.exception)), ("K2K_ESUSPENDED", "the tenant is suspended"))
        self.assertRaises(Rejected, self.broker.acquire_kernel_slot, 1)
        self.broker.track_usage(1, TAG, 5)
        self.assertEqual((self.admin.get(1).suspended, self.admin.get(1).suspended_rejected_total), (1, 2))
        self.failing("K2K_EBUSY", self.admin.drain, 1, 0)
        lease.release()
        self.admin.drain(1)
        self.admin.resume(1)
        self.broker.admit(1)

    def test_a_name_is_of_one_tenant(self):
        self.admin.register(1, TenantQuota(name="träger"))
        self.assertEqual((self.broker.find_name("träger"), self.admin.get(1).name), (1, "träger"))
        self.failing("K2K_EEXIST", self.admin.register, 2, TenantQuota(name="träger"))
        self.admin.update(1, name=None)
        self.assertIsNone(self.broker.find_name("träger"))
        self.failing("K2K_EINVAL", self.broker.find_name, "a\nb")
        self.assertRaises(ValueError, self.broker.find_name, "a\0b")

    def test_corrections_stand_beside_what_was_booked(self):
        self.admin.register(1, TenantQuota(budgets={7: 100}))
        self.broker.track_usage(1, TAG, 90)
        self.admin.correct_usage(1, TAG, -40, "a run that failed", request_id=5)
        self.admin.correct_usage(1, TAG, -40, "a run that failed", request_id=5)
        usage, = self.admin.usage(1)
        self.assertEqual((usage.gpu_ns, usage.corrected_ns, self.admin.budgets(1)[0].used_ns), (90, -40, 50))
        self.failing("K2K_EEXIST", self.admin.correct_usage, 1, TAG, -1, "another", request_id=5)
        self.failing("K2K_EINVAL", self.admin.correct_usage, 1, TAG, -51, "too much")
        self.assertRaises(OverflowError, self.admin.correct_usage, 1, TAG, 1 << 63, "too much")
        self.assertEqual(self.admin.deregister_with_totals(1).corrected_ns, -40)

    def test_a_reservation_is_booked_once_or_not_at_all(self):
        self.admin.register(1, TenantQuota(budgets={7: 100}))
        with self.broker.reserve_usage(1, TAG, 60) as first:
            self.assertEqual((first.reserved_ns, first.verdict.used, self.admin.reserved_usage(1, TAG)), (60, 60, 60))
            self.assertEqual(self.failing("K2K_EBUDGET", self.broker.reserve_usage, 1, TAG, 41).verdict.limit, 100)
            self.assertEqual(first.commit(50), 0)
            self.assertEqual(first.reserved_ns, 0)
        self.failing("K2K_ESTALE", first.commit, 50)
        self.assertRaises(ZeroDivisionError, self.fails_with_a_reservation)
        second = self.broker.reserve_usage(1, TAG, 50)
        self.assertEqual(second.commit(70), 20)
        self.assertEqual((self.admin.reserved_usage(1, TAG), self.admin.get_engagement_cost(TAG)), (0, 120))
        self.assertRaises(OverflowError, self.broker.reserve_usage, 1, TAG, -1)

    def fails_with_a_reservation(self):
        with self.broker.reserve_usage(1, TAG, 50):
            raise ZeroDivisionError

    def test_reservations_end_with_their_tenant_and_their_handle(self):
        self.admin.register(1, TenantQuota(budgets={7: 100}))
        with TenantRegistry.open(self.name, Role.BROKER) as other:
            left = other.reserve_usage(1, TAG, 100)
            self.assertRaises(Rejected, self.broker.admit, 1, TAG)
        self.assertEqual(left.reserved_ns, 100)
        self.broker.admit(1, TAG)
        with self.broker.reserve_usage(1, TAG, 100):
            self.admin.deregister(1)

    def test_a_renewal_needs_a_budget(self):
        self.assertRaises(ValueError, self.admin.register, 1, TenantQuota(renewals={7: Renewal.DAY}))
        self.admin.register(1, TenantQuota(budgets={7: 5, 8: 6}, renewals={7: Renewal.DAY}))
        self.assertEqual({b.engagement_id: b.renewal for b in self.admin.budgets(1)}, {7: Renewal.DAY, 8: Renewal.NEVER})
        self.admin.update(1, budgets={7: 9})
        self.admin.update(1, budgets={8: 9}, renewals={8: Renewal.WEEK})
        self.assertEqual({b.engagement_id: b.renewal for b in self.admin.budgets(1)}, {7: Renewal.DAY, 8: Renewal.WEEK})
        self.admin.set_budget(1, 9, 5)
        self.failing("K2K_ENOBUDGET", self.admin.budget_history, 1, AuditTag(0, 9))
        self.failing("K2K_EINVAL", self.admin.set_renewing_budget, 1, 9, 5, 17)


class Clocks(Failing, unittest.TestCase):
    def setUp(self):
        self.name, self.clock = fresh_name(), SimulatedClock(1000 * S, 20000 * DAY)
        self.admin = TenantRegistry.create(self.name, clock=self.clock, max_tenants=4)
        self.addCleanup(destroy, self.name, force=True)
        self.addCleanup(self.admin.close)
        self.broker = TenantRegistry.open(self.name, Role.BROKER, clock=self.clock)
        self.addCleanup(self.broker.close)

    def test_a_year_of_renewals_takes_no_time(self):
        self.admin.register(1, TenantQuota().with_engagement_budget(7, 10 * S, Renewal.DAY))
        for day in range(365):
            self.broker.admit(1, TAG)
            self.broker.track_usage(1, TAG, 10 * S + day)
            rejected = self.failing("K2K_EBUDGET", self.broker.admit, 1, TAG)
            self.assertEqual(rejected.verdict.retry_after_ns, DAY)
            self.clock.advance(DAY)
        history = self.admin.budget_history(1, TAG)
        self.assertEqual(len(history), 12)
        self.assertEqual(history[:2], [BudgetUse(354, 20353 * DAY, 20354 * DAY, 10 * S + 353, True),
                                       BudgetUse(355, 20354 * DAY, 20355 * DAY, 10 * S + 354, True)])
        # the last one is over, and nobody has booked since
        self.assertEqual((history[-1].period, history[-1].used_ns, history[-1].final), (365, 10 * S + 364, False))
        self.admin.renew_budget(1, TAG)
        budget, = self.admin.budgets(1)
        self.assertEqual((budget.used_ns, budget.budget_ns), (0, 10 * S))

    def test_a_bucket_fills_by_the_clock(self):
        self.admin.register(1, TenantQuota(60, rate_period=RatePeriod.HOUR, burst=2))
        self.broker.admit(1, messages=2)
        wait = self.failing("K2K_ERATE", self.broker.admit, 1).verdict.retry_after_ns
        self.clock.advance(wait - S)
        self.failing("K2K_ERATE", self.broker.admit, 1)
        self.clock.advance(S)
        self.broker.admit(1)

    def test_time_never_steps_back(self):
        for name in ("monotonic_ns", "wall_ns"):
            self.assertRaises(ValueError, setattr, self.clock, name, 5)
            self.assertRaises(OverflowError, setattr, self.clock, name, 1 << 64)
        self.assertEqual((self.clock.monotonic_ns, self.clock.wall_ns), (1000 * S, 20000 * DAY))

    def test_simulated_registries_and_clocks_belong_together(self):
        self.failing("K2K_EINVAL", TenantRegistry.open, self.name)
        other = fresh_name()
        with TenantRegistry.create(other, max_tenants=4):
            self.failing("K2K_EINVAL", TenantRegistry.open, other, clock=self.clock)
        destroy(other)


if __name__ == "__main__":
    unittest.main()
