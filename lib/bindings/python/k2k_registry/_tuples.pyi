# SPDX-License-Identifier: LGPL-2.1-or-later
# Generated from <k2k/registry.h> by lib/bindings/generate: don't edit.
from typing import NamedTuple, Tuple

class audit_tag(NamedTuple):
    org_id: int
    engagement_id: int

class budget(NamedTuple):
    engagement_id: int
    budget_ns: int

class budget_terms(NamedTuple):
    renewal: int

class verdict(NamedTuple):
    code: int
    shadow_code: int
    used: int
    limit: int
    remaining: int
    retry_after_ns: int
    window: int

class lease(NamedTuple):
    id: int
    generation: int
    amount: int

class error_detail(NamedTuple):
    code: int
    system_errno: int
    expected: int
    found: int
    pid: int
    object: str
    field: str
    text: str

class simulated_time(NamedTuple):
    monotonic_ns: int
    wall_ns: int

class create_options(NamedTuple):
    max_tenants: int
    max_engagements: int
    max_leases: int
    max_budgets: int
    mode: int
    gid: int
    max_audit_events: int
    max_brokers: int
    max_kernels: int

class registry_plan(NamedTuple):
    defs_bytes: int
    live_bytes: int
    total_bytes: int
    shm_free_bytes: int
    memory_free_bytes: int
    cgroup_free_bytes: int
    max_tenants: int
    max_engagements: int
    max_leases: int
    max_budgets: int
    max_audit_events: int
    max_brokers: int
    max_kernels: int

class table_info(NamedTuple):
    used: int
    retired: int
    capacity: int

class registry_info(NamedTuple):
    name: str
    uuid: str
    layout_version: int
    brokers: int
    created_at_ns: int
    defs_bytes: int
    live_bytes: int
    generation: int
    grace_token: int
    unknown_tenant_total: int
    cross_tenant_total: int
    owner_uid: int
    owner_gid: int
    defs_mode: int
    live_mode: int
    tenants: table_info
    engagements: table_info
    leases: table_info
    budgets: table_info
    max_audit_events: int
    cut_gpu_ns: int
    max_brokers: int
    max_kernels: int

class finding(NamedTuple):
    invariant: str
    object: str
    text: str

class repair_info(NamedTuple):
    tenants: int
    budgets: int
    engagements: int
    leases: int
    brokers: int
    files: int
    damaged: int
    cut_leases: int
    cut_gpu_ns: int
    unattributed_ns: int

class rejected(NamedTuple):
    rate: int
    budget: int
    kernels: int
    gpu_memory: int

class tenant_info(NamedTuple):
    id: int
    generation: int
    registered_at_ns: int
    max_messages_per_sec: int
    max_gpu_memory_bytes: int
    max_concurrent_kernels: int
    budget_count: int
    admitted_total: int
    rejected_total: rejected
    messages_this_second: int
    window: int
    unattributed_ns: int
    kernels: int
    gpu_memory_bytes: int
    burst: int
    rate_policy: int
    rate_period: int
    shadow: int
    suspended: int
    name: str
    alerts: Tuple[int, ...]
    alerted_rate: int
    alerted_kernels: int
    alerted_gpu_memory: int
    shadow_rejected_total: rejected
    suspended_rejected_total: int
    rate_alone: int
    rate_shared: int
    rate_holds: int

class tenant_totals(NamedTuple):
    id: int
    generation: int
    admitted_total: int
    rejected_total: rejected
    gpu_ns_total: int
    unattributed_ns: int
    kernels: int
    gpu_memory_bytes: int
    final: int
    shadow_rejected_total: rejected
    suspended_rejected_total: int
    corrected_ns: int

class budget_use(NamedTuple):
    period: int
    began_at_ns: int
    next_began_at_ns: int
    used_ns: int

class usage(NamedTuple):
    engagement_id: int
    gpu_ns: int

class shares(NamedTuple):
    epoch: int
    until_ns: int
    now_ns: int

class budget_info(NamedTuple):
    id: int
    generation: int
    engagement_id: int
    budget_ns: int
    used_ns: int
    renewal: int
    alerted: int
    period: int
    began_at_ns: int
    renews_at_ns: int
    corrected_ns: int
    reserved_ns: int

class broker_info(NamedTuple):
    slot: int
    state: int
    incarnation: int
    pid: int
    pid_namespace: int
    attached_at_ns: int
    comm: str
    kernels: int
    gpu_memory_bytes: int
    cross_tenant_total: int
    unknown_tenant_total: int
    grace_behind: int

class lease_info(NamedTuple):
    id: int
    generation: int
    slot: int
    pid: int
    kernels: int
    gpu_memory_bytes: int
    engagement_id: int
    reserved_ns: int

class usage_info(NamedTuple):
    id: int
    generation: int
    engagement_id: int
    gpu_ns: int
    corrected_ns: int
    reserved_ns: int

class reservation(NamedTuple):
    id: int
    tag: audit_tag
    generation: int
    number: int
    reserved_ns: int
    over_ns: int
    place: int

class kernel_address(NamedTuple):
    words: Tuple[int, ...]

class kernel_info(NamedTuple):
    name: str
    id: int
    generation: int
    tag: audit_tag
    address: kernel_address
    incarnation: int
    pid: int
    broker: int

class route(NamedTuple):
    tenant: int
    generation: int
    tag: audit_tag
    to_tenant: int
    address: kernel_address
    incarnation: int
    broker: int

class audit_record(NamedTuple):
    ring: int
    kind: int
    level: int
    type: int
    code: int
    sequence: int
    time_ns: int
    monotonic_ns: int
    count: int  # type: ignore[assignment]
    tenant: int
    to: int
    generation: int
    tag: audit_tag
    used: int
    limit: int
    pid: int
    incarnation: int
    values: Tuple[int, ...]
    actor: str
    source: str
    destination: str
    comm: str

class audit_position(NamedTuple):
    next: int
    damaged: int

class audit_follower_info(NamedTuple):
    index: int  # type: ignore[assignment]
    state: int
    pid: int
    comm: str
    attached_at_ns: int
    said_ago_ns: int
    failures: int
    failing_since_ns: int
    behind: int
    overwritten: int
    lost: int
    damaged: int
    lost_from: int
    lost_count: int
    lost_at_ns: int
    overwritten_from: int
    overwritten_count: int
    lost_ring: int
    overwritten_ring: int
