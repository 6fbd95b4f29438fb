"""deploy/prometheus: each alert fires where it should and not elsewhere, and names what is exported."""

import re
import shutil
import subprocess

import pytest
import yaml

from harness.paths import TOP
from harness.promql import PROMTOOL, faults

RULES = TOP / "deploy/prometheus/athena-query.rules.yml"
RUNBOOK = TOP / "docs/runbook.md"
LABELS = '{namespace="n",stage="dev",job="j",instance="%s"}'


def rules():
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def test_each_alert_has_a_section_of_the_runbook():
    sections = re.findall(r"^### (\w+)$", RUNBOOK.read_text(), re.M)
    assert sections == list(rules())
    for name, rule in rules().items():
        assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{name.lower()}"
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert rule["annotations"]["summary"] and rule["annotations"]["description"]
        body = RUNBOOK.read_text().split(f"### {name}\n")[1].split("\n### ")[0]
        assert len(body.split()) > 20, f"the runbook says too little of {name}"


def test_alerts_name_what_is_exported(exported):
    for name, rule in rules().items():
        assert not faults(rule["expr"], exported), name


# (alert, series that make it fire, series that do not). Series: {name{labels}: promtool's values}, from
# minute 0; the labels of a deployment are added. The alert is looked at after `AFTER` minutes.
AFTER = 90
START, END, CODE = "athena_query_start_total", "athena_query_ended_total", "athena_query_http_requests_total"
WAIT, ACK = "athena_query_wait_seconds_bucket", "athena_query_ack_seconds_bucket"
BUILD = "athena_query_build_info"


def only(name, fires, silent):
    return {name: fires}, {name: silent}


CASES = {
    "AthenaQueryNothingStarts": (
        {"athena_query_waiting": "3x99", "athena_query_running": "0x99", START: "7x99"},
        {"athena_query_waiting": "3x99", "athena_query_running": "0x99", START: "0+1x99"},
    ),
    "AthenaQueryWaitsLong": (
        {f'{WAIT}{{le="600"}}': "0+1x99", f'{WAIT}{{le="3600"}}': "0+9x99", f'{WAIT}{{le="+Inf"}}': "0+10x99"},
        {f'{WAIT}{{le="600"}}': "0+95x99", f'{WAIT}{{le="3600"}}': "0+99x99", f'{WAIT}{{le="+Inf"}}': "0+100x99"},
    ),
    "AthenaQueryOldestTooOld": only("athena_query_oldest_age_seconds", "14460x99", "14340x99"),
    "AthenaQueryMostCallsThrottled": (
        {"athena_query_throttled_total": "0+4x99", START: "0+10x99"},
        {"athena_query_throttled_total": "0+2x99", START: "0+10x99"},
    ),
    "AthenaQueryFleetWithoutLeader": (
        {"athena_query_fleet_leader": "0x99", 'athena_query_fleet_leader{instance="2"}': "0x99"},
        {"athena_query_fleet_leader": "0x99"},
    ),
    "AthenaQueryRejected": only("athena_query_rejected_total", "0x80 1x20", "1x99"),
    "AthenaQueryMostFail": (
        {f'{END}{{state="FAILED"}}': "0+6x99", f'{END}{{state="SUCCEEDED"}}': "0+4x99"},
        {f'{END}{{state="FAILED"}}': "0+4x99", f'{END}{{state="SUCCEEDED"}}': "0+6x99"},
    ),
    "AthenaQueryNoStartAllowed": only("athena_query_credentials_refused", "1x99", "0x86 1x13"),
    "AthenaQueryPollsFail": (
        {"athena_query_poll_errors_total": "0+6x99", "athena_query_poll_total": "0+10x99"},
        {"athena_query_poll_errors_total": "0+4x99", "athena_query_poll_total": "0+10x99"},
    ),
    "AthenaQueryDeadLettersOld": only("athena_query_deadletter_oldest_seconds", "1860x99", "60x99"),
    "AthenaQueryNoRedrivePass": only("athena_query_redrive_passes_total", "0+1x60 60x39", "0+1x99"),
    "AthenaQueryDeadLettersLost": only("athena_query_deadletter_lost_total", "0x70 3x29", "3x99"),
    "AthenaQueryDeadLettersHopeless": only("athena_query_deadletter_hopeless", "1x99", "0x99"),
    "AthenaQueryRedrivePassIncomplete": (
        {"athena_query_redrive_unread_partitions": "0x99", "athena_query_redrive_uncommitted": "1x99"},
        {"athena_query_redrive_unread_partitions": "0x80 2x19", "athena_query_redrive_uncommitted": "0x99"},
    ),
    "AthenaQueryDeadLettersReset": only("athena_query_deadletter_beyond_end_total", "0x70 1x29", "1x99"),
    "AthenaQueryReceiverRefuses": (
        {f'{CODE}{{code="503"}}': "0+1x99", f'{CODE}{{code="202"}}': "0+9x99"},
        {f'{CODE}{{code="503"}}': "0+1x99", f'{CODE}{{code="202"}}': "0+99x99"},
    ),
    "AthenaQueryAcknowledgedSlowly": (
        {f'{ACK}{{le="1"}}': "0+90x99", f'{ACK}{{le="5"}}': "0+99x99", f'{ACK}{{le="+Inf"}}': "0+100x99"},
        {f'{ACK}{{le="1"}}': "0+100x99", f'{ACK}{{le="5"}}': "0+100x99", f'{ACK}{{le="+Inf"}}': "0+100x99"},
    ),
    "AthenaQueryStatesNotRead": (
        {
            "athena_query_status_view_caught_up": "1x99",
            'athena_query_status_view_caught_up{instance="2"}': "0x99",
        },
        {"athena_query_status_view_caught_up": "0x3 1x96"},
    ),
    "AthenaQueryKeysNotReloaded": only(
        "athena_query_api_keys_reload_failures_total", "0x80 1x19", "1x99"
    ),
    "AthenaQueryKafkaRefusesRecords": (
        {"athena_query_redrive_failures_total": "0+1x99", "athena_query_send_errors_total": "0x99"},
        {
            "athena_query_send_errors_total": "0x80 1x19",
            'athena_query_produce_failures_total{reason="late"}': "5x99",
        },
    ),
    "AthenaQueryRecordsStandStill": only("athena_query_stuck_records", "1x99", "0x87 1x12"),
    "AthenaQueryTopicUnsafe": (
        {'athena_query_topic_unsafe{topic="t"}': "1x99", 'athena_query_topic_unsafe{topic="u"}': "0x99"},
        {'athena_query_topic_unsafe{topic="t"}': "0x88 1x11"},
    ),
    "AthenaQueryQueriesLost": (
        {"athena_query_lost_total": "0x99", "athena_query_gone_total": "0x70 3x29"},
        {"athena_query_lost_total": "3x99", "athena_query_gone_total": "1x99"},
    ),
    "AthenaQueryNoPartitions": (
        {"athena_query_partitions": "0x99", 'athena_query_partitions{instance="2"}': "0x99"},
        {"athena_query_partitions": "0x99", 'athena_query_partitions{instance="2"}': "6x99"},
    ),
    **{
        f"AthenaQuery{program.capitalize()}Missing": (
            {f'{BUILD}{{program="athena-query-{other}"}}': "1x99"},
            {f'{BUILD}{{program="athena-query-{program}"}}': "1x99"},
        )
        for program, other in (("receiver", "executor"), ("executor", "receiver"), ("redriver", "executor"))
    },
    "AthenaQueryRestartsOften": (
        {"process_start_time_seconds": "0x70 1x4 2x4 3x4 4x9", BUILD: "1x99"},
        {"process_start_time_seconds": "0x70 1x4 2x23", BUILD: "1x99"},
    ),
    "AthenaQueryDescriptorsRunOut": (
        {"process_open_fds": "900x99", "process_max_fds": "1024x99", BUILD: "1x99"},
        {"process_open_fds": "900x99", "process_max_fds": "1024x99"},  # another program's
    ),
    "AthenaQueryVersionsDiffer": (
        {f'{BUILD}{{version="1"}}': "1x99", f'{BUILD}{{version="2"}}': "1x99"},
        {f'{BUILD}{{version="1"}}': "1x99", f'{BUILD}{{version="2"}}': "1x40"},
    ),
}
# Their expressions take the labels of a deployment away, or leave those of a target.
NO_DEPLOYMENT = {"AthenaQueryReceiverMissing", "AthenaQueryExecutorMissing", "AthenaQueryRedriverMissing"}
OF_A_TARGET = {"AthenaQueryRestartsOften", "AthenaQueryDescriptorsRunOut"}
OF_A_TOPIC = {"AthenaQueryTopicUnsafe"}


def series(name, values):
    """promtool's series of `name{labels}`, with the labels of a deployment."""
    plain, _, own = name.partition("{")
    labels = {"namespace": "n", "stage": "dev", "job": "j", "instance": "1"}
    labels |= dict(re.findall(r'(\w+)="([^"]*)"', own))
    return {"series": plain + "{" + ",".join(f'{k}="{v}"' for k, v in labels.items()) + "}", "values": values}


def expected(alert, rule):
    labels = dict(rule["labels"])
    if alert not in NO_DEPLOYMENT:
        labels |= {"namespace": "n", "stage": "dev"}
    else:
        labels |= {"program": "athena-query-" + alert[len("AthenaQuery"):-len("Missing")].lower()}
    if alert in OF_A_TARGET:
        labels |= {"job": "j", "instance": "1"}
    if alert in OF_A_TOPIC:
        labels["topic"] = "t"
    return {"exp_labels": labels, "exp_annotations": rule["annotations"]}


@pytest.mark.timeout(60)
def test_each_alert_fires_and_does_not(tmp_path):
    if not PROMTOOL:
        pytest.skip("promtool is not here (tests/deploy/tools promtool)")
    assert set(CASES) == set(rules())
    tests = []
    for alert, cases in CASES.items():
        for fires, case in zip((True, False), cases):
            tests.append({
                "name": f"{alert} {'fires' if fires else 'does not fire'}",
                "interval": "1m",
                "input_series": [series(name, values) for name, values in case.items()],
                "alert_rule_test": [{
                    "eval_time": f"{AFTER}m", "alertname": alert,
                    "exp_alerts": [expected(alert, rules()[alert])] if fires else [],
                }],
            })  # fmt: skip
    shutil.copy(RULES, tmp_path)
    path = tmp_path / "tests.yml"
    path.write_text(yaml.safe_dump({"rule_files": [RULES.name], "evaluation_interval": "1m", "tests": tests}))
    done = subprocess.run([PROMTOOL, "test", "rules", path], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
