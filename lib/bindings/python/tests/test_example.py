# SPDX-License-Identifier: LGPL-2.1-or-later
"""examples/broker.py, as a process of its own."""
import json
import pathlib
import signal
import subprocess
import sys
import unittest

from fixture import RegistryTest
from k2k_registry import TenantQuota

EXAMPLE = pathlib.Path(__file__).parent.parent / "examples/broker.py"


class Example(RegistryTest):
    def setUp(self):
        super().setUp()
        self.process = subprocess.Popen([sys.executable, EXAMPLE, self.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.end)

    def end(self):
        self.process.kill()
        self.process.communicate()

    def ask(self, line=None, **request):
        self.process.stdin.write((line or json.dumps(request)) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def test_it_is_a_broker_in_fifty_lines(self):
        self.assertLessEqual(len(EXAMPLE.read_text().splitlines()), 50)

    def test_it_delivers_rejects_and_books(self):
        self.admin.register(1, TenantQuota(max_concurrent_kernels=2, budgets={7: 5}))
        self.admin.register(2, TenantQuota(max_messages_per_sec=0))
        for name, tenant in (("a", 1), ("b", 1), ("c", 2)):
            self.assertEqual(self.ask(op="kernel", name=name, tenant=tenant), {"answer": "added"})
        self.assertEqual(self.ask(op="kernel", name="d", tenant=1)["reason"], "K2K_EKERNELS")
        self.broker.add_kernel("away", 2)
        self.assertIn("has a kernel of that name", self.ask(op="kernel", name="away", tenant=2)["text"])
        message = {"op": "send", "from": "a", "to": "b", "org": 1, "engagement": 7, "gpu_ns": 5}
        self.assertEqual(self.ask(**message)["answer"], "delivered")
        self.assertEqual(self.ask(**message)["reason"], "K2K_EBUDGET")
        self.assertEqual(self.ask(**{"op": "send", "from": "c", "to": "c"})["reason"], "K2K_ERATE")
        self.assertEqual(self.ask(**{"op": "send", "from": "a", "to": "c"}), {"answer": "tenant_mismatch"})
        self.assertEqual(self.ask(**{"op": "send", "from": "a", "to": "away"}), {"answer": "tenant_mismatch"})
        self.assertEqual(self.broker.info().cross_tenant_total, 2)
        self.assertEqual(self.broker.get_engagement_cost((0, 7)), 5)
        self.assertEqual(self.ask(op="remove", name="b"), {"answer": "removed"})
        self.assertEqual(self.broker.get(1).kernels, 1)
        self.assertEqual(self.ask(op="kernel", name="c", tenant=1), {"answer": "added"})
        self.assertEqual(self.broker.get(1).kernels, 2)
        self.assertEqual(self.ask(**{"op": "send", "from": "a", "to": "nobody"})["answer"], "not_found")

    def test_it_answers_nonsense_with_an_error_and_goes_on(self):
        for line in ("{", "[]", '"x"', "null", "{}", '{"op":"?"}', '{"op":"remove","name":"x"}', '{"op":"kernel","name":[],"tenant":1}',
                     '{"op":"kernel","name":"x","tenant":-1}', '{"op":"kernel","name":"x","tenant":"1"}'):
            self.assertEqual(self.ask(line)["answer"], "error", line)
        self.admin.register(1)
        self.assertEqual(self.ask(op="kernel", name="a", tenant=1), {"answer": "added"})

    def test_killed_it_leaves_its_slots_free(self):
        self.admin.register(1, TenantQuota(max_concurrent_kernels=1))
        self.assertEqual(self.ask(op="kernel", name="a", tenant=1), {"answer": "added"})
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.broker.acquire_kernel_slot(1)


if __name__ == "__main__":
    unittest.main()
