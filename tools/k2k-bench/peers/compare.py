#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the programs of this folder against each other, for scripts/bench-peers, which says what is compared.

What it makes has one of four places, so that Run.end() finds all of it: a directory in /dev/shm; shared memory named
after that directory; the Redis server; the program that runs just now.
"""
import argparse
import ctypes
import glob
import json
import os
import pathlib
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
FLOOR, OURS = "fetch_add", "k2k"
PEERS = {
    FLOOR: "bare atomic fetch_add",
    OURS: "k2k_message_admit",
    "rwlock": "pthread_rwlock, hash table",
    "mutex": "robust mutex, hash table",
    "boost": "Boost.Interprocess",
    "lmdb": "LMDB, no sync, tmpfs",
    "redis-64": "Redis, Lua, 64 at once",
    "redis": "Redis, Lua, one at a time",
}
SCENES = {
    "one": ("One process", ["--processes", "1"]),
    "two_different": ("Two processes, each on tenants of its own", ["--processes", "2"]),
    "two_same": ("Two processes on one tenant", ["--processes", "2", "--one"]),
}
TENANTS = 1000
BUSY = 0.5                # load from which on figures are doubtful
PROGRAM_S = 120           # longest that one program may take
PR_SET_PDEATHSIG = 1


class Failed(Exception):
    pass


class Ended(Exception):
    pass


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def start(arguments, **more):
    # in a session of its own, so that Ctrl-C reaches this script alone, which ends the rest in order
    return subprocess.Popen(arguments, start_new_session=True, preexec_fn=die_with_parent, stdin=subprocess.DEVNULL, **more)


class Run:
    def __init__(self, programs):
        self.programs = programs
        self.server = self.program = None
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="k2k-peers-", dir="/dev/shm"))

    def start_redis(self):
        # redis-tools has the server under the name of its checking tool
        binary = shutil.which("redis-server") or shutil.which("redis-check-rdb")
        if not binary:
            raise Failed("there is neither redis-server nor redis-check-rdb")
        path = str(self.directory / "redis")
        log = self.directory / "redis.log"
        self.server = start(["redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no",
                             "--dir", str(self.directory), "--logfile", str(log)], executable=binary)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.server.poll() is None:
            try:
                with socket.socket(socket.AF_UNIX) as client:
                    client.settimeout(5)
                    client.connect(path)
                    client.sendall(b"PING\r\n")
                    if client.recv(7) == b"+PONG\r\n":
                        return
            except OSError:
                time.sleep(0.05)
        raise Failed("redis-server did not start:\n" + (log.read_text() if log.exists() else ""))

    def run(self, name, *arguments):
        command = [str(self.programs / f"peer-{name}"), "--directory", str(self.directory), "--tenants", str(TENANTS),
                   *map(str, arguments)]
        self.program = start(command, stdout=subprocess.PIPE, text=True)
        try:
            output, _ = self.program.communicate(timeout=PROGRAM_S)
        except subprocess.TimeoutExpired:
            raise Failed(f"{' '.join(command)} took more than {PROGRAM_S} s") from None
        status, self.program = self.program.returncode, None
        if status:
            raise Failed(f"{' '.join(command)} ended with {status}")
        return json.loads(output)

    def end(self):
        for process in (self.program, self.server):
            if process and process.poll() is None:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)
        # of a program that had to be killed
        name = glob.escape(self.directory.name)
        for path in glob.glob(f"/dev/shm/k2k.{name}.*") + glob.glob(f"/dev/shm/{name}.*"):
            os.unlink(path)


# ---- measuring ------------------------------------------------------------------------------

def exact(said):
    # from 2 on a second has begun while they sent; one that does not last is no second
    return (said["seconds_full"] > 0 and said["seconds_wrong"] == 0 and said["admitted"] == said["counted"] and
            2 <= said["seconds"] <= said["milliseconds"] / 1000 + 2)


def verify(run, quick):
    """Whether each is exact with two processes on one tenant that ask for more than the limit."""
    both = ["--processes", 2, "--one"]
    verified = []
    for name in PEERS:
        if name == FLOOR:
            continue
        # Near half of what it can do: what is admitted and what is rejected both take long enough to meet each other.
        limit = max(20, int(0.4 * 2e9 / run.run(name, *both, "--milliseconds", 50)["ns"]))
        for _ in range(4):
            said = run.run(name, *both, "--verify", "--limit", limit, "--milliseconds", 1200 if quick else 3200)
            if said["seconds_full"]:
                break
            limit = limit // 4 + 1      # it was slower now
        verified.append({"name": name, **said, "exact": exact(said)})
    return verified


def measure(run, rounds, milliseconds, say):
    taken, lost = {(scene, name): [] for scene in SCENES for name in PEERS}, []
    names = list(PEERS)
    for turn in range(rounds):
        say(f"round {turn + 1} of {rounds}")
        for scene, (_, arguments) in SCENES.items():
            # each round begins with another one, so that none always follows the same
            for name in names[turn % len(names):] + names[:turn % len(names)]:
                said = run.run(name, *arguments, "--milliseconds", milliseconds)
                if said["admitted"] != said["counted"]:
                    lost.append({"name": name, "scene": scene, "admitted": said["admitted"], "counted": said["counted"]})
                taken[scene, name].append(said["ns"])
    return taken, lost


def machine():
    cpu = platform.machine()
    with open("/proc/cpuinfo") as lines:
        for line in lines:
            if line.startswith("model name"):
                cpu = line.split(":", 1)[1].strip()
                break
    return {"cpu": cpu, "cores": len(os.sched_getaffinity(0)), "kernel": platform.release(), "load": os.getloadavg()[0]}


def summary(taken):
    results = []
    for scene in SCENES:
        median = {name: statistics.median(taken[scene, name]) for name in PEERS}
        for name in PEERS:
            results.append({
                "name": name, "scene": scene, "ns": round(median[name], 2), "low": round(min(taken[scene, name]), 2),
                "high": round(max(taken[scene, name]), 2), "of_fetch_add": round(median[name] / median[FLOOR], 2),
                "of_k2k": round(median[name] / median[OURS], 3),
            })
    return results


# ---- what is shown ----------------------------------------------------------------------------

def short(value):
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def table(report):
    lines = []
    for scene, (title, _) in SCENES.items():
        lines.append(f"{title}, ns a message:")
        lines.append(f"  {'':<28}{'median':>10}{'lowest':>10}{'highest':>10}{'x fetch_add':>14}{'x k2k':>10}")
        for row in report["results"]:
            if row["scene"] == scene:
                lines.append(f"  {PEERS[row['name']]:<28}{short(row['ns']):>10}{short(row['low']):>10}"
                             f"{short(row['high']):>10}{short(row['of_fetch_add']):>14}{row['of_k2k']:>10,.2f}")
        lines.append("")
    where = report["machine"]
    lines.append(f"{report['rounds']} rounds of {report['milliseconds']} ms on {where['cpu']}, {where['cores']} cores, "
                 f"Linux {where['kernel']}, load {where['load']:.1f} at the start.")
    full = {row["name"]: row["seconds_full"] for row in report["exact"] if row["exact"]}
    lines.append("Exact in each second: " + ", ".join(f"{name} ({count} full)" for name, count in full.items()))
    return "\n".join(lines)


def draw(report, directory, scratch):
    data = scratch / "peers.data"
    with open(data, "w") as out:
        for scene in SCENES:
            rows = [row for row in report["results"] if row["scene"] == scene]
            for at, row in enumerate(rows):
                out.write(f'{at} {row["ns"]} "{short(row["ns"])}" "{PEERS[row["name"]]}"\n')
            out.write("\n\n")
    directory.mkdir(parents=True, exist_ok=True)
    # whole or not at all
    made = scratch / "peers.svg"
    where = report["machine"]
    title = f"Find a tenant among {TENANTS:,}, check its rate, count the message"
    subtitle = f"median of {report['rounds']} rounds; {where['cpu']}, {where['cores']} cores, Linux {where['kernel']}"
    most = 4 * max(row["ns"] for row in report["results"])
    subprocess.run(["gnuplot", "-c", str(HERE / "peers.gnuplot"), str(data), str(made), str(len(PEERS)), title, subtitle,
                    str(most)], check=True)
    shutil.copy(made, directory / "peers.svg")


def complaints(report):
    for row in report["exact"]:
        if not row["exact"]:
            yield (f"{row['name']} is not exact: in {row['milliseconds']} ms {row['seconds']} seconds, {row['seconds_full']} of "
                   f"them asked for more than {row['limit']}, {row['seconds_wrong']} with a wrong count; {row['admitted']} "
                   f"admitted and {row['counted']} counted")
    for row in report["lost"]:
        yield f"{row['name']}, {row['scene']}: {row['admitted']} were admitted and {row['counted']} counted"


def main():
    parser = argparse.ArgumentParser(prog="compare.py")
    parser.add_argument("--programs", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--pictures", type=pathlib.Path, metavar="DIR")
    options = parser.parse_args()
    rounds = options.rounds or (1 if options.quick else 7)
    milliseconds = 20 if options.quick else 200

    def say(text):
        print(text, file=sys.stderr, flush=True)

    def on_signals(handler):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, handler)

    def end(number, _):
        on_signals(signal.SIG_IGN)
        raise Ended(number)

    on_signals(end)
    report = {"machine": machine(), "rounds": rounds, "milliseconds": milliseconds, "tenants": TENANTS}
    if report["machine"]["load"] > BUSY and not options.quick:
        say(f"bench-peers: something else runs here (load {report['machine']['load']:.1f}): doubt these figures")
    run = None
    try:
        run = Run(options.programs)
        run.start_redis()
        say("verifying")
        report["exact"] = verify(run, options.quick)
        taken, report["lost"] = measure(run, rounds, milliseconds, say)
        report["results"] = summary(taken)
        report["floors"] = {"fetch_add_ns": next(row["ns"] for row in report["results"] if row["name"] == FLOOR)}
        if options.pictures:
            draw(report, options.pictures, run.directory)
    except Ended as reason:
        return 128 + reason.args[0]
    except (Failed, OSError, subprocess.CalledProcessError) as error:
        say(f"bench-peers: {error}")
        return 1
    finally:
        # nothing interrupts the cleaning up
        on_signals(signal.SIG_IGN)
        if run:
            run.end()
    print(json.dumps(report, indent=1) if options.json else table(report))
    wrong = list(complaints(report))
    for line in wrong:
        say(f"bench-peers: {line}")
    return 1 if wrong else 0


sys.exit(main())
