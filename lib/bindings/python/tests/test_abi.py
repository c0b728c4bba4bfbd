# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compares the structs, constants and functions with the C compiler's layout and the library's exports.

K2K_LAYOUT names the output of the program that `lib/bindings/generate --tests` writes, K2K_EXPORTS a list of the
library's functions.
"""
import ctypes
import os
import pathlib
import re
import unittest

from k2k_registry import _abi

NAMES = {4: {True: "i32", False: "u32"}, 8: {True: "i64", False: "u64"}}


def read(variable):
    if variable not in os.environ:
        raise unittest.SkipTest(f"{variable} is not set")
    return pathlib.Path(os.environ[variable]).read_text().splitlines()


def kind_of(kind):
    simple = isinstance(kind, type) and issubclass(kind, ctypes._SimpleCData) and kind is not ctypes.c_char_p
    return NAMES.get(ctypes.sizeof(kind), {}).get(kind(-1).value < 0, "other") if simple and kind is not ctypes.c_void_p else "other"


class Abi(unittest.TestCase):
    maxDiff = None

    def test_structs_and_constants_are_those_of_the_c_compiler(self):
        expected = read("K2K_LAYOUT")
        self.assertGreater(len(expected), 200)
        found = []
        for struct in _abi.STRUCTS:
            found.append(f"struct {struct.__name__} {ctypes.sizeof(struct)} {ctypes.alignment(struct)}")
            for name, kind in struct._fields_:
                field = getattr(struct, name)
                found.append(f"field {struct.__name__}.{name} {field.offset} {field.size} {kind_of(kind)}")
        found += [f"constant {name} {value}" for name, value in vars(_abi).items() if re.match("K2K_[A-Z]", name)]
        self.assertEqual(found, expected)

    def test_functions_are_those_that_the_library_exports(self):
        self.assertEqual(sorted(_abi.PROTOTYPES), sorted(read("K2K_EXPORTS")))


if __name__ == "__main__":
    unittest.main()
