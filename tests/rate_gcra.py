#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""rate_gcra.py PROGRAM COUNT: compares the answers of rate_requests with GCRA's.

The generic cell rate algorithm (ITU-T I.371, annex A), written from its definition, with exact
fractions: T is the time between two messages at the rate, tau = (burst - 1) T the tolerance, TAT the
theoretical arrival time of the next message. A message at t conforms if t >= TAT - tau, and then
TAT = max(t, TAT) + T. n messages at once conform if the last of them does. Nothing here knows of
origins and ceilings. The one thing shared with the library is the clock's grain: it counts in units
of 2^-16 s, rounded down.
"""
import collections
import fractions
import subprocess
import sys

NS = 10**9
GRAIN = 1 << 16
NEVER = (1 << 64) - 1


class Gcra:
    def __init__(self, rate, period, burst):
        self.interval = fractions.Fraction(period, rate)
        self.burst = burst
        self.tat = None  # of a bucket that is full

    def arrive(self, now, n):
        """(conforms, tokens left, the time when n would conform or None)"""
        tat = now if self.tat is None else max(now, self.tat)
        tolerance = (self.burst - 1) * self.interval
        if n > self.burst:
            conforms, earliest = False, None
        else:
            earliest = tat + (n - 1) * self.interval - tolerance
            conforms = now >= earliest
        if conforms:
            tat += n * self.interval
            self.tat = tat
        left = self.burst - (tat - now) / self.interval
        return conforms, left.__floor__(), earliest


def grain(ns):
    return fractions.Fraction(ns * GRAIN // NS, GRAIN)


def wait(now_ns, earliest):
    """From now_ns until the first nanosecond at which the clock in its grain shows `earliest`."""
    units = -(-earliest * GRAIN // 1)
    return -(-units * NS // GRAIN) - now_ns


def compare(lines):
    seen = collections.Counter()
    gcra = title = None
    for line in lines:
        kind, *numbers = line.split()
        numbers = [int(number) for number in numbers]
        if kind == "bucket":
            gcra, title = Gcra(*numbers), line.strip()
            continue
        now_ns, n, code, remaining, retry = numbers
        conforms, left, earliest = gcra.arrive(grain(now_ns), n)
        expected = 0 if conforms else NEVER if earliest is None else wait(now_ns, earliest)
        if (code == 0) != conforms or remaining != max(left, 0) or retry != expected:
            sys.exit(f"{title}: {line.strip()}: GCRA {'admits' if conforms else 'refuses'}, "
                     f"leaves {left}, retry after {expected}")
        seen["admitted" if conforms else "never" if earliest is None else "refused"] += 1
    return seen


def main():
    program, count = sys.argv[1:]
    with subprocess.Popen([program, count], stdout=subprocess.PIPE, text=True) as process:
        seen = compare(process.stdout)
    if process.returncode:
        sys.exit(f"{program}: exit status {process.returncode}")
    print(dict(seen))
    if sum(seen.values()) < int(count) or min(seen[x] for x in ("admitted", "refused", "never")) < 1000:
        sys.exit("too few requests of one kind: the comparison says little")


main()
