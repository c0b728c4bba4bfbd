# SPDX-License-Identifier: LGPL-2.1-or-later
"""What __init__.pyi says of types is there, with these arguments; and nothing that is there is left out."""
import ast
import inspect
import pathlib
import unittest

import k2k_registry
from k2k_registry import AuditEvent, AuditTag, Role, TenantQuota, TenantRegistry, _abi
from fixture import fresh_name

FOLDER = pathlib.Path(k2k_registry.__file__).parent


def stub(name):
    return ast.parse((FOLDER / name).read_text()).body


def functions(body):
    return {item.name: item for item in body if isinstance(item, ast.FunctionDef)}


def classes(body):
    return {item.name: item for item in body if isinstance(item, ast.ClassDef)}


def public(names):
    return {name for name in names if not name.startswith("_")}


def defined(kind):
    """The methods that the class itself has."""
    return {name for name, value in vars(kind).items() if callable(value) or isinstance(value, (classmethod, staticmethod))}


class Types(unittest.TestCase):
    def arguments(self, what, function, node):
        says = [a.arg for a in node.args.args]
        if says and says[0] in ("self", "cls"):
            says = says[1:]
        parameters = list(inspect.signature(function).parameters.values())
        if parameters and parameters[0].name == "self":
            parameters = parameters[1:]
        positional = [p.name for p in parameters if p.kind == p.POSITIONAL_OR_KEYWORD]
        self.assertEqual(says, positional, what)
        optional = [p.name for p in parameters if p.default is not p.empty]
        self.assertEqual(says[len(says) - len(node.args.defaults):] if node.args.defaults else [], optional, what)

    def test_every_public_name_has_its_type_and_no_other(self):
        body = stub("__init__.pyi")
        named = set(functions(body)) | set(classes(body)) | {item.target.id for item in body if isinstance(item, ast.AnnAssign)}
        self.assertEqual(public(named) - {"Lease"}, set(k2k_registry.__all__))
        for name, node in functions(body).items():
            self.arguments(name, getattr(k2k_registry, name), node)
        for kind in (TenantRegistry, TenantQuota, k2k_registry.Lease, k2k_registry.Reservation, k2k_registry.SimulatedClock):
            node = classes(body)[kind.__name__]
            properties = {name for name, value in vars(kind).items() if isinstance(value, property)}
            says = set(functions(node.body)) | {item.target.id for item in node.body if isinstance(item, ast.AnnAssign)}
            self.assertEqual(public(functions(node.body)) - properties, public(defined(kind)), kind)
            self.assertEqual(properties - says, set(), kind)
            for name, method in functions(node.body).items():
                if (not name.startswith("__") or name == "__init__") and callable(getattr(kind, name)):
                    if not any(argument.arg for argument in method.args.kwonlyargs):
                        self.arguments(f"{kind.__name__}.{name}", getattr(kind, name), method)
        self.assertEqual([a.arg for a in functions(classes(body)["TenantRegistry"].body)["update"].args.kwonlyargs],
                         list(k2k_registry._UPDATES))
        for kind in (AuditTag, AuditEvent, k2k_registry.BudgetUse, k2k_registry.Kernel, k2k_registry.Route,
                     k2k_registry.Destination):
            self.assertEqual([item.target.id for item in classes(body)[kind.__name__].body], list(kind._fields))
        for kind in (Role, k2k_registry.RatePeriod, k2k_registry.RatePolicy, k2k_registry.Renewal):
            self.assertEqual({item.target.id for item in classes(body)[kind.__name__].body}, set(kind.__members__))

    def test_the_tuples_have_the_fields_of_what_is_returned(self):
        says = {name: [item.target.id for item in node.body] for name, node in classes(stub("_tuples.pyi")).items()}
        for struct in _abi.STRUCTS:
            name = struct.__name__[len("k2k_"):]
            if name in says:
                self.assertEqual(says[name], [field[0] for field in struct._fields_ if field[0] not in ("size", "flags", "reserved")], name)
        name = fresh_name()
        with TenantRegistry.create(name, max_tenants=4) as admin, TenantRegistry.open(name, Role.BROKER) as broker:
            admin.register(1, TenantQuota(budgets={7: 1000}))
            returned = [admin.info(), admin.get(1), broker.admit(1), admin.brokers()[0], admin.budgets()[0], admin.repair(),
                        broker.acquire_kernel_slot(1).verdict, admin.leases()[0], admin.deregister_with_totals(1)]
            for value in returned:
                self.assertEqual(list(value._fields), says[type(value).__name__], type(value).__name__)
        k2k_registry.destroy(name)

    def test_checkers_are_told_that_there_are_types(self):
        self.assertTrue((FOLDER / "py.typed").exists())


if __name__ == "__main__":
    unittest.main()
