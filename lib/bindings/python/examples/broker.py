#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""broker.py REGISTRY: a broker that reads JSON lines and answers each with one.

{"op":"kernel","name":"a","tenant":42}                              acquires a kernel slot
{"op":"send","from":"a","to":"b","org":1,"engagement":7,"gpu_ns":5}  admits, delivers, books
{"op":"remove","name":"a"}                                          releases the slot
"""
import json
import sys

from k2k_registry import AuditTag, Error, Rejected, Role, TenantRegistry


def answer(registry, kernels, request):
    if request["op"] == "kernel":
        if request["name"] in kernels:
            return {"answer": "exists"}
        kernels[request["name"]] = request["tenant"], registry.acquire_kernel_slot(request["tenant"])
        return {"answer": "added"}
    if request["op"] == "remove":
        kernels.pop(request["name"])[1].release()
        return {"answer": "removed"}
    if request["op"] != "send":
        return {"answer": "error", "text": "op is kernel, send or remove"}
    source, to = kernels[request["from"]][0], kernels[request["to"]][0]
    tag = AuditTag(request.get("org", 0), request.get("engagement", 0))
    if registry.is_cross_tenant(source, to):
        registry.audit_cross_tenant(source, to, request["from"], request["to"], tag)
        return {"answer": "tenant_mismatch"}
    verdict = registry.admit(source, tag)
    registry.track_usage(source, tag, request.get("gpu_ns", 0))     # booked after the work, when it was measured
    return {"answer": "delivered", "used": str(verdict.used), "limit": str(verdict.limit)}


def main(name):
    with TenantRegistry.open(name, Role.BROKER) as registry:
        kernels = {}                                                # name: tenant, lease
        for line in sys.stdin:
            try:
                reply = answer(registry, kernels, json.loads(line))
            except Rejected as error:
                reply = {"answer": "rejected", "reason": error.name, "retry_after_ns": str(error.verdict.retry_after_ns)}
            except (Error, ValueError, LookupError, TypeError, OverflowError) as error:
                reply = {"answer": "error", "text": f"{type(error).__name__}: {error}"}
            print(json.dumps(reply), flush=True)


main(*sys.argv[1:])
