#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""schema_check.py SCHEMAS MANIFEST HELP

Validates what the programs printed by the schemas in the folder SCHEMAS. Each line of MANIFEST is a schema, a file with one or more
JSON values, and the command that wrote them, with tabs between; HELP is what `k2k-tenantctl --help` prints. Then each value is spoilt
in many ways, and each spoilt one has to be refused.
"""
import copy
import json
import pathlib
import re
import sys
import warnings

import jsonschema

warnings.simplefilter("ignore", DeprecationWarning)  # newer releases prefer a resolver that Debian 12 lacks

# Keys that may be missing, by schema; * is any key, [] any element.
OPTIONAL = {
    "audit-event": {"open", "incarnation", "cut"}, "auditd-log": {"incarnation", "cut", "next.*"},
    "auditd-line": {"incarnation", "cut", "next.*"}, "auditd-state": {"next.*"},
    "bench": {"floors.*", "floor_rows.*"},
    "broker-line": {"id", "window", "unbooked", "shadow", "repeated", "rejected.*", "kernels_refused.*", "reservations_refused.*", "shadow.*",
        "tenants[].rejected.*", "tenants[].kernels_refused.*", "tenants[].reservations_refused.*", "tenants[].shadow.*"},
    "applied": {"error", "errors", "error.tenant", "errors[].tenant"}, "differences": {"changes[].fields[].engagement", "changes[].fields[].renewal_before", "changes[].fields[].renewal_after"},
    "changes": {"errors", "error.tenant", "changes[].fields", "changes[].fields[].engagement", "changes[].fields[].renewal_before", "changes[].fields[].renewal_after"}, "document": {"tenants[].budgets.*", "tenants[].burst", "tenants[].policy"}, "error": {"error.tenant", "errors", "errors[].tenant"},
    "saved-file": {"tenants[].suspended", "tenants[].suspended_rejected_total", "tenants[].shadow_rejected_total",
        "tenants[].budgets.*", "tenants[].burst", "tenants[].policy", "tenants[].gpu_ns.*", "tenants[].corrected_ns", "tenants[].corrected_ns.*", "tenants[].periods", "tenants[].periods.*"}, "tenants": {"errors", "error.tenant", "differences", "differences[].fields[].engagement", "differences[].fields[].renewal_found",
        "differences[].fields[].renewal_asked"}, "info": {"differences"},
    "totals": {"errors", "error.tenant"},
}
# Keys that may be a string or a number.
EITHER = {"broker-line": {"id"}}
# An update reports only the fields that it changed.
UPDATED = {"max_messages_per_sec", "max_messages_per_minute", "max_messages_per_hour", "max_messages_per_day", "burst", "max_gpu_memory_bytes",
           "max_concurrent_kernels", "budgets", "name", "shadow", "suspended", "alerts"}
# Fields that all kinds of events share: the test damages them once.
ALIKE = {"schema", "registry", "ring", "sequence", "level", "type", "time", "time_ns", "monotonic_ns", "count", "actor", "pid", "incarnation",
         "seq", "at_ns", "mac"}
# Commands that print no JSON.
NO_JSON = {"metrics", "completion", "help"}

failed = 0


def fail(text):
    global failed
    failed += 1
    if failed <= 20:
        print("# " + text[:1500], file=sys.stderr)


class Schemas:
    def __init__(self, folder):
        paths = sorted(pathlib.Path(folder).resolve().glob("*.json"))
        self.all = {path.stem: json.loads(path.read_text()) for path in paths}
        self.store = {path.as_uri(): self.all[path.stem] for path in paths}
        self.uri = {path.stem: path.as_uri() for path in paths}
        for name, schema in self.all.items():
            jsonschema.Draft202012Validator.check_schema(schema)
            if "$schema" not in schema:
                fail(f"{name}: says not what it is")
        self.cache = {}

    def validator(self, name, part=None):
        key = (name, json.dumps(part))
        if key not in self.cache:
            resolver = jsonschema.RefResolver(self.uri[name], self.all[name], store=self.store)
            self.cache[key] = jsonschema.Draft202012Validator(self.all[name] if part is None else part, resolver=resolver)
        return self.cache[key]


def values_of(path):
    text, decoder, at = pathlib.Path(path).read_text(), json.JSONDecoder(), 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        value, at = decoder.raw_decode(text, at)
        yield value


def places(value, where=""):
    """Each object and its keys, as (the way there, its form)."""
    if isinstance(value, dict):
        yield (), where
        for key, inner in value.items():
            for way, form in places(inner, f"{where}.{key}" if where else key):
                yield (key,) + way, form
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            for way, form in places(inner, where + "[]"):
                yield (i,) + way, form


def at(value, way):
    for step in way:
        value = value[step]
    return value


def star(form):
    return re.sub(r"[^.]+$", "*", form)


def may_miss(schema, form, value):
    allowed = OPTIONAL.get(schema, set())
    return form in allowed or star(form) in allowed or (value.get("kind") == "update" and form in UPDATED)


def spoilt(schema, value):
    """(what was done, the spoilt value)"""
    for way, form in places(value):
        there = at(value, way)
        yield f"{form}: a key more", way, there | {"unknown_key": "1"}
        for key, was in there.items():
            path = f"{form}.{key}" if form else key
            if star(path) in OPTIONAL.get(schema, ()):
                path = star(path)  # one key of a map stands for all
            without = {k: v for k, v in there.items() if k != key}
            if not may_miss(schema, path, value):
                yield f"{path} is missing", way, without
            if path in EITHER.get(schema, ()):
                others = [[], True]
            elif isinstance(was, str):
                others = [-5, []] + ["1.5"] * bool(re.fullmatch("[0-9]+", was))
            elif was is None:
                others = [[]]
            else:
                others = ["5", {} if isinstance(was, list) else []]
            for other in others:
                yield f"{path} is {other!r}", way, there | {key: other}


def replaced(value, way, there):
    if not way:
        return there
    value = copy.copy(value)
    value[way[0]] = replaced(value[way[0]], way[1:], there)
    return value


def alternatives(schema):
    """Each oneOf in it, but those that only say which keys come together."""
    if isinstance(schema, dict):
        if "oneOf" in schema and not all(set(one) == {"required"} for one in schema["oneOf"]):
            yield schema["oneOf"]
        for inner in schema.values():
            yield from alternatives(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from alternatives(inner)


def references(schema):
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"]
        for inner in schema.values():
            yield from references(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from references(inner)


def main(folder, manifest, help_file):
    schemas, used, tried = Schemas(folder), {}, set()
    mutants = 0
    for line in pathlib.Path(manifest).read_text().splitlines():
        name, path, command = line.split("\t")
        validator = schemas.validator(name)
        found = list(values_of(path))
        if not found:
            fail(f"{command}: printed nothing")
        for value in found:
            used.setdefault(name, []).append(value)
            for error in validator.iter_errors(value):
                fail(f"{command}: not as {name}.json says: {'/'.join(map(str, error.absolute_path))}: {error.message}")
                break
            for what, way, there in spoilt(name, value):
                key = (name, re.sub(r"floor_rows\.[a-z0-9_]+_ns\.", "floor_rows.*.", what),
                       None if what.split(" ", 1)[0] in ALIKE else value.get("kind"), value.get("decision"), type(value.get("reason")))
                if key in tried:
                    continue
                tried.add(key)
                mutants += 1
                if validator.is_valid(replaced(value, way, there)):
                    fail(f"{name}.json: {command}: {what}, and it is not refused")

    # each schema must be used, and each of its alternatives
    for name, schema in schemas.all.items():
        if name == "definitions":
            continue
        if name not in used:
            fail(f"{name}.json: nothing that it describes was printed")
            continue
        users = [other for other in used if other == name or any(ref.startswith(name + ".json") for ref in references(schemas.all[other]))]
        for choice in alternatives(schema):
            for one in choice:
                check = schemas.validator(name, one)
                if not any(check.is_valid(value) for user in users for value in used[user]):
                    fail(f"{name}.json: no output was of this form: {json.dumps(one)[:200]}")
    refs = {ref.rsplit("/", 1)[-1] for schema in schemas.all.values() for ref in references(schema)}
    for part in schemas.all["definitions"]["$defs"]:
        if part not in refs:
            fail(f"definitions.json: nobody refers to {part}")

    # each command must have a schema
    described = {of for schema in schemas.all.values() for of in schema.get("x-output-of", [])}
    ran = {line.split("\t")[2] for line in pathlib.Path(manifest).read_text().splitlines()}
    commands = set()
    for line in pathlib.Path(help_file).read_text().splitlines():
        match = re.match(r"  ([a-z]+)( [a-z]+)?(?= |$)", line)
        if match and not line.startswith("   "):
            words = match.group(1) + (match.group(2) or "")
            commands.add(words if match.group(1) in ("budget", "audit") else match.group(1))
    if len(commands) < 28:
        fail(f"only {len(commands)} commands in the help: {sorted(commands)}")
    for command in commands - NO_JSON:
        if "k2k-tenantctl " + command not in described:
            fail(f"k2k-tenantctl {command}: no schema has it in x-output-of")
    for of in described:
        if of not in ran:
            fail(f"{of}: described by a schema, but not run here")
    for of in ran - described:
        fail(f"{of}: run here, but no schema has it in x-output-of")
    if failed:
        sys.exit(f"# {failed} failed")
    print(f"# {sum(map(len, used.values()))} values by {len(used)} schemas, {mutants} spoilt ones")


main(*sys.argv[1:])
