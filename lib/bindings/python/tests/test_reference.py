# SPDX-License-Identifier: LGPL-2.1-or-later
"""The twelve tests of the single-process registry that this one took over from, by their names."""
import unittest

from fixture import MS, RegistryTest
from k2k_registry import UNSPECIFIED_TENANT, AuditTag, Error, Rejected, TenantQuota, TenantRegistry


class Reference(RegistryTest):
    def test_register_and_query(self):
        self.assertEqual(self.broker.tenant_count(), 0)
        self.admin.register(1, TenantQuota())
        self.assertTrue(self.broker.is_registered(1))
        self.assertEqual(self.broker.tenant_count(), 1)

    def test_duplicate_registration_fails(self):
        self.admin.register(1, TenantQuota())
        with self.assertRaises(Error) as raised:
            self.admin.register(1, TenantQuota())
        self.assertEqual(raised.exception.name, "K2K_EEXIST")
        self.assertEqual(str(raised.exception), "tenant 1 already registered")
        self.assertEqual(self.broker.tenant_count(), 1)

    def test_deregister(self):
        self.admin.register(1, TenantQuota())
        self.assertIs(self.admin.deregister(1), True)
        self.assertFalse(self.broker.is_registered(1))
        self.assertIs(self.admin.deregister(1), False)

    def test_unspecified_tenant_fast_path(self):
        self.broker.check_quota(UNSPECIFIED_TENANT, AuditTag())
        self.broker.record_message(UNSPECIFIED_TENANT)
        self.broker.track_usage(UNSPECIFIED_TENANT, AuditTag(), 100 * MS)
        self.broker.admit(UNSPECIFIED_TENANT)
        self.assertEqual(self.broker.get_engagement_cost(AuditTag()), 0)

    def test_track_usage_and_cost(self):
        self.admin.register(42, TenantQuota.unlimited())
        tag_a, tag_b = AuditTag(42, 1), AuditTag(42, 2)
        self.broker.track_usage(42, tag_a, 250 * MS)
        self.broker.track_usage(42, tag_a, 750 * MS)
        self.broker.track_usage(42, tag_b, 100 * MS)
        self.assertEqual(self.broker.get_engagement_cost_for(42, tag_a), 1000 * MS)
        self.assertEqual(self.broker.get_engagement_cost_for(42, tag_b), 100 * MS)
        self.assertEqual(self.broker.get_engagement_cost(tag_a), 1000 * MS)

    def test_cross_tenant_engagement_aggregation(self):
        self.admin.register(1, TenantQuota.unlimited())
        self.admin.register(2, TenantQuota.unlimited())
        tag = AuditTag(99, 7)
        self.broker.track_usage(1, tag, 500 * MS)
        self.broker.track_usage(2, tag, 500 * MS)
        self.assertEqual(self.broker.get_engagement_cost(tag), 1000 * MS)

    def test_check_quota_message_rate(self):
        # a second may end meanwhile: then again, with another tenant
        for tenant in range(1, 20):
            self.admin.register(tenant, TenantQuota(max_messages_per_sec=5))
            window = self.broker.check_quota(tenant).window
            try:
                for _ in range(5):
                    self.broker.check_quota(tenant, AuditTag())
                    self.broker.record_message(tenant)
                self.assertNotEqual(self.broker.check_quota(tenant, AuditTag()).window, window)
            except Rejected as rejected:
                self.assertEqual(rejected.name, "K2K_ERATE")
                self.assertEqual((rejected.verdict.used, rejected.verdict.limit), (5, 5))
                return
        self.fail("no second was long enough for five messages")

    def test_check_quota_engagement_budget(self):
        self.admin.register(1, TenantQuota().with_engagement_budget(7, 100 * MS))
        tag = AuditTag(0, 7)
        self.broker.check_quota(1, tag)
        self.broker.track_usage(1, tag, 150 * MS)
        with self.assertRaises(Rejected) as raised:
            self.broker.check_quota(1, tag)
        self.assertEqual(raised.exception.name, "K2K_EBUDGET")

    def test_audit_cross_tenant_logs_event(self):
        events = []
        self.admin.register(1, TenantQuota())
        self.admin.register(2, TenantQuota())
        self.broker.set_audit_sink(events.append)
        self.broker.audit_cross_tenant(1, 2, "src", "dst", AuditTag(100, 200))
        self.assertEqual(len(events), 1)
        self.assertEqual(events[0].type, "SecurityViolation")
        self.assertIn("cross-tenant", events[0].description)
        self.assertEqual(events[0].fields["engagement_id"], "200")
        self.broker.close()
        self.assertEqual(len(events), 1)

    def test_kernel_slot_acquire_release(self):
        self.admin.register(1, TenantQuota(max_concurrent_kernels=2))
        self.broker.acquire_kernel_slot(1)
        self.broker.acquire_kernel_slot(1)
        with self.assertRaises(Rejected) as raised:
            self.broker.acquire_kernel_slot(1)
        self.assertEqual(raised.exception.name, "K2K_EKERNELS")
        self.broker.release_kernel_slot(1)
        self.broker.acquire_kernel_slot(1)

    def test_kernel_slot_unregistered_tenant_fails(self):
        with self.assertRaises(Error) as raised:
            self.broker.acquire_kernel_slot(99)
        self.assertEqual(raised.exception.name, "K2K_ENOTENANT")

    def test_is_cross_tenant(self):
        self.assertFalse(TenantRegistry.is_cross_tenant(1, 1))
        self.assertTrue(TenantRegistry.is_cross_tenant(1, 2))
        self.assertTrue(TenantRegistry.is_cross_tenant(UNSPECIFIED_TENANT, 1))


if __name__ == "__main__":
    unittest.main()
