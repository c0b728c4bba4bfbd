#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""embed-schema.py NNN-NAME.sql... OUT: writes the migrations of the schema as a C source."""
import pathlib
import sys


def literal(text):
    lines = []
    for line in text.encode().splitlines(keepends=True):
        chars = [chr(c) if 32 <= c < 127 and chr(c) not in '"\\?' else f"\\{c:03o}" for c in line]
        lines.append('\t\t"' + "".join(chars) + '"')
    return "\n".join(lines)


def main(*arguments):
    paths = sorted(pathlib.Path(path) for path in arguments[:-1])
    numbers = [int(path.name[:3]) for path in paths]
    if numbers != list(range(1, len(numbers) + 1)):
        sys.exit(f"embed-schema.py: the migrations have the numbers {numbers}")
    rows = [f"\t{{ {number},\n{literal(path.read_text())} }},\n" for number, path in zip(numbers, paths)]
    pathlib.Path(arguments[-1]).write_text(
        '/* made by embed-schema.py */\n#include "fleet/db.h"\n\n'
        f"const struct db_migration db_migrations[] = {{\n{''.join(rows)}}};\n"
        f"const size_t db_migration_count = {len(numbers)};\n")


main(*sys.argv[1:])
