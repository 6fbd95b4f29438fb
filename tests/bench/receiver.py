"""How fast the receiver takes queries, on a real Kafka: from POST to 202."""

import argparse
import subprocess
import tempfile
from pathlib import Path

from harness.kafka import Kafka
from stand import Stand, table

WRK_SCRIPT = """
local body = '{"userId":"u%s","queryId":"%s-%s","query":"SELECT ' .. string.rep('x', 180) .. '"}'
local thread_count = 0
function setup(thread) thread:set("id", thread_count); thread_count = thread_count + 1 end
function init() n = 0 end
function request()
  n = n + 1
  return wrk.format("POST", "/athena/query", {["Content-Type"] = "application/json"},
                    string.format(body, n % 50, id, n))
end
"""


def measure(directory, kafka, connections, seconds):
    with Stand(directory, kafka, {"SIM_ACTIVE_DML": 1, "SIM_QUERY_MS": 60000}, 0) as stand:
        receiver = stand.receiver
        script = directory / "post.lua"
        script.write_text(WRK_SCRIPT)
        before = receiver.cpu_seconds()
        out = subprocess.run(
            ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", script,
             receiver.url],
            capture_output=True, text=True, check=True, timeout=seconds + 60,
        ).stdout  # fmt: skip
        used = receiver.cpu_seconds() - before
        memory = receiver.memory_kib() / 1024
    words = {line.split()[0]: line.split() for line in out.splitlines() if line.split()}
    count = next(int(w[0]) for w in words.values() if len(w) > 2 and w[1] == "requests")
    refused = next((line for line in out.splitlines() if "Non-2xx" in line), "")
    return {
        "connections": connections,
        "acked/s": round(float(words["Requests/sec:"][1])),
        "p50": words["50%"][1],
        "p99": words["99%"][1],
        "not 2xx": refused.split(":")[-1].strip() or "0",
        "CPU us/request": round(used * 1e6 / max(count, 1), 1),
        "RSS MiB": round(memory, 1),
    }


def main():
    parser = argparse.ArgumentParser(prog="tests/bench/run receiver", description=__doc__)
    parser.add_argument("--connections", type=int, nargs="+", default=[64, 512])
    parser.add_argument("--seconds", type=int, default=10)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        kafka = Kafka(directory / "kafka").start()
        try:
            print("receiver: POST to 202, 250-byte bodies, wrk on the same machine")
            table([measure(directory / f"r{n}", kafka, n, args.seconds) for n in args.connections])
        finally:
            kafka.kill()


if __name__ == "__main__":
    main()
