# SPDX-License-Identifier: LGPL-2.1-or-later
"""A tenant registry that several processes share.

    from k2k_registry import AuditTag, Rejected, Role, TenantQuota, TenantRegistry

    with TenantRegistry.create("example") as admin, TenantRegistry.open("example", Role.BROKER) as broker:
        admin.register(42, TenantQuota(max_messages_per_sec=1000))
        try:
            broker.admit(42, AuditTag(1, 7))
        except Rejected as rejected:
            print(rejected, rejected.verdict.retry_after_ns)

<k2k/registry.h> says what each call promises. A handle has one role: Role.ADMIN changes definitions, Role.BROKER admits,
books and holds leases, Role.OBSERVER reads. Any thread may use a handle; other threads run during a call. After a fork
the child opens handles of its own. Times are in nanoseconds, sizes in bytes; None is "unlimited".
"""
import collections
import ctypes
import enum
import weakref

from . import _abi
from ._load import load

__all__ = ["AuditEvent", "AuditTag", "BudgetUse", "Destination", "Error", "Kernel", "RatePeriod", "RatePolicy", "Rejected",
           "Renewal", "Reservation", "Role", "Route", "RouteRefused", "SimulatedClock", "TenantQuota", "TenantRegistry",
           "UNSPECIFIED_TENANT", "destroy", "is_cross_tenant", "version"]

_lib = load()
UNSPECIFIED_TENANT = _abi.K2K_TENANT_UNSPECIFIED
AuditTag = collections.namedtuple("AuditTag", "org_id engagement_id", defaults=(0, 0))
AuditEvent = collections.namedtuple("AuditEvent", "level type code time_ns count actor target description fields")

# A closed period of a budget. final: it never changes any more.
BudgetUse = collections.namedtuple("BudgetUse", "period began_at_ns next_began_at_ns used_ns final")

# A kernel in the directory. tenant_id None: the registration that it was added under is over. address: two numbers of its
# owner's. broker: the slot of its owner.
Kernel = collections.namedtuple("Kernel", "name tenant_id generation tag address incarnation pid broker")

# An admitted message. tenant_id: of the sender, which was charged, and 0 if from_directory is false; tag: is billed.
# destination: None if the receiver is not in the directory; then the message reaches nobody.
Route = collections.namedtuple("Route", "tenant_id generation tag from_directory destination verdict")
Destination = collections.namedtuple("Destination", "tenant_id address incarnation broker")


class RatePeriod(enum.IntEnum):
    """The period of a rate. It is part of the limit: 60 a minute are not 1 a second."""
    SECOND = _abi.K2K_PERIOD_SECOND
    MINUTE = _abi.K2K_PERIOD_MINUTE
    HOUR = _abi.K2K_PERIOD_HOUR
    DAY = _abi.K2K_PERIOD_DAY


class RatePolicy(enum.IntEnum):
    """What a tenant's info says: a limit in each window of one period, or a token bucket with a burst."""
    WINDOW = _abi.K2K_RATE_WINDOW
    BUCKET = _abi.K2K_RATE_BUCKET


class Renewal(enum.IntEnum):
    """How often a budget renews: at full hours, at midnight, on Mondays, on the first of a month, in UTC."""
    NEVER = _abi.K2K_RENEWAL_NEVER
    HOUR = _abi.K2K_RENEWAL_HOUR
    DAY = _abi.K2K_RENEWAL_DAY
    WEEK = _abi.K2K_RENEWAL_WEEK
    MONTH = _abi.K2K_RENEWAL_MONTH


class Role(enum.IntEnum):
    ADMIN = _abi.K2K_ROLE_ADMIN
    BROKER = _abi.K2K_ROLE_BROKER
    OBSERVER = _abi.K2K_ROLE_OBSERVER


class Error(Exception):
    """A call failed: code, its name ("K2K_EBUSY"), and detail with more about it, or None."""

    def __init__(self, code, detail=None, verdict=None):
        super().__init__(code, detail, verdict)
        self.code, self.detail, self.verdict = code, detail, verdict
        self.name = _lib.k2k_errname(code).decode()

    def __str__(self):
        text = self.detail.text if self.detail else _lib.k2k_strerror(self.code).decode()
        return f"{text}: {self.verdict.used} of {self.verdict.limit}" if self.verdict and self.code in _LIMITS else text


class Rejected(Error):
    """A limit, or a suspension (K2K_ESUSPENDED), rejected the request. verdict has used, limit, remaining, retry_after_ns and
    window. What a limit in shadow would have rejected raises nothing: the verdict's shadow_code is that code then.
    """


class RouteRefused(Error):
    """A message was refused because of whose its kernels are. K2K_ECROSSTENANT: tenant_id is the sender's, to_tenant the
    receiver's; counted and audited. K2K_ESTALE: the registration that one of the two was added under is over, of the
    receiver if destination_is_stale; its owner adds it again.
    """

    def __init__(self, code, route):
        super().__init__(code)
        self.tenant_id, self.to_tenant = route.tenant, route.to_tenant
        self.destination_is_stale = bool(route.flags & _abi.K2K_ROUTE_DESTINATION_STALE)


_LIMITS = (_abi.K2K_ERATE, _abi.K2K_EBUDGET, _abi.K2K_EKERNELS, _abi.K2K_EGPUMEM)
_REJECTIONS = _LIMITS + (_abi.K2K_ESUSPENDED,)
# these codes leave the thread's error detail as it was
_PLAIN = _REJECTIONS + (_abi.K2K_ENOTENANT, _abi.K2K_EUNBOOKED, _abi.K2K_EGONE, _abi.K2K_ENOTHELD, _abi.K2K_ESTALE,
                        _abi.K2K_ENOKERNEL, _abi.K2K_ECROSSTENANT)
_HIDDEN = ("size", "flags", "reserved")
_tuples = {}


def _copy(value):
    """Copies a ctypes struct to a named tuple; bytes become text."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, ctypes.Array):
        return tuple(_copy(item) for item in value)
    if not isinstance(value, ctypes.Structure):
        return value
    kind = type(value)
    names = [field[0] for field in kind._fields_ if field[0] not in _HIDDEN]
    if kind not in _tuples:
        _tuples[kind] = collections.namedtuple(kind.__name__[len("k2k_"):], names)
    return _tuples[kind](*(_copy(getattr(value, name)) for name in names))


def _sized(kind):
    return kind(size=ctypes.sizeof(kind))


def _unsigned(value, bits=64):
    """Checks the range: ctypes would cut a number that is too large, to another tenant or a small limit."""
    if not 0 <= value < 1 << bits:
        raise OverflowError(f"{value} is not in 0 ... 2^{bits} - 1")
    return value


def _limit(value, bits=64):
    return (1 << bits) - 1 if value is None else _unsigned(value, bits)


def _tag(tag):
    return _abi.k2k_audit_tag(_unsigned(tag[0]), _unsigned(tag[1]))


def _try(code, verdict=None):
    if code == 0:
        return
    detail = None if code in _PLAIN else _copy(_lib.k2k_error_detail().contents)
    if code in _REJECTIONS:
        raise Rejected(code, detail, verdict and _copy(verdict))
    raise Error(code, detail)


class TenantQuota:
    """Limits of a tenant; None is unlimited. budgets: nanoseconds of GPU time by engagement.

    max_messages_per_sec counts in each rate_period. With a burst the rate is a token bucket, which admits so many at once;
    without one it is a window. With rate_alone (K2K_UNLIMITED is unlimited) it is this host's share of a rate over many hosts,
    by the second, and rate_alone the limit while no shares hold (hold_shares). renewals: how often budgets renew, by engagement (Renewal); one that is not listed keeps its
    renewal, and a new one never renews. name: of the tenant, which no other has. shadow: the limits are decided, counted and
    audited, but refuse nothing. alerts: thresholds, up to four percentages of the limits in ascending order; an event of the
    audit trail says that one is reached.
    """

    def __init__(self, max_messages_per_sec=100000, max_gpu_memory_bytes=2 << 30, max_concurrent_kernels=16, budgets=(),
                 rate_period=RatePeriod.SECOND, burst=None, renewals=(), name=None, shadow=False, alerts=(),
                 rate_alone=None):
        self.max_messages_per_sec = max_messages_per_sec
        self.max_gpu_memory_bytes = max_gpu_memory_bytes
        self.max_concurrent_kernels = max_concurrent_kernels
        self.budgets = dict(budgets)
        self.rate_period = rate_period
        self.burst = burst
        self.renewals = dict(renewals)
        self.name = name
        self.shadow = shadow
        self.alerts = tuple(alerts)
        self.rate_alone = rate_alone

    @classmethod
    def unlimited(cls):
        return cls(None, None, None)

    standard = classmethod(lambda cls: cls())

    def with_engagement_budget(self, engagement_id, budget_ns, renewal=None):
        """renewal: how often it renews; None as in renewals."""
        self.budgets[engagement_id] = budget_ns
        if renewal is not None:
            self.renewals[engagement_id] = renewal
        return self

    def _native(self):
        native = _sized(_abi.k2k_quota)
        native.max_messages_per_sec = _limit(self.max_messages_per_sec)
        native.max_gpu_memory_bytes = _limit(self.max_gpu_memory_bytes)
        native.max_concurrent_kernels = _limit(self.max_concurrent_kernels, 32)
        native.budget_count = len(self.budgets)
        native.budgets = (_abi.k2k_budget * len(self.budgets))(
            *((_unsigned(engagement), _limit(budget)) for engagement, budget in self.budgets.items()))
        if self.renewals.keys() - self.budgets.keys():
            raise ValueError(f"a renewal without a budget: {self.renewals}")
        if self.renewals:
            native.budget_terms = (_abi.k2k_budget_terms * len(self.budgets))(
                *((_unsigned(self.renewals.get(engagement, _abi.K2K_RENEWAL_KEEP), 32), 0) for engagement in self.budgets))
        native.rate_period = _unsigned(self.rate_period, 32)
        if self.burst is not None:
            native.rate_policy, native.burst = _abi.K2K_RATE_BUCKET, _unsigned(self.burst)
        if self.rate_alone is not None:
            native.rate_shared, native.rate_alone = 1, _unsigned(self.rate_alone)
        native.name = None if self.name is None else _name(self.name)
        native.shadow = bool(self.shadow)
        if len(self.alerts) > len(native.alerts):
            raise ValueError(f"more than {len(native.alerts)} thresholds: {self.alerts}")
        native.alerts[:len(self.alerts)] = [_unsigned(percent, 8) for percent in self.alerts]
        return native


_UPDATES = {"max_messages_per_sec": _abi.K2K_UPDATE_RATE, "max_gpu_memory_bytes": _abi.K2K_UPDATE_GPU_MEMORY,
            "max_concurrent_kernels": _abi.K2K_UPDATE_KERNELS, "budgets": _abi.K2K_UPDATE_BUDGETS,
            "rate_period": _abi.K2K_UPDATE_RATE, "burst": _abi.K2K_UPDATE_RATE, "renewals": _abi.K2K_UPDATE_BUDGETS,
            "name": _abi.K2K_UPDATE_NAME, "shadow": _abi.K2K_UPDATE_SHADOW, "alerts": _abi.K2K_UPDATE_ALERTS,
            "rate_alone": _abi.K2K_UPDATE_RATE}
# without the other one, these would change it, too
_TOGETHER = {"rate_period": "max_messages_per_sec", "burst": "max_messages_per_sec", "rate_alone": "max_messages_per_sec",
             "renewals": "budgets"}


class SimulatedClock:
    """The time of a simulated registry: monotonic_ns decides rates, wall_ns (since 1970) the periods of budgets.

    All handles of the registry need the same clock. Set it between calls; it never steps back.
    """

    def __init__(self, monotonic_ns=0, wall_ns=0):
        self._native = _abi.k2k_simulated_time(_unsigned(monotonic_ns), _unsigned(wall_ns))

    def _later(self, name, value):
        # one aligned store of eight bytes: the library's threads may read at any time
        if _unsigned(value) < getattr(self._native, name):
            raise ValueError(f"{name} would step back to {value}")
        setattr(self._native, name, value)

    @property
    def monotonic_ns(self):
        return self._native.monotonic_ns

    @monotonic_ns.setter
    def monotonic_ns(self, value):
        self._later("monotonic_ns", value)

    @property
    def wall_ns(self):
        return self._native.wall_ns

    @wall_ns.setter
    def wall_ns(self, value):
        self._later("wall_ns", value)

    def advance(self, ns):
        """Moves both by so many nanoseconds."""
        self.monotonic_ns += ns
        self.wall_ns += ns


def _open_options(timeout_ns, owner_uid, actor, clock=None):
    options = _sized(_abi.k2k_open_options)
    if timeout_ns is not None:
        options.flags |= _abi.K2K_OPEN_TIMEOUT
        options.timeout_ns = _unsigned(timeout_ns)
    if owner_uid is not None:
        options.flags |= _abi.K2K_OPEN_OWNER_UID
        options.owner_uid = _unsigned(owner_uid, 32)
    options.actor = actor.encode() if actor is not None else None
    if clock is not None:
        options.flags |= _abi.K2K_OPEN_CLOCK
        options.clock = ctypes.pointer(clock._native)
    return options


def _name(name):
    """Encodes a name; for C a zero byte would end it early."""
    if "\0" in name:
        raise ValueError(f"a name with a zero byte: {name!r}")
    return name.encode()


def _kernel_name(name):
    """Names are bytes; a text is their UTF-8, in which bytes that are none are surrogates, as in names of files."""
    name = name if isinstance(name, bytes) else name.encode(errors="surrogateescape")
    if b"\0" in name:
        raise ValueError(f"a name with a zero byte: {name!r}")
    return name


class _Handle:
    """What closing needs, in an object of its own: so the registry object can be collected, and closed by that."""

    def __init__(self, clock=None):
        self.pointer, self.sink, self.clock = ctypes.c_void_p(), None, clock

    def close(self):
        # the call sets the pointer to null, unless it refuses to close
        code = _lib.k2k_registry_close(ctypes.byref(self.pointer)) if self.pointer else 0
        if not self.pointer:
            self.sink = self.clock = None
        return code


class TenantRegistry:
    """A handle. It is closed at the end of a `with`, when nothing refers to it any more, or when the program ends."""

    def __init__(self, handle, name, role):
        self._handle, self.name, self.role = handle, name, role
        self._end = weakref.finalize(self, _Handle.close, handle)

    @classmethod
    def create(cls, name, mode=None, gid=None, clock=None, strict=False, **sizes):
        """Creates a registry, and opens it as ADMIN. sizes: max_tenants, max_engagements, max_leases, max_budgets, ...

        strict: route() refuses messages from kernels that are not in the directory; otherwise their tenant is 0.

        clock: a SimulatedClock makes a simulated registry, for tests: it decides for this time, and is opened with it.
        """
        options, handle = _sized(_abi.k2k_create_options), _Handle()
        for size, value in sizes.items():
            if not size.startswith("max_") or not hasattr(options, size):
                raise TypeError(f"create() knows no {size}")
            setattr(options, size, _unsigned(value))
        if mode is not None:
            options.flags |= _abi.K2K_CREATE_MODE
            options.mode = _unsigned(mode, 32)
        if gid is not None:
            options.flags |= _abi.K2K_CREATE_GROUP
            options.gid = _unsigned(gid, 32)
        if strict:
            options.flags |= _abi.K2K_CREATE_STRICT
        if clock is not None:
            options.flags |= _abi.K2K_CREATE_SIMULATED
            _try(_lib.k2k_registry_create(_name(name), ctypes.byref(options), None))
            return cls.open(name, Role.ADMIN, clock=clock)
        _try(_lib.k2k_registry_create(_name(name), ctypes.byref(options), ctypes.byref(handle.pointer)))
        return cls(handle, name, Role.ADMIN)

    @classmethod
    def open(cls, name, role=Role.OBSERVER, timeout_ns=None, owner_uid=None, actor=None, clock=None):
        options, handle = _open_options(timeout_ns, owner_uid, actor, clock), _Handle(clock)
        _try(_lib.k2k_registry_open(_name(name), role, ctypes.byref(options), ctypes.byref(handle.pointer)))
        return cls(handle, name, Role(role))

    def close(self):
        code = self._handle.close()
        if not self._handle.pointer:
            self._end.detach()
        _try(code)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __len__(self):
        return self.tenant_count()

    def __contains__(self, tenant_id):
        return self.is_registered(tenant_id)

    def __bool__(self):
        return True

    def __repr__(self):
        state = "" if self._handle.pointer else ", closed"
        return f"<TenantRegistry {self.name!r}, {self.role.name.lower()}{state}>"

    def _call(self, function, *arguments):
        _try(function(self._handle.pointer, *arguments))

    def _filled(self, function, kind, *arguments):
        result = _sized(kind)
        _try(function(self._handle.pointer, *arguments, ctypes.byref(result)))
        return _copy(result)

    def _number(self, function, kind, *arguments):
        result = kind()
        _try(function(self._handle.pointer, *arguments, ctypes.byref(result)))
        return result.value

    def _list(self, function, kind, *arguments, copy=_copy):
        room = 64
        while True:
            items, count = (kind * room)(), ctypes.c_size_t()
            if issubclass(kind, ctypes.Structure):
                items[0].size = ctypes.sizeof(kind)
            _try(function(self._handle.pointer, *arguments, items, room, ctypes.byref(count)))
            if count.value <= room:
                return [copy(item) for item in items[:count.value]]
            room = count.value + count.value // 8

    # ---- definitions -----------------------------------------------------------------------------------------------

    def register(self, tenant_id, quota=None):
        native = ctypes.byref(quota._native()) if quota else None
        self._call(_lib.k2k_tenant_register, _unsigned(tenant_id), native)

    def update(self, tenant_id, **changes):
        """Changes only what is named, and of budgets only those listed; None removes a budget.

        update(42, max_messages_per_sec=100, budgets={7: None})

        A rate is changed with its period (a second unless named), its burst (none, a window, unless named), and its rate_alone
        (none, no share, unless named).
        """
        unknown = changes.keys() - _UPDATES.keys()
        if unknown:
            raise TypeError(f"update() knows no {', '.join(sorted(unknown))}")
        mask = 0
        for name in changes:
            if _TOGETHER.get(name, name) not in changes:
                raise TypeError(f"update() needs {_TOGETHER[name]} with {name}")
            mask |= _UPDATES[name]
        native = TenantQuota(**changes)._native()
        self._call(_lib.k2k_tenant_update, _unsigned(tenant_id), ctypes.byref(native), mask)

    def suspend(self, tenant_id):
        """From now on admissions and leases are refused (K2K_ESUSPENDED); what is held stays."""
        self._call(_lib.k2k_tenant_suspend, _unsigned(tenant_id))

    def resume(self, tenant_id):
        self._call(_lib.k2k_tenant_resume, _unsigned(tenant_id))

    def drain(self, tenant_id, timeout_ns=None):
        """Suspends a tenant, and waits until nobody holds a lease of it; None waits as long as it takes."""
        self._call(_lib.k2k_tenant_drain, _unsigned(tenant_id), _limit(timeout_ns))

    def deregister(self, tenant_id):
        """Returns whether the tenant was registered."""
        code = _lib.k2k_tenant_deregister(self._handle.pointer, _unsigned(tenant_id), None)
        if code == _abi.K2K_ENOTENANT:
            return False
        _try(code)
        return True

    def deregister_with_totals(self, tenant_id):
        return self._filled(_lib.k2k_tenant_deregister, _abi.k2k_tenant_totals, _unsigned(tenant_id))

    def batch(self):
        """`with admin.batch():` takes the writer's lock once for all changes by this thread. Each is complete when its
        call returns.
        """
        return _Batch(self)

    def hold_shares(self, epoch, until_ns):
        """Shares of this epoch hold before until_ns, by the clock of shares(); 0 ends them, and begins a higher epoch."""
        self._call(_lib.k2k_shares_hold, _unsigned(epoch), _unsigned(until_ns))

    def set_budget(self, tenant_id, engagement_id, budget_ns):
        self._call(_lib.k2k_budget_set, _unsigned(tenant_id), _unsigned(engagement_id), _unsigned(budget_ns))

    def unset_budget(self, tenant_id, engagement_id):
        self._call(_lib.k2k_budget_unset, _unsigned(tenant_id), _unsigned(engagement_id))

    def set_renewing_budget(self, tenant_id, engagement_id, budget_ns, renewal):
        """Sets a budget, and how often it renews (Renewal). The current period goes on with its use."""
        self._call(_lib.k2k_budget_set_renewing, _unsigned(tenant_id), _unsigned(engagement_id), _unsigned(budget_ns),
                   _unsigned(renewal, 32))

    def renew_budget(self, tenant_id, tag):
        """Ends the current period of a budget now, and begins another one."""
        self._call(_lib.k2k_budget_renew, _unsigned(tenant_id), _tag(tag))

    def correct_usage(self, tenant_id, tag, ns, reason, request_id=0):
        """Adds ns, which may be negative, to what was booked; audited with the reason. The booked cost stays as it is.

        A repeat with the same request_id, other than 0, changes nothing.
        """
        if not -1 << 63 <= ns < 1 << 63:
            raise OverflowError(f"{ns} is not in -2^63 ... 2^63 - 1")
        self._call(_lib.k2k_usage_correct, _unsigned(tenant_id), _tag(tag), ns, _name(reason), _unsigned(request_id))

    def repair(self):
        return self._filled(_lib.k2k_registry_repair, _abi.k2k_repair_info)

    # ---- reads -----------------------------------------------------------------------------------------------------

    def is_registered(self, tenant_id):
        return bool(self._number(_lib.k2k_tenant_is_registered, ctypes.c_int, _unsigned(tenant_id)))

    def get(self, tenant_id):
        """A consistent copy, or None if there is no such tenant."""
        try:
            return self._filled(_lib.k2k_tenant_get, _abi.k2k_tenant_info, _unsigned(tenant_id))
        except Error as error:
            if error.code == _abi.K2K_ENOTENANT:
                return None
            raise

    def shares(self):
        """Whose shares of rates over many hosts hold, until when, and what time it is on that clock."""
        return self._filled(_lib.k2k_shares_get, _abi.k2k_shares)

    def find_name(self, name):
        """The id of the tenant of that name, or None."""
        try:
            return self._number(_lib.k2k_tenant_find_name, ctypes.c_uint64, _name(name))
        except Error as error:
            if error.code == _abi.K2K_ENOTENANT:
                return None
            raise

    def tenant_count(self):
        return self._number(_lib.k2k_tenant_count, ctypes.c_size_t)

    def tenant_ids(self):
        return self._list(_lib.k2k_tenant_ids, ctypes.c_uint64)

    def info(self):
        return self._filled(_lib.k2k_registry_info, _abi.k2k_registry_info)

    def check(self):
        """Verifies the registry; returns a list of findings, empty if all is well."""
        return self._list(_lib.k2k_registry_check, _abi.k2k_finding)

    def brokers(self):
        return self._list(_lib.k2k_broker_list, _abi.k2k_broker_info)

    def budgets(self, tenant_id=UNSPECIFIED_TENANT):
        return self._list(_lib.k2k_budget_list, _abi.k2k_budget_info, _unsigned(tenant_id))

    def budget_history(self, tenant_id, tag):
        """The last closed periods of a budget that renews, at most 12, from the oldest on."""
        def copy(use):
            return BudgetUse(use.period, use.began_at_ns, use.next_began_at_ns, use.used_ns,
                             not use.flags & _abi.K2K_BUDGET_USE_PENDING)

        return self._list(_lib.k2k_budget_history, _abi.k2k_budget_use, _unsigned(tenant_id), _tag(tag), copy=copy)

    def reserved_usage(self, tenant_id, tag):
        """What living brokers have reserved of an engagement's budget, in nanoseconds."""
        return self._number(_lib.k2k_usage_reserved, ctypes.c_uint64, _unsigned(tenant_id), _tag(tag))

    def leases(self, tenant_id=UNSPECIFIED_TENANT):
        return self._list(_lib.k2k_lease_list, _abi.k2k_lease_info, _unsigned(tenant_id))

    def usage(self, tenant_id=UNSPECIFIED_TENANT):
        return self._list(_lib.k2k_usage_list, _abi.k2k_usage_info, _unsigned(tenant_id))

    def get_engagement_cost(self, tag):
        return self._number(_lib.k2k_usage_engagement, ctypes.c_uint64, _tag(tag))

    def get_engagement_cost_for(self, tenant_id, tag):
        """0 if there is no such tenant."""
        try:
            return self._number(_lib.k2k_usage_engagement_for, ctypes.c_uint64, _unsigned(tenant_id), _tag(tag))
        except Error as error:
            if error.code == _abi.K2K_ENOTENANT:
                return 0
            raise

    # ---- messages --------------------------------------------------------------------------------------------------

    def check_quota(self, tenant_id, tag=AuditTag(), messages=1):
        """Would that many be admitted now? Consumes nothing. Returns the verdict, or raises Rejected."""
        return self._asked(_lib.k2k_quota_check, _unsigned(tenant_id), _tag(tag), _unsigned(messages))

    def admit(self, tenant_id, tag=AuditTag(), messages=1):
        """Checks and counts in one step, all or none. Returns the verdict, or raises Rejected."""
        return self._asked(_lib.k2k_message_admit, _unsigned(tenant_id), _tag(tag), _unsigned(messages))

    def record_message(self, tenant_id):
        self._call(_lib.k2k_message_record, _unsigned(tenant_id))

    def track_usage(self, tenant_id, tag, gpu_ns):
        self._call(_lib.k2k_usage_track, _unsigned(tenant_id), _tag(tag), _unsigned(gpu_ns))

    def reserve_usage(self, tenant_id, tag, gpu_ns):
        """Reserves GPU time of a budget before it is used. Returns a Reservation, or raises Rejected.

        with broker.reserve_usage(42, AuditTag(1, 7), 10**9) as reservation:
            reservation.commit(run())     # books what run() says; if it raises, the reservation is cancelled
        """
        return Reservation(self, _unsigned(tenant_id), _tag(tag), _unsigned(gpu_ns))

    def _asked(self, function, *arguments):
        verdict = _sized(_abi.k2k_verdict)
        _try(function(self._handle.pointer, *arguments, ctypes.byref(verdict)), verdict)
        return _copy(verdict)

    # ---- leases: held until they are released, the handle is closed, or the process has died -------------------------

    def acquire_kernel_slot(self, tenant_id):
        """Returns a lease. End it by release(), by a `with`, or by release_kernel_slot(tenant_id)."""
        return Lease(self, _lib.k2k_kernel_acquire, _lib.k2k_kernel_release, _unsigned(tenant_id))

    def release_kernel_slot(self, tenant_id):
        self._call(_lib.k2k_kernel_release_id, _unsigned(tenant_id))

    def acquire_gpu_memory(self, tenant_id, size_bytes):
        return Lease(self, _lib.k2k_gpu_memory_acquire, _lib.k2k_gpu_memory_release, _unsigned(tenant_id), _unsigned(size_bytes))

    def release_gpu_memory(self, tenant_id, size_bytes):
        self._call(_lib.k2k_gpu_memory_release_id, _unsigned(tenant_id), _unsigned(size_bytes))

    # ---- kernels that all brokers know: a name belongs to the handle that added it, until it removes it or has ended ---

    def add_kernel(self, name, tenant_id, tag=AuditTag(), address=(0, 0)):
        """Enters the name (1 to 63 bytes; text or bytes) and takes a kernel slot of the tenant, both or neither. A name of
        this handle moves to the new tenant in one step. Returns the verdict, or raises Rejected. address: for find_kernel().
        """
        native = _abi.k2k_kernel_address((ctypes.c_uint64 * 2)(*(_unsigned(word) for word in address)))
        return self._asked(_lib.k2k_kernel_add, _kernel_name(name), _unsigned(tenant_id), _tag(tag), ctypes.byref(native))

    def remove_kernel(self, name):
        """Gives the name and its slot back."""
        self._call(_lib.k2k_kernel_remove, _kernel_name(name))

    def find_kernel(self, name):
        """Returns the Kernel of that name, or None. One whose broker has just died may be found for a second."""
        result = _sized(_abi.k2k_kernel_info)
        code = _lib.k2k_kernel_find(self._handle.pointer, _kernel_name(name), ctypes.byref(result))
        if code == _abi.K2K_ENOKERNEL:
            return None
        _try(code)
        return _kernel(result)

    def kernels(self, tenant_id=UNSPECIFIED_TENANT):
        """The kernels of one tenant, or of all, in no order."""
        return self._list(_lib.k2k_kernel_list, _abi.k2k_kernel_info, _unsigned(tenant_id), copy=_kernel)

    def route(self, source, destination, tag=AuditTag(), messages=1):
        """Decides about messages from a kernel of this handle to another: whose they are, whether they cross tenants, what is
        billed, and whether they are admitted. Returns a Route, or raises Rejected, RouteRefused, or Error.
        """
        native, verdict = _sized(_abi.k2k_route), _sized(_abi.k2k_verdict)
        code = _lib.k2k_message_route(self._handle.pointer, _kernel_name(source), _kernel_name(destination), _tag(tag),
                                      _unsigned(messages), ctypes.byref(native), ctypes.byref(verdict))
        if code in (_abi.K2K_ECROSSTENANT, _abi.K2K_ESTALE):
            raise RouteRefused(code, native)
        _try(code, verdict)
        found = native.flags & _abi.K2K_ROUTE_DESTINATION
        return Route(native.tenant, native.generation, AuditTag(*_copy(native.tag)), bool(native.flags & _abi.K2K_ROUTE_SOURCE),
                     Destination(native.to_tenant, tuple(native.address.words), native.incarnation, native.broker)
                     if found else None, _copy(verdict))

    # ---- audit -----------------------------------------------------------------------------------------------------

    def set_audit_sink(self, sink):
        """Calls sink(AuditEvent) in the thread that causes an event; for counted repeats in a thread of the handle. None
        ends it.
        """
        def call(_, event):
            sink(_event(event.contents))

        native = _abi.k2k_audit_sink(call) if sink else _abi.k2k_audit_sink()
        self._call(_lib.k2k_registry_set_audit_sink, native, None)
        self._handle.sink = native      # from here on the old one no longer runs

    def audit_cross_tenant(self, from_tenant, to_tenant, source_kernel, destination_kernel, tag=AuditTag()):
        self._call(_lib.k2k_audit_cross_tenant, _unsigned(from_tenant), _unsigned(to_tenant), _name(source_kernel),
                   _name(destination_kernel), _tag(tag))

    @staticmethod
    def is_cross_tenant(from_tenant, to_tenant):
        return is_cross_tenant(from_tenant, to_tenant)


class Lease:
    def __init__(self, registry, acquire, release, *arguments):
        self._registry, self._release = registry, release
        self._native, verdict = _sized(_abi.k2k_lease), _sized(_abi.k2k_verdict)
        _try(acquire(registry._handle.pointer, *arguments, ctypes.byref(self._native), ctypes.byref(verdict)), verdict)
        self.verdict = _copy(verdict)

    def release(self):
        self._registry._call(self._release, ctypes.byref(self._native))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # it may be released already, or the tenant is gone and the lease with it
        if self._native.amount:
            try:
                self.release()
            except Error as error:
                if error.code != _abi.K2K_ESTALE:
                    raise


class Reservation:
    """Reserved GPU time: commit() or cancel() ends it. A `with` that ends without either cancels it, and so does the end of
    the handle or of the process.
    """

    def __init__(self, registry, tenant_id, tag, gpu_ns):
        self._registry, self._native, verdict = registry, _sized(_abi.k2k_reservation), _sized(_abi.k2k_verdict)
        _try(_lib.k2k_usage_reserve(registry._handle.pointer, tenant_id, tag, gpu_ns, ctypes.byref(self._native),
                                    ctypes.byref(verdict)), verdict)
        self.verdict = _copy(verdict)

    @property
    def reserved_ns(self):
        """0 once it has ended."""
        return self._native.reserved_ns

    def commit(self, gpu_ns):
        """Books what was really used, once, and returns how much more that was than reserved."""
        self._registry._call(_lib.k2k_usage_commit, ctypes.byref(self._native), _unsigned(gpu_ns))
        return self._native.over_ns

    def cancel(self):
        """Ends it, and books nothing."""
        self._registry._call(_lib.k2k_usage_cancel, ctypes.byref(self._native))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # it may have ended, or the tenant is gone and the reservation with it
        if self._native.reserved_ns:
            try:
                self.cancel()
            except Error as error:
                if error.code != _abi.K2K_ESTALE:
                    raise


class _Batch:
    def __init__(self, registry):
        self._registry = registry

    def __enter__(self):
        self._registry._call(_lib.k2k_batch_begin)

    def __exit__(self, *_):
        self._registry._call(_lib.k2k_batch_end)


def _kernel(info):
    return Kernel(info.name.decode(errors="surrogateescape"), None if info.flags & _abi.K2K_KERNEL_STALE else info.id,
                  info.generation, AuditTag(*_copy(info.tag)), tuple(info.address.words), info.incarnation, info.pid,
                  info.broker)


def _event(event):
    fields = {_copy(field.key): _copy(field.value) for field in event.fields[:event.field_count]}
    return AuditEvent(_lib.k2k_audit_level_name(event.level).decode(), _lib.k2k_audit_type_name(event.type).decode(),
                      event.code, event.time_ns, event.count, _copy(event.actor), _copy(event.target),
                      _copy(event.description), fields)


def is_cross_tenant(from_tenant, to_tenant):
    return bool(_lib.k2k_is_cross_tenant(_unsigned(from_tenant), _unsigned(to_tenant)))


def destroy(name, force=False, timeout_ns=None, owner_uid=None):
    """Removes a registry; calls on open handles then fail with K2K_EFENCED. force: also with brokers attached."""
    options = _open_options(timeout_ns, owner_uid, None)
    _try(_lib.k2k_registry_destroy(_name(name), _abi.K2K_DESTROY_FORCE if force else 0, ctypes.byref(options)))


def version():
    return _lib.k2k_version().decode()
