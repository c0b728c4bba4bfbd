# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests what the binding adds to the C interface: ownership, exceptions, texts, lists, threads, and range checks."""
import gc
import os
import pathlib
import subprocess
import sys
import threading
import unittest

from fixture import MS, RegistryTest, fresh_name
from k2k_registry import AuditTag, Error, Rejected, Role, TenantQuota, TenantRegistry, destroy

PROJECT = pathlib.Path(__file__).parent.parent


class Binding(RegistryTest):
    def error(self, name, function, *arguments, **named):
        with self.assertRaises(Error) as raised:
            function(*arguments, **named)
        self.assertEqual(raised.exception.name, name)
        return raised.exception

    def test_numbers_that_c_would_cut_are_refused(self):
        for wrong in (-1, 1 << 64):
            for call in (self.admin.register, self.broker.is_registered, self.broker.get, self.broker.admit,
                         self.broker.acquire_kernel_slot):
                self.assertRaises(OverflowError, call, wrong)
            self.assertRaises(OverflowError, self.broker.track_usage, 1, AuditTag(0, wrong), 1)
            self.assertRaises(OverflowError, self.admin.register, 1, TenantQuota(max_messages_per_sec=wrong))
        self.assertRaises(OverflowError, self.admin.register, 1, TenantQuota(max_concurrent_kernels=1 << 32))
        self.assertRaises(ValueError, TenantRegistry.open, self.name + "\0x")
        self.assertEqual(self.admin.tenant_count(), 0)

    def test_the_largest_numbers_come_back_whole(self):
        largest = (1 << 64) - 1
        self.admin.register(largest, TenantQuota(None, None, None, {largest: largest - 1}))
        info = self.broker.get(largest)
        self.assertEqual((info.id, info.max_messages_per_sec, info.max_concurrent_kernels), (largest, largest, (1 << 32) - 1))
        budget, = self.broker.budgets()
        self.assertEqual((budget.engagement_id, budget.budget_ns), (largest, largest - 1))

    def test_an_update_changes_what_is_named(self):
        self.admin.register(1, TenantQuota(1, 2, 3, budgets={7: 5, 8: 5}))
        self.admin.update(1, max_messages_per_sec=9, budgets={7: None, 9: 6})
        info = self.admin.get(1)
        self.assertEqual((info.max_messages_per_sec, info.max_gpu_memory_bytes, info.max_concurrent_kernels), (9, 2, 3))
        self.assertEqual({budget.engagement_id: budget.budget_ns for budget in self.admin.budgets(1)}, {8: 5, 9: 6})
        self.assertRaises(TypeError, self.admin.update, 1, rate=5)

    def test_get_of_an_unknown_tenant_is_none(self):
        self.assertIsNone(self.broker.get(5))

    def test_lists_grow_with_what_there_is(self):
        with self.admin.batch():
            for tenant in range(1, 501):
                self.admin.register(tenant)
        self.assertEqual(sorted(self.broker.tenant_ids()), list(range(1, 501)))
        self.assertEqual(len(self.broker), 500)
        self.assertIn(500, self.broker)
        self.assertNotIn(501, self.broker)
        # the batch has ended: another handle gets the writer's lock
        with TenantRegistry.open(self.name, Role.ADMIN, timeout_ns=0) as other:
            other.register(501)

    def test_infos_are_copies_with_texts(self):
        self.admin.register(1)
        self.broker.track_usage(1, AuditTag(1, 7), 5 * MS)
        info = self.broker.info()
        self.assertEqual((info.name, info.brokers, info.tenants.used), (self.name, 1, 1))
        broker, = self.broker.brokers()
        self.assertEqual(broker.pid, os.getpid())
        usage, = self.broker.usage()
        self.assertEqual((usage.id, usage.engagement_id, usage.gpu_ns), (1, 7, 5 * MS))

    def test_final_totals_hold_what_was_booked(self):
        self.admin.register(1)
        self.broker.admit(1)
        self.broker.track_usage(1, AuditTag(), 5)
        totals = self.admin.deregister_with_totals(1)
        self.assertEqual((totals.admitted_total, totals.gpu_ns_total, totals.final), (1, 5, 1))

    def test_leases_end_with_their_block(self):
        self.admin.register(1, TenantQuota(max_concurrent_kernels=1, max_gpu_memory_bytes=100))
        with self.broker.acquire_kernel_slot(1):
            rejected = self.error("K2K_EKERNELS", self.broker.acquire_kernel_slot, 1)
            self.assertEqual(rejected.verdict.limit, 1)
            self.assertEqual(self.broker.leases(1)[0].kernels, 1)
        with self.broker.acquire_kernel_slot(1) as lease:
            lease.release()
            self.error("K2K_ENOTHELD", lease.release)
        with self.broker.acquire_gpu_memory(1, 60):
            self.error("K2K_EGPUMEM", self.broker.acquire_gpu_memory, 1, 41)
        with self.broker.acquire_gpu_memory(1, 100):
            self.admin.deregister(1)

    def test_the_role_decides(self):
        self.error("K2K_EROLE", self.broker.register, 1)
        self.error("K2K_EROLE", self.admin.record_message, 1)
        with TenantRegistry.open(self.name) as observer:
            self.assertEqual(observer.role, Role.OBSERVER)
            self.error("K2K_EROLE", observer.admit, 1)

    def test_errors_say_what_lies_behind_them(self):
        error = self.error("K2K_EBUSY", destroy, self.name)
        self.assertEqual(error.detail.pid, os.getpid())
        self.assertEqual(str(error), error.detail.text)
        self.error("K2K_ENOREGISTRY", TenantRegistry.open, fresh_name())
        self.error("K2K_EEXIST", TenantRegistry.create, self.name)

    def test_a_closed_handle_answers_so(self):
        registry = TenantRegistry.open(self.name)
        registry.close()
        registry.close()
        self.error("K2K_EINVAL", registry.tenant_count)

    def test_a_handle_that_nobody_knows_any_more_is_closed(self):
        registry = TenantRegistry.open(self.name, Role.BROKER)
        self.assertEqual(self.admin.info().brokers, 2)
        del registry
        gc.collect()
        self.assertEqual(self.admin.info().brokers, 1)

    def test_a_program_may_end_with_a_sink_and_counted_repeats(self):
        self.admin.register(1, TenantQuota(max_messages_per_sec=0))
        done = subprocess.run([sys.executable, "-c", "import sys; from k2k_registry import *\n"
                               f"broker = TenantRegistry.open('{self.name}', Role.BROKER)\n"
                               "seen = []\n"
                               "broker.set_audit_sink(lambda event: print(event.code, event.count, flush=True))\n"
                               "for _ in range(100):\n    try: broker.admit(1)\n    except Rejected: pass\n"],
                              stdout=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(done.returncode, 0)
        lines = [line.split() for line in done.stdout.splitlines()]
        self.assertEqual({code for code, _ in lines}, {"-5004"})
        self.assertEqual(sum(int(count) for _, count in lines), 100)

    def test_a_sink_can_be_replaced_and_taken_away(self):
        first, second = [], []
        for sink in (first.append, second.append, None):
            self.broker.set_audit_sink(sink)
            gc.collect()
            self.broker.audit_cross_tenant(1, 2, "a", "b")
        self.assertEqual((len(first), len(second)), (1, 1))
        self.assertEqual(second[0].target, "b")

    def test_threads_share_a_handle_and_the_limit_is_exact(self):
        # all in one second, or once more with another tenant
        for tenant in range(1, 10):
            self.admin.register(tenant, TenantQuota(max_messages_per_sec=50))
            windows = []

            def send():
                for _ in range(20):
                    try:
                        windows.append(self.broker.admit(tenant).window)
                    except Rejected:
                        pass

            threads = [threading.Thread(target=send) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertTrue(all(windows.count(window) <= 50 for window in windows))
            if len(set(windows)) == 1:
                self.assertEqual(len(windows), 50)
                return
        self.fail("no second was long enough")

    def test_a_forked_child_opens_for_itself(self):
        self.admin.register(1)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                try:
                    self.broker.admit(1)
                except Error as error:
                    if error.name == "K2K_EFORKED":
                        with TenantRegistry.open(self.name, Role.BROKER) as broker:
                            broker.admit(1)
                        status = 0
            finally:
                os._exit(status)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
        self.assertEqual(self.broker.get(1).admitted_total, 1)

    def test_the_library_is_taken_from_the_directory_that_is_named(self):
        done = subprocess.run([sys.executable, "-c", "import k2k_registry"], stderr=subprocess.PIPE, text=True,
                              env=dict(os.environ, K2K_REGISTRY_LIB_DIR="/nonexistent"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("/nonexistent", done.stderr)

    def test_the_package_has_the_version_of_the_header(self):
        from k2k_registry import _abi, version
        header = f"{_abi.K2K_VERSION_MAJOR}.{_abi.K2K_VERSION_MINOR}.{_abi.K2K_VERSION_PATCH}"
        self.assertIn(f'version = "{header}"', (PROJECT / "pyproject.toml").read_text())
        self.assertEqual(version(), header)


if __name__ == "__main__":
    unittest.main()
