#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""broker.py REGISTRY: a broker that reads JSON lines and answers each with one.

{"op":"kernel","name":"a","tenant":42}                              enters the name, and takes a kernel slot
{"op":"send","from":"a","to":"b","org":1,"engagement":7,"gpu_ns":5}  admits, delivers, books
{"op":"remove","name":"a"}                                          gives both back
"""
import json
import sys

from k2k_registry import AuditTag, Error, Rejected, Role, RouteRefused, TenantRegistry


def answer(registry, request):
    if request["op"] == "kernel":
        registry.add_kernel(request["name"], request["tenant"])     # a kernel of this broker moves to the tenant
        return {"answer": "added"}
    if request["op"] == "remove":
        registry.remove_kernel(request["name"])
        return {"answer": "removed"}
    if request["op"] != "send":
        return {"answer": "error", "text": "op is kernel, send or remove"}
    route = registry.route(request["from"], request["to"], AuditTag(request.get("org", 0), request.get("engagement", 0)))
    registry.track_usage(route.tenant_id, route.tag, request.get("gpu_ns", 0))    # booked after the work, when it was measured
    verdict, to = route.verdict, route.destination                  # whichever broker has it
    return {"answer": "delivered" if to else "not_found", "used": str(verdict.used), "limit": str(verdict.limit)}


def main(name):
    with TenantRegistry.open(name, Role.BROKER) as registry:
        for line in sys.stdin:
            try:
                reply = answer(registry, json.loads(line))
            except RouteRefused as refused:
                reply = {"answer": "stale" if refused.name == "K2K_ESTALE" else "tenant_mismatch"}
            except Rejected as error:
                reply = {"answer": "rejected", "reason": error.name, "retry_after_ns": str(error.verdict.retry_after_ns)}
            except (Error, ValueError, LookupError, TypeError, OverflowError, AttributeError) as error:
                reply = {"answer": "error", "text": f"{type(error).__name__}: {error}"}
            print(json.dumps(reply), flush=True)


main(*sys.argv[1:])
