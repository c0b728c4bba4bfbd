# SPDX-License-Identifier: LGPL-2.1-or-later
"""A live registry for a test: one administrator, one broker. At its end it is clean, and gone."""
import itertools
import os
import unittest

from k2k_registry import Role, TenantRegistry, destroy

MS = 1000000
_numbers = itertools.count()


def fresh_name():
    return f"{os.environ.get('K2K_TEST_NAME', f'bindings-{os.getpid()}')}-py{next(_numbers)}"


class RegistryTest(unittest.TestCase):
    def setUp(self):
        self.name = fresh_name()
        self.admin = TenantRegistry.create(self.name)
        self.addCleanup(destroy, self.name, force=True)
        self.addCleanup(self.admin.close)
        self.broker = TenantRegistry.open(self.name, Role.BROKER)
        self.addCleanup(self.broker.close)
        self.addCleanup(lambda: self.assertEqual(self.admin.check(), []))
