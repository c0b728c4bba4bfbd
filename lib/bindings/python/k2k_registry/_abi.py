# SPDX-License-Identifier: LGPL-2.1-or-later
"""Generated from <k2k/registry.h> by lib/bindings/generate: don't edit."""
from ctypes import CFUNCTYPE, POINTER, Structure, c_char, c_char_p, c_int, c_int32, c_int64, c_size_t, c_uint8, c_uint32, c_uint64, c_void_p

K2K_VERSION_MAJOR = 0
K2K_VERSION_MINOR = 2
K2K_VERSION_PATCH = 0
K2K_NAME_MAX = 64
K2K_BROKERS_MAX = 64
K2K_BROKERS_MOST = 1024
K2K_ADMIT_MAX = 4294967296
K2K_RATE_MAX = 8589934592
K2K_UNLIMITED = 18446744073709551615
K2K_UNLIMITED_KERNELS = 4294967295
K2K_NEVER_NS = 18446744073709551615
K2K_TENANT_UNSPECIFIED = 0
K2K_TENANT_NAME_MAX = 31
K2K_ALERTS_MAX = 4
K2K_BUDGET_PERIODS_KEPT = 12
K2K_LEASE_SLOT_NONE = 4294967295
K2K_KERNEL_NAME_MAX = 63
K2K_AUDIT_RINGS = 129
K2K_AUDIT_RING_ADMIN = 64
K2K_AUDIT_RING_SECURITY = 65
K2K_AUDIT_FURTHER_RINGS_MAX = 1920
K2K_AUDIT_KINDS = 16
K2K_AUDIT_KINDS_MAX = 64
K2K_AUDIT_VALUES = 10
K2K_AUDIT_NAME_MAX = 67
K2K_AUDIT_REASON_MAX = 63
K2K_RENEWAL_KEEP = 0
K2K_RENEWAL_NEVER = 1
K2K_RENEWAL_HOUR = 2
K2K_RENEWAL_DAY = 3
K2K_RENEWAL_WEEK = 4
K2K_RENEWAL_MONTH = 5
K2K_RATE_WINDOW = 0
K2K_RATE_BUCKET = 1
K2K_PERIOD_SECOND = 0
K2K_PERIOD_MINUTE = 1
K2K_PERIOD_HOUR = 2
K2K_PERIOD_DAY = 3
K2K_UPDATE_RATE = 1
K2K_UPDATE_GPU_MEMORY = 2
K2K_UPDATE_KERNELS = 4
K2K_UPDATE_BUDGETS = 8
K2K_UPDATE_NAME = 16
K2K_UPDATE_SHADOW = 32
K2K_UPDATE_ALERTS = 64
K2K_UPDATE_SUSPENDED = 128
K2K_LEASE_KERNEL = 1
K2K_LEASE_GPU_MEMORY = 2
K2K_OK = 0
K2K_EPERM = -1
K2K_ENOREGISTRY = -2
K2K_EIO = -5
K2K_ENOMEM = -12
K2K_EBUSY = -16
K2K_EEXIST = -17
K2K_EINVAL = -22
K2K_EFULL = -28
K2K_EUNSPECIFIED = -5001
K2K_ENOTENANT = -5002
K2K_ENOBUDGET = -5003
K2K_ERATE = -5004
K2K_EBUDGET = -5005
K2K_EKERNELS = -5006
K2K_EGPUMEM = -5007
K2K_EUNBOOKED = -5008
K2K_EGONE = -5009
K2K_ENOTHELD = -5010
K2K_ESTALE = -5011
K2K_ENOBROKERSLOT = -5012
K2K_ELAYOUT = -5013
K2K_EBOOT = -5014
K2K_EOWNER = -5015
K2K_ECORRUPT = -5016
K2K_EFENCED = -5017
K2K_EFORKED = -5018
K2K_EROLE = -5019
K2K_ENOAUDIT = -5020
K2K_ESUSPENDED = -5021
K2K_ENOKERNEL = -5022
K2K_ECROSSTENANT = -5023
K2K_ROLE_ADMIN = 1
K2K_ROLE_BROKER = 2
K2K_ROLE_OBSERVER = 3
K2K_OPEN_CALLER_FORK_HOOKS = 1
K2K_OPEN_OWNER_UID = 2
K2K_OPEN_TIMEOUT = 4
K2K_OPEN_FOLLOWER = 8
K2K_OPEN_CLOCK = 16
K2K_CREATE_GROUP = 1
K2K_CREATE_MODE = 2
K2K_CREATE_REQUIRE_AUDIT = 4
K2K_CREATE_SIMULATED = 8
K2K_CREATE_STRICT = 16
K2K_DESTROY_FORCE = 1
K2K_INFO_AUDIT_SINK = 1
K2K_INFO_REQUIRE_AUDIT = 2
K2K_INFO_SIMULATED = 4
K2K_INFO_STRICT = 8
K2K_TENANT_DAMAGED = 1
K2K_BUDGET_USE_PENDING = 1
K2K_BROKER_ACTIVE = 1
K2K_BROKER_STOPPED = 2
K2K_BROKER_DEAD = 3
K2K_BROKER_UNKNOWN = 4
K2K_KERNEL_STALE = 1
K2K_ROUTE_SOURCE = 1
K2K_ROUTE_DESTINATION = 2
K2K_ROUTE_DESTINATION_STALE = 4
K2K_AUDIT_INFO = 1
K2K_AUDIT_WARNING = 2
K2K_AUDIT_SECURITY = 3
K2K_AUDIT_SECURITY_VIOLATION = 1
K2K_AUDIT_RESOURCE_LIMIT_EXCEEDED = 2
K2K_AUDIT_AUTHORIZATION_CHECK = 3
K2K_AUDIT_CONFIGURATION_CHANGE = 4
K2K_AUDIT_KIND_CROSS_TENANT = 1
K2K_AUDIT_KIND_RATE = 2
K2K_AUDIT_KIND_BUDGET = 3
K2K_AUDIT_KIND_KERNELS = 4
K2K_AUDIT_KIND_GPU_MEMORY = 5
K2K_AUDIT_KIND_UNKNOWN_TENANT = 6
K2K_AUDIT_KIND_REGISTER = 7
K2K_AUDIT_KIND_UPDATE = 8
K2K_AUDIT_KIND_DEREGISTER = 9
K2K_AUDIT_KIND_BUDGET_CHANGE = 10
K2K_AUDIT_KIND_BROKER_DEAD = 11
K2K_AUDIT_KIND_CREATED = 12
K2K_AUDIT_KIND_DESTROYED = 13
K2K_AUDIT_KIND_REPAIR = 14
K2K_AUDIT_KIND_FINAL_TOTALS = 15
K2K_AUDIT_KIND_CORRECTION = 16
K2K_AUDIT_KIND_BUDGET_RENEWED = 17
K2K_AUDIT_KIND_SUSPENDED = 18
K2K_AUDIT_KIND_ALERT = 19
K2K_AUDIT_REGISTER_RATE = 0
K2K_AUDIT_REGISTER_GPU_MEMORY = 1
K2K_AUDIT_REGISTER_KERNELS = 2
K2K_AUDIT_REGISTER_BUDGETS = 3
K2K_AUDIT_REGISTER_MASK = 4
K2K_AUDIT_REGISTER_BURST = 5
K2K_AUDIT_REGISTER_MODE = 7
K2K_AUDIT_REGISTER_ALERTS = 8
K2K_ALERT_RATE = 1
K2K_ALERT_BUDGET = 2
K2K_ALERT_KERNELS = 3
K2K_ALERT_GPU_MEMORY = 4
K2K_AUDIT_ALERT_PERCENT = 0
K2K_AUDIT_ALERT_LIMIT = 1
K2K_AUDIT_ALERT_SEQUENCE = 2
K2K_AUDIT_MODE_SHADOW = 1
K2K_AUDIT_MODE_SUSPENDED = 2
K2K_AUDIT_MODE_BUCKET = 4
K2K_AUDIT_MODE_SHARED = 8
K2K_AUDIT_MODE_PERIOD = 48
K2K_AUDIT_MODE_PERIOD_SHIFT = 4
K2K_AUDIT_BUDGET_RENEWAL = 0
K2K_AUDIT_TOTALS_ADMITTED = 0
K2K_AUDIT_TOTALS_REJECTED_RATE = 1
K2K_AUDIT_TOTALS_REJECTED_BUDGET = 2
K2K_AUDIT_TOTALS_REJECTED_KERNELS = 3
K2K_AUDIT_TOTALS_REJECTED_MEMORY = 4
K2K_AUDIT_TOTALS_GPU_NS = 5
K2K_AUDIT_TOTALS_UNATTRIBUTED_NS = 6
K2K_AUDIT_TOTALS_KERNELS = 7
K2K_AUDIT_TOTALS_GPU_MEMORY = 8
K2K_AUDIT_DEAD_SLOT = 0
K2K_AUDIT_DEAD_KERNELS = 1
K2K_AUDIT_DEAD_GPU_MEMORY = 2
K2K_AUDIT_DEAD_LEASES = 3
K2K_AUDIT_DEAD_ATTACHED_AT_NS = 4
K2K_AUDIT_CREATED_MAX_TENANTS = 0
K2K_AUDIT_CREATED_MAX_ENGAGEMENTS = 1
K2K_AUDIT_CREATED_MAX_LEASES = 2
K2K_AUDIT_CREATED_MAX_BUDGETS = 3
K2K_AUDIT_CREATED_MAX_EVENTS = 4
K2K_AUDIT_CREATED_MODE = 5
K2K_AUDIT_CREATED_MAX_BROKERS = 6
K2K_AUDIT_DESTROYED_FLAGS = 0
K2K_AUDIT_DESTROYED_BROKERS = 1
K2K_AUDIT_REPAIR_TENANTS = 0
K2K_AUDIT_REPAIR_BUDGETS = 1
K2K_AUDIT_REPAIR_ENGAGEMENTS = 2
K2K_AUDIT_REPAIR_LEASES = 3
K2K_AUDIT_REPAIR_BROKERS = 4
K2K_AUDIT_REPAIR_DAMAGED = 5
K2K_AUDIT_REPAIR_CUT_LEASES = 6
K2K_AUDIT_REPAIR_CUT_GPU_NS = 7
K2K_AUDIT_REPAIR_UNATTRIBUTED_NS = 8
K2K_AUDIT_CORRECTION_NS = 0
K2K_AUDIT_CORRECTION_SUM_NS = 1
K2K_AUDIT_CORRECTION_REQUEST = 2
K2K_AUDIT_RENEWED_PERIOD = 0
K2K_AUDIT_RENEWED_BEGAN_AT_NS = 1
K2K_AUDIT_RENEWED_CLOSED_BEGAN_AT_NS = 2
K2K_AUDIT_RENEWED_CLOSED_USED_NS = 3
K2K_AUDIT_OPEN = 1
K2K_AUDIT_LOST = 2
K2K_AUDIT_CUT_SOURCE = 4
K2K_AUDIT_CUT_DESTINATION = 8
K2K_AUDIT_DAMAGED = 16
K2K_AUDIT_SHADOW = 32
K2K_AUDIT_OPEN_TOO = 1
K2K_AUDIT_DAMAGED_TOO = 2
K2K_AUDIT_FAILING = 1
K2K_FOLLOWER_NONE = 1
K2K_FOLLOWER_ACTIVE = 2
K2K_FOLLOWER_SILENT = 3
K2K_FOLLOWER_FAILING = 4
K2K_FOLLOWER_DEAD = 5


class k2k_audit_tag(Structure):
    _fields_ = [
        ("org_id", c_uint64),
        ("engagement_id", c_uint64),
    ]


class k2k_budget(Structure):
    _fields_ = [
        ("engagement_id", c_uint64),
        ("budget_ns", c_uint64),
    ]


class k2k_budget_terms(Structure):
    _fields_ = [
        ("renewal", c_uint32),
        ("reserved", c_uint32),
    ]


class k2k_quota(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("max_messages_per_sec", c_uint64),
        ("max_gpu_memory_bytes", c_uint64),
        ("max_concurrent_kernels", c_uint32),
        ("budget_count", c_uint32),
        ("budgets", POINTER(k2k_budget)),
        ("burst", c_uint64),
        ("rate_policy", c_uint32),
        ("rate_period", c_uint32),
        ("name", c_char_p),
        ("shadow", c_uint32),
        ("alerts", c_uint8 * 4),
        ("budget_terms", POINTER(k2k_budget_terms)),
        ("rate_alone", c_uint64),
        ("rate_shared", c_uint32),
        ("reserved", c_uint32),
    ]


class k2k_verdict(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("code", c_int32),
        ("shadow_code", c_int32),
        ("used", c_uint64),
        ("limit", c_uint64),
        ("remaining", c_uint64),
        ("retry_after_ns", c_uint64),
        ("window", c_uint64),
    ]


class k2k_lease(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("id", c_uint64),
        ("generation", c_uint64),
        ("amount", c_uint64),
    ]


class k2k_error_detail(Structure):
    _fields_ = [
        ("code", c_int32),
        ("system_errno", c_int32),
        ("expected", c_uint64),
        ("found", c_uint64),
        ("pid", c_uint64),
        ("object", c_char * 32),
        ("field", c_char * 32),
        ("text", c_char * 256),
    ]


class k2k_simulated_time(Structure):
    _fields_ = [
        ("monotonic_ns", c_uint64),
        ("wall_ns", c_uint64),
    ]


class k2k_open_options(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("timeout_ns", c_uint64),
        ("owner_uid", c_uint32),
        ("reserved", c_uint32),
        ("actor", c_char_p),
        ("clock", POINTER(k2k_simulated_time)),
    ]


class k2k_create_options(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("max_tenants", c_uint64),
        ("max_engagements", c_uint64),
        ("max_leases", c_uint64),
        ("max_budgets", c_uint64),
        ("mode", c_uint32),
        ("gid", c_uint32),
        ("max_audit_events", c_uint64),
        ("max_brokers", c_uint64),
        ("max_kernels", c_uint64),
    ]


class k2k_registry_plan(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("defs_bytes", c_uint64),
        ("live_bytes", c_uint64),
        ("total_bytes", c_uint64),
        ("shm_free_bytes", c_uint64),
        ("memory_free_bytes", c_uint64),
        ("cgroup_free_bytes", c_uint64),
        ("max_tenants", c_uint64),
        ("max_engagements", c_uint64),
        ("max_leases", c_uint64),
        ("max_budgets", c_uint64),
        ("max_audit_events", c_uint64),
        ("max_brokers", c_uint64),
        ("max_kernels", c_uint64),
    ]


class k2k_table_info(Structure):
    _fields_ = [
        ("used", c_uint64),
        ("retired", c_uint64),
        ("capacity", c_uint64),
    ]


class k2k_registry_info(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("name", c_char * 72),
        ("uuid", c_char * 40),
        ("layout_version", c_uint32),
        ("brokers", c_uint32),
        ("created_at_ns", c_uint64),
        ("defs_bytes", c_uint64),
        ("live_bytes", c_uint64),
        ("generation", c_uint64),
        ("grace_token", c_uint64),
        ("unknown_tenant_total", c_uint64),
        ("cross_tenant_total", c_uint64),
        ("owner_uid", c_uint32),
        ("owner_gid", c_uint32),
        ("defs_mode", c_uint32),
        ("live_mode", c_uint32),
        ("tenants", k2k_table_info),
        ("engagements", k2k_table_info),
        ("leases", k2k_table_info),
        ("budgets", k2k_table_info),
        ("max_audit_events", c_uint64),
        ("cut_gpu_ns", c_uint64),
        ("max_brokers", c_uint64),
        ("max_kernels", c_uint64),
    ]


class k2k_finding(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("invariant", c_char * 8),
        ("object", c_char * 32),
        ("text", c_char * 160),
    ]


class k2k_repair_info(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("tenants", c_uint64),
        ("budgets", c_uint64),
        ("engagements", c_uint64),
        ("leases", c_uint64),
        ("brokers", c_uint64),
        ("files", c_uint64),
        ("damaged", c_uint64),
        ("cut_leases", c_uint64),
        ("cut_gpu_ns", c_uint64),
        ("unattributed_ns", c_uint64),
    ]


class k2k_rejected(Structure):
    _fields_ = [
        ("rate", c_uint64),
        ("budget", c_uint64),
        ("kernels", c_uint64),
        ("gpu_memory", c_uint64),
    ]


class k2k_tenant_info(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("id", c_uint64),
        ("generation", c_uint64),
        ("registered_at_ns", c_uint64),
        ("max_messages_per_sec", c_uint64),
        ("max_gpu_memory_bytes", c_uint64),
        ("max_concurrent_kernels", c_uint32),
        ("budget_count", c_uint32),
        ("admitted_total", c_uint64),
        ("rejected_total", k2k_rejected),
        ("messages_this_second", c_uint64),
        ("window", c_uint64),
        ("unattributed_ns", c_uint64),
        ("kernels", c_uint64),
        ("gpu_memory_bytes", c_uint64),
        ("burst", c_uint64),
        ("rate_policy", c_uint32),
        ("rate_period", c_uint32),
        ("shadow", c_uint32),
        ("suspended", c_uint32),
        ("name", c_char * 32),
        ("alerts", c_uint8 * 4),
        ("alerted_rate", c_uint8),
        ("alerted_kernels", c_uint8),
        ("alerted_gpu_memory", c_uint8),
        ("reserved", c_uint8),
        ("shadow_rejected_total", k2k_rejected),
        ("suspended_rejected_total", c_uint64),
        ("rate_alone", c_uint64),
        ("rate_shared", c_uint32),
        ("rate_holds", c_uint32),
    ]


class k2k_tenant_totals(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("id", c_uint64),
        ("generation", c_uint64),
        ("admitted_total", c_uint64),
        ("rejected_total", k2k_rejected),
        ("gpu_ns_total", c_uint64),
        ("unattributed_ns", c_uint64),
        ("kernels", c_uint64),
        ("gpu_memory_bytes", c_uint64),
        ("final", c_uint32),
        ("reserved", c_uint32),
        ("shadow_rejected_total", k2k_rejected),
        ("suspended_rejected_total", c_uint64),
        ("corrected_ns", c_int64),
    ]


class k2k_budget_use(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("period", c_uint64),
        ("began_at_ns", c_uint64),
        ("next_began_at_ns", c_uint64),
        ("used_ns", c_uint64),
    ]


class k2k_budget_image(Structure):
    _fields_ = [
        ("engagement_id", c_uint64),
        ("period", c_uint64),
        ("began_at_ns", c_uint64),
        ("used_ns", c_uint64),
        ("corrected_ns", c_int64),
        ("closed", POINTER(k2k_budget_use)),
        ("closed_count", c_uint32),
        ("reserved", c_uint32),
    ]


class k2k_usage(Structure):
    _fields_ = [
        ("engagement_id", c_uint64),
        ("gpu_ns", c_uint64),
    ]


class k2k_tenant_image(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("id", c_uint64),
        ("generation", c_uint64),
        ("registered_at_ns", c_uint64),
        ("admitted_total", c_uint64),
        ("rejected_total", k2k_rejected),
        ("unattributed_ns", c_uint64),
        ("quota", POINTER(k2k_quota)),
        ("usage", POINTER(k2k_usage)),
        ("usage_count", c_uint32),
        ("reserved", c_uint32),
        ("shadow_rejected_total", k2k_rejected),
        ("suspended_rejected_total", c_uint64),
        ("suspended", c_uint64),
        ("corrected_ns", POINTER(c_int64)),
        ("periods", POINTER(k2k_budget_image)),
        ("period_count", c_uint32),
        ("reserved2", c_uint32),
    ]


class k2k_shares(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("epoch", c_uint64),
        ("until_ns", c_uint64),
        ("now_ns", c_uint64),
    ]


class k2k_budget_info(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("id", c_uint64),
        ("generation", c_uint64),
        ("engagement_id", c_uint64),
        ("budget_ns", c_uint64),
        ("used_ns", c_uint64),
        ("renewal", c_uint32),
        ("alerted", c_uint32),
        ("period", c_uint64),
        ("began_at_ns", c_uint64),
        ("renews_at_ns", c_uint64),
        ("corrected_ns", c_int64),
        ("reserved_ns", c_uint64),
    ]


class k2k_broker_info(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("slot", c_uint32),
        ("state", c_uint32),
        ("incarnation", c_uint64),
        ("pid", c_uint64),
        ("pid_namespace", c_uint64),
        ("attached_at_ns", c_uint64),
        ("comm", c_char * 16),
        ("kernels", c_uint64),
        ("gpu_memory_bytes", c_uint64),
        ("cross_tenant_total", c_uint64),
        ("unknown_tenant_total", c_uint64),
        ("grace_behind", c_uint64),
    ]


class k2k_lease_info(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("id", c_uint64),
        ("generation", c_uint64),
        ("slot", c_uint32),
        ("reserved", c_uint32),
        ("pid", c_uint64),
        ("kernels", c_uint64),
        ("gpu_memory_bytes", c_uint64),
        ("engagement_id", c_uint64),
        ("reserved_ns", c_uint64),
    ]


class k2k_usage_info(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("id", c_uint64),
        ("generation", c_uint64),
        ("engagement_id", c_uint64),
        ("gpu_ns", c_uint64),
        ("corrected_ns", c_int64),
        ("reserved_ns", c_uint64),
    ]


class k2k_reservation(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("id", c_uint64),
        ("tag", k2k_audit_tag),
        ("generation", c_uint64),
        ("number", c_uint64),
        ("reserved_ns", c_uint64),
        ("over_ns", c_uint64),
        ("place", c_uint32),
        ("reserved", c_uint32),
    ]


class k2k_kernel_address(Structure):
    _fields_ = [
        ("words", c_uint64 * 2),
    ]


class k2k_kernel_info(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("name", c_char * 64),
        ("id", c_uint64),
        ("generation", c_uint64),
        ("tag", k2k_audit_tag),
        ("address", k2k_kernel_address),
        ("incarnation", c_uint64),
        ("pid", c_uint64),
        ("broker", c_uint32),
        ("reserved", c_uint32),
    ]


class k2k_route(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("tenant", c_uint64),
        ("generation", c_uint64),
        ("tag", k2k_audit_tag),
        ("to_tenant", c_uint64),
        ("address", k2k_kernel_address),
        ("incarnation", c_uint64),
        ("broker", c_uint32),
        ("reserved", c_uint32),
    ]


class k2k_audit_field(Structure):
    _fields_ = [
        ("key", c_char_p),
        ("value", c_char_p),
    ]


class k2k_audit_event(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("level", c_uint32),
        ("type", c_uint32),
        ("code", c_int32),
        ("field_count", c_uint32),
        ("time_ns", c_uint64),
        ("count", c_uint64),
        ("actor", c_char_p),
        ("target", c_char_p),
        ("description", c_char_p),
        ("fields", POINTER(k2k_audit_field)),
    ]


class k2k_audit_record(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("ring", c_uint32),
        ("kind", c_uint32),
        ("level", c_uint32),
        ("type", c_uint32),
        ("code", c_int32),
        ("reserved", c_uint32),
        ("sequence", c_uint64),
        ("time_ns", c_uint64),
        ("monotonic_ns", c_uint64),
        ("count", c_uint64),
        ("tenant", c_uint64),
        ("to", c_uint64),
        ("generation", c_uint64),
        ("tag", k2k_audit_tag),
        ("used", c_uint64),
        ("limit", c_uint64),
        ("pid", c_uint64),
        ("incarnation", c_uint64),
        ("values", c_uint64 * 10),
        ("actor", c_char * 64),
        ("source", c_char * 72),
        ("destination", c_char * 72),
        ("comm", c_char * 16),
    ]


class k2k_audit_position(Structure):
    _fields_ = [
        ("next", c_uint64),
        ("damaged", c_uint64),
    ]


class k2k_audit_cursor(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("wake", c_uint32),
        ("waiting", c_uint32),
        ("next", c_uint64 * 129),
        ("damaged", c_uint64 * 3),
        ("further", POINTER(k2k_audit_position)),
        ("further_count", c_uint64),
    ]


class k2k_audit_follower_info(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("index", c_uint32),
        ("state", c_uint32),
        ("pid", c_uint64),
        ("comm", c_char * 16),
        ("attached_at_ns", c_uint64),
        ("said_ago_ns", c_uint64),
        ("failures", c_uint64),
        ("failing_since_ns", c_uint64),
        ("behind", c_uint64),
        ("overwritten", c_uint64),
        ("lost", c_uint64),
        ("damaged", c_uint64),
        ("lost_from", c_uint64),
        ("lost_count", c_uint64),
        ("lost_at_ns", c_uint64),
        ("overwritten_from", c_uint64),
        ("overwritten_count", c_uint64),
        ("lost_ring", c_uint32),
        ("overwritten_ring", c_uint32),
    ]


class k2k_audit_stats(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("written", c_uint64 * 16),
        ("coalesced", c_uint64 * 16),
        ("lost", c_uint64 * 16),
        ("capacity", c_uint64),
        ("newest", c_uint64 * 129),
        ("written_by_kind", c_uint64 * 64),
        ("coalesced_by_kind", c_uint64 * 64),
        ("lost_by_kind", c_uint64 * 64),
        ("further", POINTER(c_uint64)),
        ("further_count", c_uint64),
    ]


k2k_audit_sink = CFUNCTYPE(None, c_void_p, POINTER(k2k_audit_event))

STRUCTS = [
    k2k_audit_tag,
    k2k_budget,
    k2k_budget_terms,
    k2k_quota,
    k2k_verdict,
    k2k_lease,
    k2k_error_detail,
    k2k_simulated_time,
    k2k_open_options,
    k2k_create_options,
    k2k_registry_plan,
    k2k_table_info,
    k2k_registry_info,
    k2k_finding,
    k2k_repair_info,
    k2k_rejected,
    k2k_tenant_info,
    k2k_tenant_totals,
    k2k_budget_use,
    k2k_budget_image,
    k2k_usage,
    k2k_tenant_image,
    k2k_shares,
    k2k_budget_info,
    k2k_broker_info,
    k2k_lease_info,
    k2k_usage_info,
    k2k_reservation,
    k2k_kernel_address,
    k2k_kernel_info,
    k2k_route,
    k2k_audit_field,
    k2k_audit_event,
    k2k_audit_record,
    k2k_audit_position,
    k2k_audit_cursor,
    k2k_audit_follower_info,
    k2k_audit_stats,
]

PROTOTYPES = {
    "k2k_strerror": (c_char_p, [c_int]),
    "k2k_errname": (c_char_p, [c_int]),
    "k2k_error_detail": (POINTER(k2k_error_detail), []),
    "k2k_registry_plan": (c_int, [POINTER(k2k_create_options), POINTER(k2k_registry_plan)]),
    "k2k_registry_create": (c_int, [c_char_p, POINTER(k2k_create_options), POINTER(c_void_p)]),
    "k2k_registry_open": (c_int, [c_char_p, c_uint32, POINTER(k2k_open_options), POINTER(c_void_p)]),
    "k2k_registry_close": (c_int, [POINTER(c_void_p)]),
    "k2k_registry_destroy": (c_int, [c_char_p, c_uint32, POINTER(k2k_open_options)]),
    "k2k_registry_info": (c_int, [c_void_p, POINTER(k2k_registry_info)]),
    "k2k_registry_check": (c_int, [c_void_p, POINTER(k2k_finding), c_size_t, POINTER(c_size_t)]),
    "k2k_registry_repair": (c_int, [c_void_p, POINTER(k2k_repair_info)]),
    "k2k_repair_list": (c_int, [c_void_p, POINTER(k2k_finding), c_size_t, POINTER(c_size_t)]),
    "k2k_tenant_register": (c_int, [c_void_p, c_uint64, POINTER(k2k_quota)]),
    "k2k_tenant_update": (c_int, [c_void_p, c_uint64, POINTER(k2k_quota), c_uint32]),
    "k2k_tenant_suspend": (c_int, [c_void_p, c_uint64]),
    "k2k_tenant_resume": (c_int, [c_void_p, c_uint64]),
    "k2k_tenant_drain": (c_int, [c_void_p, c_uint64, c_uint64]),
    "k2k_tenant_deregister": (c_int, [c_void_p, c_uint64, POINTER(k2k_tenant_totals)]),
    "k2k_tenant_deregister_many": (c_int, [c_void_p, POINTER(c_uint64), c_size_t, POINTER(k2k_tenant_totals), POINTER(c_int)]),
    "k2k_tenant_restore": (c_int, [c_void_p, POINTER(k2k_tenant_image)]),
    "k2k_generation_pass": (c_int, [c_void_p, c_uint64]),
    "k2k_batch_begin": (c_int, [c_void_p]),
    "k2k_batch_end": (c_int, [c_void_p]),
    "k2k_shares_hold": (c_int, [c_void_p, c_uint64, c_uint64]),
    "k2k_shares_get": (c_int, [c_void_p, POINTER(k2k_shares)]),
    "k2k_tenant_get": (c_int, [c_void_p, c_uint64, POINTER(k2k_tenant_info)]),
    "k2k_tenant_is_registered": (c_int, [c_void_p, c_uint64, POINTER(c_int)]),
    "k2k_tenant_count": (c_int, [c_void_p, POINTER(c_size_t)]),
    "k2k_tenant_find_name": (c_int, [c_void_p, c_char_p, POINTER(c_uint64)]),
    "k2k_tenant_ids": (c_int, [c_void_p, POINTER(c_uint64), c_size_t, POINTER(c_size_t)]),
    "k2k_budget_set": (c_int, [c_void_p, c_uint64, c_uint64, c_uint64]),
    "k2k_budget_unset": (c_int, [c_void_p, c_uint64, c_uint64]),
    "k2k_budget_set_renewing": (c_int, [c_void_p, c_uint64, c_uint64, c_uint64, c_uint32]),
    "k2k_budget_renew": (c_int, [c_void_p, c_uint64, k2k_audit_tag]),
    "k2k_budget_history": (c_int, [c_void_p, c_uint64, k2k_audit_tag, POINTER(k2k_budget_use), c_size_t, POINTER(c_size_t)]),
    "k2k_budget_list": (c_int, [c_void_p, c_uint64, POINTER(k2k_budget_info), c_size_t, POINTER(c_size_t)]),
    "k2k_broker_list": (c_int, [c_void_p, POINTER(k2k_broker_info), c_size_t, POINTER(c_size_t)]),
    "k2k_lease_list": (c_int, [c_void_p, c_uint64, POINTER(k2k_lease_info), c_size_t, POINTER(c_size_t)]),
    "k2k_usage_list": (c_int, [c_void_p, c_uint64, POINTER(k2k_usage_info), c_size_t, POINTER(c_size_t)]),
    "k2k_usage_correct": (c_int, [c_void_p, c_uint64, k2k_audit_tag, c_int64, c_char_p, c_uint64]),
    "k2k_quota_check": (c_int, [c_void_p, c_uint64, k2k_audit_tag, c_uint64, POINTER(k2k_verdict)]),
    "k2k_message_record": (c_int, [c_void_p, c_uint64]),
    "k2k_message_admit": (c_int, [c_void_p, c_uint64, k2k_audit_tag, c_uint64, POINTER(k2k_verdict)]),
    "k2k_usage_track": (c_int, [c_void_p, c_uint64, k2k_audit_tag, c_uint64]),
    "k2k_usage_engagement": (c_int, [c_void_p, k2k_audit_tag, POINTER(c_uint64)]),
    "k2k_usage_engagement_for": (c_int, [c_void_p, c_uint64, k2k_audit_tag, POINTER(c_uint64)]),
    "k2k_usage_reserve": (c_int, [c_void_p, c_uint64, k2k_audit_tag, c_uint64, POINTER(k2k_reservation), POINTER(k2k_verdict)]),
    "k2k_usage_commit": (c_int, [c_void_p, POINTER(k2k_reservation), c_uint64]),
    "k2k_usage_cancel": (c_int, [c_void_p, POINTER(k2k_reservation)]),
    "k2k_usage_reserved": (c_int, [c_void_p, c_uint64, k2k_audit_tag, POINTER(c_uint64)]),
    "k2k_kernel_acquire": (c_int, [c_void_p, c_uint64, POINTER(k2k_lease), POINTER(k2k_verdict)]),
    "k2k_kernel_release": (c_int, [c_void_p, POINTER(k2k_lease)]),
    "k2k_kernel_release_id": (c_int, [c_void_p, c_uint64]),
    "k2k_gpu_memory_acquire": (c_int, [c_void_p, c_uint64, c_uint64, POINTER(k2k_lease), POINTER(k2k_verdict)]),
    "k2k_gpu_memory_release": (c_int, [c_void_p, POINTER(k2k_lease)]),
    "k2k_gpu_memory_release_id": (c_int, [c_void_p, c_uint64, c_uint64]),
    "k2k_kernel_add": (c_int, [c_void_p, c_char_p, c_uint64, k2k_audit_tag, POINTER(k2k_kernel_address), POINTER(k2k_verdict)]),
    "k2k_kernel_remove": (c_int, [c_void_p, c_char_p]),
    "k2k_kernel_find": (c_int, [c_void_p, c_char_p, POINTER(k2k_kernel_info)]),
    "k2k_kernel_list": (c_int, [c_void_p, c_uint64, POINTER(k2k_kernel_info), c_size_t, POINTER(c_size_t)]),
    "k2k_message_route": (c_int, [c_void_p, c_char_p, c_char_p, k2k_audit_tag, c_uint64, POINTER(k2k_route), POINTER(k2k_verdict)]),
    "k2k_audit_level_name": (c_char_p, [c_uint32]),
    "k2k_audit_type_name": (c_char_p, [c_uint32]),
    "k2k_registry_set_audit_sink": (c_int, [c_void_p, k2k_audit_sink, c_void_p]),
    "k2k_audit_cross_tenant": (c_int, [c_void_p, c_uint64, c_uint64, c_char_p, c_char_p, k2k_audit_tag]),
    "k2k_audit_kind_name": (c_char_p, [c_uint32]),
    "k2k_audit_kind_level": (c_uint32, [c_uint32]),
    "k2k_audit_kind_type": (c_uint32, [c_uint32]),
    "k2k_audit_read": (c_int, [c_void_p, POINTER(k2k_audit_cursor), c_uint32, POINTER(k2k_audit_record), c_size_t, POINTER(c_size_t)]),
    "k2k_audit_wait": (c_int, [c_void_p, POINTER(k2k_audit_cursor), c_uint64]),
    "k2k_audit_kept": (c_int, [c_void_p, POINTER(k2k_audit_cursor), c_uint32]),
    "k2k_audit_follower_list": (c_int, [c_void_p, POINTER(k2k_audit_follower_info), c_size_t, POINTER(c_size_t)]),
    "k2k_audit_stats": (c_int, [c_void_p, POINTER(k2k_audit_stats)]),
    "k2k_is_cross_tenant": (c_int, [c_uint64, c_uint64]),
    "k2k_version": (c_char_p, []),
}
