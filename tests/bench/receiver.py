"""What a query costs the receiver and its broker, beside what else could take it: POST to 202.

Each leg serves the same load, one after the other, in every round; medians of the rounds are printed.
CPU time per query says more than queries a second: all share this machine's cores.

receiver    the receiver: strict JSON, the query's record and its QUEUED, a view of all states
axum        axum and rdkafka (tests/bench/axum_peer): one record a query; needs cargo
http_peer   libmicrohttpd and cJSON (tests/tools/http_peer.c): no Kafka
producer    librdkafka's producer alone (tests/tools/producer_peer.c): no HTTP
"""

import argparse
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

from harness.kafka import DIE_WITH_PARENT, Kafka
from harness.paths import BIN, TOP
from harness.program import Program
from harness.topics import Topics
from harness.wait import free_port, wait_until
from stand import table

PARTITIONS = 6
RECORDS = 300000  # of the bare producer
AXUM = TOP / "build" / "axum-peer" / "release" / "axum-peer"
TOOLS = BIN.parent / "tests" / "tools"

WRK_SCRIPT = """
local body = '{"userId":"u%s","queryId":"%s-%s","query":"SELECT ' .. string.rep('x', 180) .. '"}'
local run = RUN
function init() n = 0 end
function request()
  n = n + 1
  return wrk.format("POST", "/athena/query", {["Content-Type"] = "application/json"},
                    string.format(body, n % 50, run, n))
end
"""


def cpu_seconds(pid):
    """User and system time, in ticks of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def milliseconds(text):
    """wrk's `4.51ms`, `870.00us` or `1.20s`."""
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]


class Server:
    """A process of another program that listens on a port of this machine."""

    def __init__(self, command, port, log):
        self.port = port
        self.address = f"127.0.0.1:{port}"
        with open(log, "ab") as out:
            self.process = subprocess.Popen(
                [*DIE_WITH_PARENT, *map(str, command)],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            )  # fmt: skip
        self.pid = self.process.pid
        wait_until(self.listens, 20, f"{command[0]} to listen")

    def listens(self):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def finish(self):
        self.process.terminate()
        self.process.wait(10)


class Load:
    """wrk, and what server and broker spend on it."""

    def __init__(self, directory, kafka, seconds):
        self.directory = directory
        self.kafka = kafka
        self.seconds = seconds

    def wrk(self, address, connections, seconds):
        script = self.directory / "post.lua"
        script.write_text(WRK_SCRIPT.replace("RUN", f"'{uuid.uuid4().hex[:8]}'"))
        done = subprocess.run(
            ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", script,
             "http://" + address],
            capture_output=True, text=True, check=True, timeout=seconds + 60,
        )  # fmt: skip
        return done.stdout

    def measure(self, server, connections):
        self.wrk(server.address, connections, 1)  # connections to the broker, caches, Java's compiler
        pids = (server.pid, self.kafka.pid)
        before = [cpu_seconds(pid) for pid in pids]
        out = self.wrk(server.address, connections, self.seconds)
        own, broker = (cpu_seconds(pid) - was for pid, was in zip(pids, before))
        words = {line.split()[0]: line.split() for line in out.splitlines() if line.split()}
        count = int(re.search(r"(\d+) requests in", out).group(1))
        refused = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
        assert not refused, f"{refused.group(1)} of {count} were not accepted"
        status = Path(f"/proc/{server.pid}/status").read_text()
        return {
            "acked_per_s": float(words["Requests/sec:"][1]),
            "p50_ms": milliseconds(words["50%"][1]),
            "p99_ms": milliseconds(words["99%"][1]),
            "cpu_us": own * 1e6 / max(count, 1),
            "broker_cpu_us": broker * 1e6 / max(count, 1),
            "rss_mib": int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024,
        }


# --- the legs -----------------------------------------------------------------------------------


class Bench:
    def __init__(self, directory, kafka):
        self.directory = directory
        self.kafka = kafka
        self.topics = Topics(kafka.bootstrap)
        self.env = {}

    def topic(self):
        name = "peer-" + uuid.uuid4().hex[:8]
        self.topics.create(name, PARTITIONS)
        return name

    def receiver(self):
        stage = "b" + uuid.uuid4().hex[:8]
        env = {
            "STAGE": stage, "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap,
            "LISTEN": "127.0.0.1:0", "ADMIN_LISTEN": "127.0.0.1:0",
            "TOPIC_PARTITIONS": PARTITIONS,
        }  # fmt: skip
        program = Program("athena-query-receiver", env | self.env, [], self.directory / stage)
        return program.start().wait_ready(60)

    def axum(self):
        port = free_port()
        command = [AXUM, f"127.0.0.1:{port}", self.kafka.bootstrap, self.topic()]
        return Server(command, port, self.directory / "axum.log")

    def http_peer(self):
        port = free_port()
        return Server([TOOLS / "http_peer", port], port, self.directory / "http_peer.log")

    def producer(self):
        """Records a second, and CPU microseconds a record."""
        before = cpu_seconds(self.kafka.pid)
        done = subprocess.run(
            [TOOLS / "producer_peer", self.kafka.bootstrap, self.topic(), str(RECORDS)],
            capture_output=True, text=True, check=True, timeout=120,
        )  # fmt: skip
        broker = cpu_seconds(self.kafka.pid) - before
        rate, cpu = re.match(r"(\d+) records/s, ([\d.]+) us", done.stdout).groups()
        return {
            "acked_per_s": float(rate), "cpu_us": float(cpu),
            "broker_cpu_us": broker * 1e6 / RECORDS,
        }  # fmt: skip


def build_axum():
    """False: it is not measured, and why was printed."""
    if not shutil.which("cargo"):
        print("axum: skipped, cargo is not installed", flush=True)
        return False
    done = subprocess.run(
        ["cargo", "build", "--release", "--quiet", "--manifest-path",
         TOP / "tests" / "bench" / "axum_peer" / "Cargo.toml"],
        env=os.environ | {"CARGO_TARGET_DIR": str(AXUM.parents[1])},
        capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode != 0:
        print("axum: skipped, it cannot be built:\n" + done.stderr[-2000:], flush=True)
    return done.returncode == 0


def run(bench, load, legs, connections, rounds):
    """{(leg, connections): [what each round has measured]}"""
    found = {}
    for _ in range(rounds):
        for leg in legs:
            if leg == "producer":
                found.setdefault((leg, 0), []).append(bench.producer())
                continue
            for n in connections:
                server = getattr(bench, leg)()
                try:
                    found.setdefault((leg, n), []).append(load.measure(server, n))
                finally:
                    server.finish()
    return found


def medians(runs):
    return {key: round(statistics.median(one[key] for one in runs), 2) for key in runs[0]}


def row(leg, connections, one, peer):
    def ratio(key):
        return f"{one[key] / peer[key]:.2f}" if peer and peer[key] else "-"

    return {
        "leg": leg,
        "connections": connections or "-",
        "acked/s": round(one["acked_per_s"]),
        "x axum": ratio("acked_per_s"),
        "p50 ms": one.get("p50_ms", "-"),
        "p99 ms": one.get("p99_ms", "-"),
        "CPU us": one["cpu_us"],
        "x axum ": ratio("cpu_us"),
        "broker us": one["broker_cpu_us"],
        "x axum  ": ratio("broker_cpu_us"),
        "RSS MiB": one.get("rss_mib", "-"),
    }


def arguments():
    p = argparse.ArgumentParser(
        prog="tests/bench/run receiver", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    legs = ["receiver", "axum", "http_peer", "producer"]
    p.add_argument("--legs", nargs="+", choices=legs, default=legs)
    p.add_argument("--connections", type=int, nargs="+", default=[64, 512])
    p.add_argument("--seconds", type=int, default=8)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--json", type=Path, metavar="F", help="where the figures are written, too")
    return p.parse_args()


def main():
    args = arguments()
    legs = [leg for leg in args.legs if leg != "axum" or build_axum()]
    began = time.time()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        # A broker as it is run: with all of Java's compilers.
        kafka = Kafka(directory / "kafka", quick=False, heap="1g").start()
        try:
            load = Load(directory, kafka, args.seconds)
            runs = run(Bench(directory, kafka), load, legs, args.connections, args.rounds)
        finally:
            kafka.kill()
    found = {key: medians(one) for key, one in sorted(runs.items(), key=lambda i: i[0][1])}
    table([row(leg, n, one, found.get(("axum", n))) for (leg, n), one in found.items()])
    print(f"medians of {args.rounds}; load {os.getloadavg()[0]:.1f}; {time.time() - began:.0f} s")
    if args.json:
        rows = [{"leg": leg, "connections": n, **one} for (leg, n), one in found.items()]
        args.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
