# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests the directory of kernels: names, moves, and the decision about a message; also between two processes."""
import subprocess
import sys
import unittest

from fixture import RegistryTest, fresh_name
from k2k_registry import (AuditTag, Destination, Error, Rejected, Role, RouteRefused, TenantQuota, TenantRegistry, destroy)

OTHER = """
import sys
from k2k_registry import AuditTag, Role, TenantRegistry
with TenantRegistry.open(sys.argv[1], Role.BROKER) as broker:
    broker.add_kernel("receiver", 42, (3, 4), address=(5, 2**64 - 1))
    broker.add_kernel("foreign", 43)
    print("ready", flush=True)
    sys.stdin.read()
"""


class Directory(RegistryTest):
    def setUp(self):
        super().setUp()
        self.admin.register(42, TenantQuota(100, max_concurrent_kernels=2))
        self.admin.register(43)

    def failing(self, name, function, *arguments):
        with self.assertRaises(Error) as raised:
            function(*arguments)
        self.assertEqual(raised.exception.name, name)
        return raised.exception

    def test_a_name_takes_a_slot_and_gives_it_back(self):
        self.assertEqual(self.broker.add_kernel("a", 42, AuditTag(1, 7), (8, 9)).used, 1)
        kernel = self.admin.find_kernel("a")
        self.assertEqual((kernel.name, kernel.tenant_id, kernel.tag, kernel.address, kernel.broker), ("a", 42, (1, 7), (8, 9), 0))
        self.assertEqual((self.admin.get(42).kernels, self.admin.kernels(42)), (1, [kernel]))
        self.broker.add_kernel("b", 42)
        rejected = self.failing("K2K_EKERNELS", self.broker.add_kernel, "c", 42)
        self.assertIsInstance(rejected, Rejected)
        self.assertEqual((rejected.verdict.used, rejected.verdict.limit), (2, 2))
        self.failing("K2K_ENOTHELD", self.broker.release_kernel_slot, 42)
        self.broker.add_kernel("a", 43)
        self.assertEqual((self.admin.get(42).kernels, self.admin.get(43).kernels, self.admin.find_kernel("a").tenant_id), (1, 1, 43))
        self.broker.remove_kernel("a")
        self.failing("K2K_ENOKERNEL", self.broker.remove_kernel, "a")
        self.assertIsNone(self.admin.find_kernel("a"))
        self.assertEqual([one.name for one in self.admin.kernels()], ["b"])

    def test_names_are_any_bytes_but_zero(self):
        for name in ["ä", b"\xff\x01", "x" * 63]:
            self.broker.add_kernel(name, 43)
        names = [one.name for one in self.admin.kernels()]
        self.assertEqual(sorted(names), sorted(["ä", "\udcff\x01", "x" * 63]))
        for name in names:
            self.broker.remove_kernel(name)
        self.assertRaises(ValueError, self.broker.add_kernel, "a\0b", 43)
        self.failing("K2K_EINVAL", self.broker.add_kernel, "", 43)
        self.failing("K2K_EINVAL", self.broker.add_kernel, "x" * 64, 43)
        self.assertRaises(OverflowError, self.broker.add_kernel, "a", 43, (0, 0), (2**64, 0))

    def test_a_registration_that_is_over_makes_its_kernels_stale(self):
        self.broker.add_kernel("a", 42)
        self.broker.add_kernel("b", 43)
        self.admin.deregister(43)
        self.assertIsNone(self.admin.find_kernel("b").tenant_id)
        refused = self.failing("K2K_ESTALE", self.broker.route, "a", "b")
        self.assertEqual((type(refused), refused.destination_is_stale), (RouteRefused, True))
        self.assertFalse(self.failing("K2K_ESTALE", self.broker.route, "b", "a").destination_is_stale)

    def test_messages_reach_another_process_and_no_other_tenant(self):
        self.broker.add_kernel("sender", 42, (1, 7))
        with subprocess.Popen([sys.executable, "-c", OTHER, self.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            self.assertEqual(other.stdout.readline(), b"ready\n")
            route = self.broker.route("sender", "receiver", messages=2)
            self.assertEqual((route.tenant_id, route.tag, route.from_directory, route.verdict.used), (42, (1, 7), True, 2))
            self.assertEqual((route.destination.tenant_id, route.destination.address, route.destination.broker), (42, (5, 2**64 - 1), 1))
            self.assertIsInstance(route.destination, Destination)
            refused = self.failing("K2K_ECROSSTENANT", self.broker.route, "sender", "foreign")
            self.assertEqual((refused.tenant_id, refused.to_tenant), (42, 43))
            self.failing("K2K_EEXIST", self.broker.add_kernel, "receiver", 42)
            self.failing("K2K_ENOTHELD", self.broker.route, "receiver", "sender")
            self.assertIsInstance(self.failing("K2K_ERATE", self.broker.route, "sender", "receiver", (0, 0), 99), Rejected)
            other.stdin.close()
        self.assertIsNone(self.broker.route("sender", "receiver", (5, 6)).destination)
        self.assertEqual(self.broker.route("sender", "receiver", (5, 6)).tag, (5, 6))
        self.assertEqual((self.admin.info().cross_tenant_total, self.admin.get(42).admitted_total), (1, 4))
        unknown = self.broker.route("nobody", "none")
        self.assertEqual((unknown.tenant_id, unknown.from_directory), (0, False))

    def test_a_strict_registry_refuses_unknown_senders(self):
        name = fresh_name()
        with TenantRegistry.create(name, strict=True, max_kernels=4) as admin, TenantRegistry.open(name, Role.BROKER) as broker:
            self.failing("K2K_ENOKERNEL", broker.route, "nobody", "none")
            self.assertEqual(admin.info().max_kernels, 4)
        destroy(name)


if __name__ == "__main__":
    unittest.main()
