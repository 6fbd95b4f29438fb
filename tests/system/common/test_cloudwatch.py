"""Counters for CloudWatch and for Prometheus, and what the logs never say."""

import collections
import hashlib
import re
import socket

import pytest
import requests

from harness.judge import body, burst, check_started_once, inject_all, wait_all
from harness.wait import wait_until

ON = {"CLOUDWATCH_METRICS": "on"}


def sent(sim):
    """{(metric, database): sum} of what CloudWatch was sent."""
    answer = requests.get(sim.url + "/_metrics", timeout=10)
    total = collections.Counter()
    for metric in answer.json()["metrics"]:
        assert metric["Namespace"] == "AthenaQuery" and metric["Unit"] == "Count"
        (dimension,) = metric["Dimensions"]
        assert dimension["Name"] == "DATABASE"
        total[metric["MetricName"], dimension["Value"]] += metric["Value"]
    return total


def total(sim, name):
    return sum(n for (metric, _), n in sent(sim).items() if metric == name)


@pytest.mark.parametrize("interval_ms", [1000, 3600000])
def test_cloudwatch_sums_are_those_of_athena(pipeline, interval_ms):
    """Whether sent every interval or only at the clean stop. Nothing is counted twice."""
    p = pipeline(
        executors=2, env=ON | {"CLOUDWATCH_INTERVAL_MS": interval_ms},
        sim_env={"SIM_ACTIVE_DML": 4, "SIM_QUERY_MS": 150, "SIM_FAIL_5XX": 0.2},
        executor_env={"ATHENA_DATABASE": "sales"}, redriver_env={"ATHENA_DATABASE": "sales"},
    )  # fmt: skip
    queries = burst(40)
    inject_all(p, queries)
    p.inject(body("own", "SELECT 'own'", database="own"))
    p.inject(body("full", "SELECT 1 /* sim: code=ThrottlingException */", database="slow"))
    wait_all(p, [*queries, "own"])
    wait_until(lambda: p.topics.lag(p.redriver_group, p.deadletter_topic) == 0, 20)
    if interval_ms == 1000:
        wait_until(lambda: total(p.sim, "StartQueryCount") > 0, 10, "counters before the stop")
    else:
        assert sent(p.sim) == {}
    executors = [e.metrics() for e in p.executors]
    restarted = p.redrivers[0].metrics().sum("athena_query_restarted_total")
    started = sum(m.sum("athena_query_start_total") for m in executors)
    for program in [*p.executors, *p.redrivers]:
        program.stop()
    stats = p.sim.stats()
    counters = sent(p.sim)
    assert total(p.sim, "StartQueryCount") == stats["start_calls"] >= started
    assert total(p.sim, "ThrottlingErrorCount") == stats["throttled"] > 0
    assert sum(m.sum("athena_query_throttled_total") for m in executors) == stats["throttled"]
    assert total(p.sim, "RestartQueryCount") == restarted == p.topics.count(p.deadletter_topic)
    assert {database for _, database in counters} == {"sales", "own", "slow"}
    assert counters["StartQueryCount", "own"] >= 1
    check_started_once(p, [*queries.values(), "SELECT 'own'"])


def test_cloudwatch_prometheus_counts_what_happened(pipeline):
    p = pipeline(redrivers=0, sim_env={"SIM_QUERY_MS": 50})
    inject_all(p, burst(7))
    inject_all(p, {"f": "SELECT 1 /* sim: state=FAILED */", "c": "SELECT 1 /* sim: state=CANCELLED */"})
    p.inject(b"no request")
    p.inject(body("r", "SELECT 1 /* sim: code=InvalidRequestException */"))
    p.inject(body("t", "SELECT 1 /* sim: code=TooManyRequestsException */"))
    p.wait_committed()
    metrics = p.executors[0].metrics()
    expected = {
        ("athena_query_received_total",): 12, ("athena_query_rejected_total",): 2,
        ("athena_query_deadlettered_total",): 1, ("athena_query_throttled_total",): 1,
        ("athena_query_start_total",): p.sim.stats()["start_calls"],
        ("athena_query_ended_total", "state", "SUCCEEDED"): 7,
        ("athena_query_ended_total", "state", "FAILED"): 1,
        ("athena_query_ended_total", "state", "CANCELLED"): 1,
        ("athena_query_start_answers_total", "outcome", "started"): 9,
        ("athena_query_start_answers_total", "outcome", "quota"): 1,
        ("athena_query_start_answers_total", "outcome", "rejected"): 1,
        ("athena_query_running",): 0, ("athena_query_waiting",): 0,
        ("athena_query_run_seconds_count",): 9,
    }  # fmt: skip
    found = {
        key: metrics.sum(key[0], **dict([key[1:]] if key[1:] else [])) for key in expected
    }
    assert found == expected


@pytest.mark.parametrize("trouble", ["refuses", "hangs"])
def test_cloudwatch_in_trouble_never_delays_a_query(pipeline, trouble):
    with socket.create_server(("127.0.0.1", 0)) as hole:  # takes connections, answers nothing
        port = hole.getsockname()[1] if trouble == "hangs" else 1
        p = pipeline(
            env=ON | {
                "CLOUDWATCH_INTERVAL_MS": 1000,
                "AWS_ENDPOINT_URL_CLOUDWATCH": f"http://127.0.0.1:{port}",
            },
            sim_env={"SIM_ACTIVE_DML": 5},
        )  # fmt: skip
        for first in (0, 20):
            queries = burst(20, first=first)
            inject_all(p, queries)
            wait_all(p, queries)
            if first == 0 and trouble == "refuses":
                p.executors[0].wait_log("not sent to CloudWatch")
            elif first == 0:
                hole.settimeout(10)
                hole.accept()  # it is being called
        assert p.executors[0].ready()
        p.executors[0].stop(timeout=25)
        p.redrivers[0].stop(timeout=25)


@pytest.mark.parametrize("how", ["text", "json"])
def test_logs_hold_no_sql_no_keys_no_tokens(pipeline, how, tmp_path):
    """At info, whatever goes wrong."""
    keys = tmp_path / "keys"
    keys.write_text(f"me:{hashlib.sha256(b'Api.Key.Secret').hexdigest()}\n")
    p = pipeline(
        env={"LOG_LEVEL": "info", "LOG_FORMAT": how}, receiver_env={"API_KEYS_FILE": keys},
        executor_env={"THROTTLE_PATIENCE_MS": 1, "AWS_SESSION_TOKEN": "Session.Token.Secret"},
        redriver_env={"AWS_SESSION_TOKEN": "Session.Token.Secret"},
        sim_env={"SIM_SESSION_TOKEN": "Session.Token.Secret", "SIM_QUERY_MS": 50},
    )  # fmt: skip
    p.clients[0].headers["x-api-key"] = "Api.Key.Secret"
    hints = {
        "fine": "", "failed": "/* sim: state=FAILED reason=At Marker.Sql */",
        "invalid": "/* sim: code=InvalidRequestException reason=line 1: Marker.Sql */",
        "odd": "/* sim: code=MetadataException reason=Marker.Sql */",
        "rate": "/* sim: code=ThrottlingException reason=Marker.Sql */",
        "server": "/* sim: code=InternalServerException reason=Marker.Sql */",
        "quota": "/* sim: code=TooManyRequestsException */",
    }  # fmt: skip
    for name, hint in hints.items():
        p.post({"queryId": name, "query": f"SELECT 'Marker.Sql' {hint}"})
    p.post({"queryId": "fine", "query": "SELECT 'Marker.Sql' again"})
    p.receiver.post({"query": {"Marker.Sql": 1}})
    p.receiver.post({"query": "SELECT 1"}, headers={"x-api-key": "Wrong.Key"})
    p.inject(b'{"query":"Marker.Sql" x}')
    for name in ("fine", "failed", "invalid", "odd"):
        p.wait_state(name, {"SUCCEEDED", "FAILED", "REJECTED"})
    p.executors[0].wait_log("perhaps started")
    p.sim.set(expired=1)
    p.executors[0].wait_log("credentials refused")
    p.sim.set(expired=0)
    p.executors[0].wait_log("queries are started again", timeout=20)
    wrong = p.add_executor({"AWS_SECRET_ACCESS_KEY": "Wrong.Secret"})
    p.executors[0].stop()
    p.post({"queryId": "late", "query": "SELECT 'Marker.Sql' late"})
    wrong.wait_log("credentials refused", timeout=20)
    readyz = requests.get(wrong.admin_url + "/readyz", timeout=5).text
    secrets = [
        "Marker.Sql", "Api.Key.Secret", "Wrong.Key", "Session.Token.Secret", "Wrong.Secret",
        p.sim.env["SIM_SECRET_ACCESS_KEY"], *(s["token"] for s in p.sim.ledger()),
        hashlib.sha256(b"Api.Key.Secret").hexdigest(),
    ]  # fmt: skip
    logs = {program.label: program.log(all_starts=True) for program in p.programs.started}
    del logs["athena-sim"]
    assert all(re.search(r"\bup\b", log) for log in logs.values())
    for label, log in (logs | {"/readyz": readyz}).items():
        told = [s for s in secrets if s in log]
        assert not told, f"{label} tells {told}:\n{log}"
