#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""embed-page.py HTML CSS JS OUT: writes the status page and its Content-Security-Policy as a C source.

The policy names style and script by their hashes, so a browser runs and loads nothing else.
"""
import base64
import hashlib
import pathlib
import re
import sys


def one(pattern, text, what):
    found = re.findall(pattern, text, re.S)
    if len(found) != 1:
        sys.exit(f"embed-page.py: {len(found)} {what} in the page, not 1")
    return found[0]


def hashed(text):
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def literal(text):
    lines = []
    for line in text.encode().splitlines(keepends=True):
        chars = [chr(c) if 32 <= c < 127 and chr(c) not in '"\\?' else f"\\{c:03o}" for c in line]
        lines.append('\t"' + "".join(chars) + '"')
    return "\n".join(lines)


def main(html, css, js, out):
    page = pathlib.Path(html).read_text()
    for mark, path in (("@CSS@", css), ("@JS@", js)):
        if page.count(mark) != 1:
            sys.exit(f"embed-page.py: {html} has not one {mark}")
        page = page.replace(mark, pathlib.Path(path).read_text())
    style = one(r"<style>(.*?)</style>", page, "styles")
    script = one(r"<script>(.*?)</script>", page, "scripts")
    one(r"<script", page, "beginnings of scripts")
    policy = ("default-src 'none'; connect-src 'self'; img-src data:; "
              f"style-src {hashed(style)}; script-src {hashed(script)}; "
              "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'")
    pathlib.Path(out).write_text(
        '/* made by embed-page.py */\n#include "page.h"\n\n'
        f"const char page_policy[] =\n{literal(policy)};\n\nconst char page_bytes[] =\n{literal(page)};\n\n"
        "const size_t page_size = sizeof(page_bytes) - 1;\n")


main(*sys.argv[1:])
