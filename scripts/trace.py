#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Request traces for scripts/quickstart and scripts/replay-trace: generate, split over brokers, feed, check.

A trace is a CSV file with a header. Its columns may stand in any order, and others are ignored; so are blank lines, and blanks
around a field:
  groupId                      Gxxxx: tenant xxxx + 1, and the org of that number
  checkpoint_model_version_id  Mxxxx: engagement xxxx + 1; empty: 0
  exec_time_seconds            decimal, at most nine places; empty: 0
Each row is a request of kernel Gxxxx/client to kernel Gxxxx/Mxxxx, two equal rows are two requests. Each broker has kernels of
its own: their names end with @ and its number.

All arithmetic is on integers: seconds become nanoseconds digit by digit, and sums are exact.
What the registry could not hold in 64 bits is refused before anything is sent.
"""
import argparse
import bisect
import collections
import csv
import json
import os
import re
import select
import signal
import sys
import time

U64_MAX = (1 << 64) - 1
NS_PER_SECOND = 10 ** 9
KERNELS_PER_BROKER = 60000      # a broker keeps 65536
ADMITTED = ("DELIVERED", "QUEUE_FULL", "NOT_FOUND")
BLANK = " \t"      # around a field, of the header too: no part of it
GROUP, MODEL, SECONDS = NEEDED = ("groupId", "checkpoint_model_version_id", "exec_time_seconds")


class Malformed(Exception):
    pass


# ---- numbers ----------------------------------------------------------------------------

def mix(value):
    """The 64 bits of splitmix64 for a value: the hash of a tenant."""
    value = (value + 0x9E3779B97F4A7C15) & U64_MAX
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & U64_MAX
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & U64_MAX
    return value ^ (value >> 31)


class Random:
    """The same numbers from the same seed with every version of Python."""

    def __init__(self, seed):
        self.state = mix(seed)

    def below(self, limit):
        self.state = (self.state + 1) & U64_MAX
        return mix(self.state) % limit


def seconds_text(ns):
    return "%d.%09d" % divmod(ns, NS_PER_SECOND)


def nanoseconds(text):
    """Returns the time of a field; raises Malformed with what is wrong with it."""
    if text == "":
        return 0
    match = re.fullmatch(r"([0-9]*)(?:\.([0-9]*))?", text)
    if not match or text == ".":
        if re.fullmatch(r"-[0-9.]+", text):
            raise Malformed("is negative")
        raise Malformed("is not a decimal number of seconds")
    whole, places = match.group(1), match.group(2) or ""
    if len(places) > 9:
        raise Malformed("has more than nine places")
    whole = whole.lstrip("0")
    if len(whole) > 20:
        raise Malformed("is more nanoseconds than 64 bits hold")
    ns = int(whole or "0") * NS_PER_SECOND + int(places.ljust(9, "0"))
    if ns > U64_MAX:
        raise Malformed("is more nanoseconds than 64 bits hold")
    return ns


def number_after(letter, text):
    """G0041 -> 42."""
    match = re.fullmatch(letter + "([0-9]{1,100})", text)
    if not match:
        raise Malformed("is not %s and a number" % letter)
    number = int(match.group(1)) + 1
    if number > U64_MAX:
        raise Malformed("is a number that 64 bits do not hold")
    return number


# ---- reading ----------------------------------------------------------------------------

Request = collections.namedtuple("Request", "group model tenant engagement ns")


class Trace:
    """The requests of a file, in order, and their exact sums."""

    def __init__(self, path):
        self.path = path
        self.requests = 0
        self.ns = 0
        self.by_tenant = collections.Counter()      # requests
        self.by_pair = collections.Counter()        # nanoseconds of (tenant, engagement)

    def fail(self, line, column, name, why):
        place = "line %d, column %d" % (line, column) + (" (%s)" % name if name else "")
        raise Malformed("%s: %s: %s" % (self.path, place, why))

    def header(self, line, names):
        for name in NEEDED:
            if name not in names:
                self.fail(line, len(names) + 1, name, "the header has no such column")
            if names.count(name) > 1:
                self.fail(line, len(names) - names[::-1].index(name), name, "the header has this column twice")
        return names

    def field(self, line, names, row, name, convert):
        column = names.index(name)
        text = row[column]
        try:
            return convert(text)
        except Malformed as wrong:
            shown = ascii(text if len(text) <= 60 else text[:57] + "...")
            self.fail(line, column + 1, name, ("%s %s" % (shown, wrong)) if text else "is empty")

    def count(self, line, names, request):
        column = names.index(SECONDS)
        pair = request.tenant, request.engagement
        self.requests += 1
        self.by_tenant[request.tenant] += 1
        self.by_pair[pair] += request.ns
        self.ns += request.ns
        if self.ns > U64_MAX:
            self.fail(line, column + 1, SECONDS, "with this row the GPU time of all is more nanoseconds than 64 bits hold")

    def __iter__(self):
        names, line = None, 1
        csv.field_size_limit(1 << 30)
        with open(self.path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            rows = csv.reader(file, strict=True)
            while True:
                line = rows.line_num + 1
                try:
                    row = next(rows, None)
                except csv.Error as wrong:
                    self.fail(line, 1, None, "the row that begins here is no CSV: %s" % wrong)
                if row is None:
                    break
                row = [field.strip(BLANK) for field in row]
                if not any(row) and len(row) < 2:
                    continue
                if names is None:
                    names = self.header(line, row)
                    continue
                if len(row) < len(names):
                    self.fail(line, len(row) + 1, names[len(row)],
                              "is missing: the row has %d fields, the header %d" % (len(row), len(names)))
                if len(row) > len(names):
                    self.fail(line, len(names) + 1, None,
                              "is too much: the row has %d fields, the header %d" % (len(row), len(names)))
                request = Request(row[names.index(GROUP)], row[names.index(MODEL)],
                                  self.field(line, names, row, GROUP, lambda text: number_after("G", text)),
                                  self.field(line, names, row, MODEL, lambda text: number_after("M", text) if text else 0),
                                  self.field(line, names, row, SECONDS, nanoseconds))
                self.count(line, names, request)
                yield request
        if names is None:
            self.header(1, [])


# ---- generate -----------------------------------------------------------------------------

def generate(options):
    """A few tenants are busy, most are not; some times and models are empty, and some rows stand there twice."""
    random = Random(options.seed)
    weights, total = [], 0
    for tenant in range(options.tenants):
        total += 1000000 // (tenant + 1)
        weights.append(total)
    row = None
    print("gmt_create,predict_status,%s,%s,%s" % (SECONDS, GROUP, MODEL))
    for i in range(options.requests):
        if row is None or i < options.tenants or random.below(50):
            tenant = i if i < options.tenants else bisect.bisect_right(weights, random.below(total))
            model = mix(tenant) + random.below(4)
            row = "%s,%s,%s,G%04d,%s" % (
                "2024-11-15 %02d:%02d:%02d" % (i // 3600 % 24, i // 60 % 60, i % 60),
                "SUCCEED" if random.below(20) else "FAILED",
                seconds_text(random.below(90 * NS_PER_SECOND)) if random.below(25) else "",
                tenant, "M%04d" % (model % 40) if random.below(10) else "")
        print(row)


# ---- split --------------------------------------------------------------------------------

class Share:
    """The lines that one broker reads: each kernel is added before it is used, and the oldest leaves where there are too many."""

    def __init__(self, path, broker):
        self.file = open(path, "w", encoding="ascii")
        self.broker = "@%d" % broker
        self.kernels = collections.OrderedDict()

    def write(self, **line):
        self.file.write(json.dumps(line, separators=(",", ":")) + "\n")

    def kernel(self, name, request):
        if name in self.kernels:
            self.kernels.move_to_end(name)
            return
        if len(self.kernels) == KERNELS_PER_BROKER:
            self.write(kernel="remove", name=self.kernels.popitem(last=False)[0])
        self.kernels[name] = True
        self.write(kernel="add", name=name, tenant=str(request.tenant), org=str(request.tenant), engagement="0")

    def send(self, request):
        source = request.group + "/client" + self.broker
        destination = request.group + "/" + (request.model or "none") + self.broker
        self.kernel(source, request)
        self.kernel(destination, request)
        self.write(send=source, to=destination, org=str(request.tenant), engagement=str(request.engagement),
                   gpu_ns=str(request.ns))


def split(options):
    """
    Writes the shares of all brokers, the tenants' ids and the sums. With --until N the requests from the N-th on
    are shares of their own ("rest"), and the first broker has none of them: it is no more.
    """
    trace, random = Trace(options.trace), Random(options.seed)

    def path(name):
        return os.path.join(options.dir, name)

    shares = [Share(path("share.%d" % i), i) for i in range(1, options.brokers + 1)]
    rests = [Share(path("rest.%d" % i), i) for i in range(2, options.brokers + 1)] if options.until else []
    for request in trace:
        to = rests if options.until and trace.requests > options.until else shares
        to[(random.below(len(to)) if options.spread else mix(request.tenant) % len(to))].send(request)
    for share in shares + rests:
        share.file.close()
    tenants = sorted(trace.by_tenant)
    with open(path("tenants"), "w", encoding="ascii") as file:
        file.writelines("%d\n" % tenant for tenant in tenants)
    with open(path("sums"), "w", encoding="ascii") as file:
        json.dump({"requests": trace.requests, "ns": trace.ns, "by_tenant": list(trace.by_tenant.items()),
                   "by_pair": [[*pair, ns] for pair, ns in trace.by_pair.items()]}, file)
    busiest = max(tenants, key=lambda tenant: trace.by_tenant[tenant], default=0)
    print(trace.requests, len(tenants), len(trace.by_pair), seconds_text(trace.ns), busiest, tenants[-1] if tenants else 0)


# ---- feed ---------------------------------------------------------------------------------

def feed(options):
    """Writes the lines of each share to its fifo, evenly over the given time."""
    feeds = []
    for share, fifo in zip(options.files[::2], options.files[1::2]):
        with open(share, "rb") as file:
            feeds.append([os.open(fifo, os.O_WRONLY), file.readlines(), 0])
    start, duration = time.monotonic_ns(), options.ms * 1000000
    while True:
        elapsed = min(time.monotonic_ns() - start, duration)
        for entry in feeds:
            fifo, lines, done = entry
            entry[2] = len(lines) * elapsed // duration
            rest = b"".join(lines[done:entry[2]])
            while rest:
                rest = rest[os.write(fifo, rest):]
        if elapsed == duration:
            return
        select.poll().poll(10)      # ms


# ---- check --------------------------------------------------------------------------------

class Totals:
    """Counted by somebody: the registry, or the brokers' answers."""

    def __init__(self):
        self.admitted = collections.Counter()       # by tenant
        self.rejected = collections.Counter()       # by (tenant, reason)
        self.ns = collections.Counter()             # by (tenant, engagement)
        self.problems = []


def totals_of_registry(list_file, usage_file):
    totals = Totals()
    with open(list_file, encoding="utf-8") as file:
        tenants = json.load(file)["tenants"]
    with open(usage_file, encoding="utf-8") as file:
        usage = json.load(file)
    by_tenant = collections.Counter()
    for entry in usage["usage"]:
        totals.ns[int(entry["tenant"]), int(entry["engagement"])] += int(entry["gpu_ns"])
        by_tenant[int(entry["tenant"])] += int(entry["gpu_ns"])
    for entry in tenants:
        tenant, used = int(entry["id"]), entry["usage"]
        totals.admitted[tenant] = int(used["admitted_total"])
        for reason, count in used["rejected_total"].items():
            totals.rejected[tenant, reason] = int(count)
        if int(used["unattributed_ns"]):
            totals.problems.append("tenant %d: %s ns could not be booked on an engagement" % (tenant, used["unattributed_ns"]))
        if int(used["gpu_ns_total"]) != by_tenant[tenant]:
            totals.problems.append("tenant %d: its engagements have %d ns, its total is %s ns"
                                   % (tenant, by_tenant[tenant], used["gpu_ns_total"]))
    if int(usage["gpu_ns_total"]) != sum(totals.ns.values()):
        totals.problems.append("the engagements have %d ns, the total is %s ns"
                               % (sum(totals.ns.values()), usage["gpu_ns_total"]))
    return totals


def totals_of_answers(files, windows_of):
    """Also returns, for one tenant, {second: [admitted, rejected]}."""
    totals, windows = Totals(), {}
    for path in files:
        with open(path, encoding="utf-8") as file:
            for text in file:
                answer = json.loads(text)
                decision = answer.get("decision")
                tenant = int(answer.get("tenant", 0))
                if decision is None:
                    totals.problems.append("%s: a broker did not understand its line: %s" % (os.path.basename(path), text.strip()))
                    continue
                if decision in ("REJECTED", "REFUSED"):
                    totals.rejected[tenant, answer["reason"]] += 1
                elif decision in ADMITTED:
                    totals.admitted[tenant] += 1
                    totals.ns[tenant, int(answer["engagement"])] += int(answer["booked_ns"])
                if "unbooked" in answer or decision == "TENANT_MISMATCH":
                    totals.problems.append("%s: %s" % (os.path.basename(path), text.strip()))
                if "send" in answer and tenant == windows_of and "window" in answer:
                    counts = windows.setdefault(int(answer["window"]), [0, 0])
                    counts[decision not in ADMITTED] += 1
    return totals, windows


def compare(what, unit, left_name, left, right_name, right):
    for key in sorted(set(left) | set(right)):
        if left[key] != right[key]:
            yield "%s: %s %d%s, %s %d%s" % (what(key), left_name, left[key], unit, right_name, right[key], unit)


def tenant_name(tenant):
    return "tenant %d" % tenant


def pair_name(pair):
    return "tenant %d, engagement %d" % pair


def reason_name(key):
    return "tenant %d, rejected by %s" % key


def check_windows(options, windows):
    """After the limit was lowered: never more than it in a second, and not less where more was asked."""
    rejected = 0
    for second, (passed, refused) in sorted(windows.items()):
        if second > options.since:
            rejected += refused
            if passed > options.rate or (refused and passed != options.rate):
                yield "tenant %d: %d admitted and %d rejected in one second, at %d/s" % (options.tightened, passed, refused,
                                                                                       options.rate)
    if not rejected:
        yield "tenant %d: its lowered rate rejected nothing" % options.tightened


def check(options):
    with open(options.sums, encoding="ascii") as file:
        sums = json.load(file)
    requests = collections.Counter(dict(sums["by_tenant"]))
    trace_ns = collections.Counter({(tenant, engagement): ns for tenant, engagement, ns in sums["by_pair"]})
    registry = totals_of_registry(options.list, options.usage)
    answers, windows = totals_of_answers(options.answers, options.tightened)
    problems = registry.problems + answers.problems

    problems += compare(tenant_name, " admitted", "the registry has", registry.admitted, "the brokers answered",
                        answers.admitted)
    problems += compare(reason_name, "", "the registry has", registry.rejected, "the brokers answered", answers.rejected)
    problems += compare(pair_name, " ns", "the registry has", registry.ns, "the brokers booked", answers.ns)

    # every request was decided once, and all but the tightened tenant's were admitted
    decided = collections.Counter(registry.admitted)
    if options.tightened:
        decided[options.tightened] += registry.rejected[options.tightened, "rate"]
        problems += check_windows(options, windows)
    problems += compare(tenant_name, " requests", "the trace has", requests, "the registry", decided)
    problems += compare(pair_name, " ns", "the trace has",
                        collections.Counter({pair: ns for pair, ns in trace_ns.items() if pair[0] != options.tightened}),
                        "the registry",
                        collections.Counter({pair: ns for pair, ns in registry.ns.items() if pair[0] != options.tightened}))

    admitted, ns = sum(registry.admitted.values()), sum(registry.ns.values())
    rejected = registry.rejected[options.tightened, "rate"] if options.tightened else 0
    rows = [("requests", "in the trace", sums["requests"]), ("", "admitted, says the registry", admitted)]
    if options.tightened:
        rows.append(("", "rejected by the lowered rate, says the registry", rejected))
    rows += [("", "admitted, said the brokers", sum(answers.admitted.values()))]
    rows += [("GPU time, ns", "in the trace", sums["ns"])] if not options.tightened else []
    rows += [("GPU time, ns" if options.tightened else "", "booked, says the registry", ns),
             ("", "booked, said the brokers", sum(answers.ns.values()))]
    width = max(len(str(row[2])) for row in rows)
    for row in rows:
        print("  %-13s %*d  %s" % (row[0], width, row[2], row[1]))
    for problem in problems[:20]:
        print("trace.py: " + problem, file=sys.stderr)
    if problems:
        print("totals do NOT add up: %d differences" % len(problems))
        return 1
    print("totals add up: %d requests = %d admitted%s; %s s of GPU time; each of %d tenants and of %d pairs of tenant and "
          "engagement matches, to the nanosecond"
          % (sums["requests"], admitted, " + %d rejected" % rejected if options.tightened else "", seconds_text(ns),
             len(requests), len(trace_ns)))
    return 0


# ---- answers in a shell's words ------------------------------------------------------------

def broker(options):
    """State and kernels of the broker with a process id; "gone 0" where there is none."""
    entry = next((entry for entry in json.load(sys.stdin)["brokers"] if entry["pid"] == options.pid), None)
    print(*(entry["state"], entry["kernels"]) if entry else ("gone", 0))


def rejected(options):
    """How many messages of a tenant its rate rejected."""
    print(json.load(sys.stdin)["tenants"][0]["usage"]["rejected_total"]["rate"])


def second(options):
    """The second that messages are counted in now."""
    print(time.clock_gettime_ns(time.CLOCK_MONOTONIC) // NS_PER_SECOND)


def main():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)

    def command(function, *arguments, **flags):
        sub = commands.add_parser(function.__name__, description=function.__doc__)
        sub.set_defaults(run=function)
        for name in arguments:
            sub.add_argument(name)
        for name, kind in flags.items():
            if kind is bool:
                sub.add_argument("--" + name, action="store_true")
            else:
                sub.add_argument("--" + name, type=kind, default=0 if kind is int else None)
        return sub

    command(generate, seed=int, requests=int, tenants=int)
    command(split, "trace", "dir", brokers=int, seed=int, spread=bool, until=int)
    command(feed).add_argument("ms", type=int)
    commands.choices["feed"].add_argument("files", nargs="+", help="SHARE FIFO pairs")
    command(check, "sums", "list", "usage", tightened=int, rate=int, since=int).add_argument("answers", nargs="*")
    command(broker).add_argument("pid", type=int)
    command(rejected)
    command(second)
    options = parser.parse_args()
    try:
        return options.run(options) or 0
    except Malformed as wrong:
        print("trace.py: %s" % wrong, file=sys.stderr)
        return 2
    except OSError as wrong:
        print("trace.py: %s" % wrong, file=sys.stderr)
        return 10


if __name__ == "__main__":
    sys.exit(main())
