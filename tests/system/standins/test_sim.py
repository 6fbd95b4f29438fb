"""athena-sim against Amazon's own client: what the other tests take on trust."""

import concurrent.futures
import hashlib
import http.client
import json
import re
import socket
import time
import uuid

import botocore.session
import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, ConnectionClosedError
from botocore.parsers import ResponseParserError

from harness.program import run_program
from harness.sim import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY
from harness.wait import wait_until

CONTENT_TYPES = {"athena": "application/x-amz-json-1.1", "monitoring": "application/x-amz-json-1.0"}
TARGETS = {"athena": "AmazonAthena.", "monitoring": "GraniteServiceVersion20100801."}


def client(sim, service="athena", region=REGION, credentials=None, **config):
    key, secret, session_token = credentials or (
        sim.env["SIM_ACCESS_KEY_ID"], sim.env["SIM_SECRET_ACCESS_KEY"],
        sim.env.get("SIM_SESSION_TOKEN"),
    )  # fmt: skip
    return botocore.session.Session().create_client(
        service, region_name=region, endpoint_url=sim.url, aws_access_key_id=key,
        aws_secret_access_key=secret, aws_session_token=session_token,
        config=Config(retries={"total_max_attempts": 1}, max_pool_connections=100, **config),
    )  # fmt: skip


def token():
    return uuid.uuid4().hex


def code(failing, *args, **kwargs):
    """(HTTP status, code, message) of the error."""
    with pytest.raises(ClientError) as error:
        failing(*args, **kwargs)
    response = error.value.response
    status = response["ResponseMetadata"]["HTTPStatusCode"]
    return status, response["Error"]["Code"], response["Error"]["Message"]


def call(sim, operation, body, service="athena", change=None, credentials=None, data=None):
    """A signed call by hand: a requests.Response. `change(headers)` comes after signing."""
    data = data if data is not None else json.dumps(body).encode()
    request = AWSRequest(
        "POST", sim.url + "/", data=data,
        headers={
            "Content-Type": CONTENT_TYPES[service],
            "X-Amz-Target": TARGETS[service] + operation,
        },
    )  # fmt: skip
    who = credentials or Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY)
    SigV4Auth(who, service, REGION).add_auth(request)
    headers = dict(request.headers.items())
    if change:
        change(headers)
    return requests.post(sim.url + "/", data=data, headers=headers, timeout=30)


def start(sim, text="SELECT 1", **more):
    body = {"QueryString": text, "ClientRequestToken": token()} | more
    return call(sim, "StartQueryExecution", {k: v for k, v in body.items() if v is not None})


# Queries ---------------------------------------------------------------------------------------


def test_a_query_from_start_to_end(sim):
    s = sim(SIM_QUERY_MS=300)
    athena = client(s)
    before = time.time()
    query_id = athena.start_query_execution(
        QueryString="SELECT 'ä'", QueryExecutionContext={"Database": "d", "Catalog": "c"},
        ResultConfiguration={"OutputLocation": "s3://bucket/folder/"}, WorkGroup="w",
        ClientRequestToken="t" * 32,
    )["QueryExecutionId"]  # fmt: skip

    def look():
        return athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]

    first = look()
    assert first["Status"]["State"] in ("QUEUED", "RUNNING")
    assert "CompletionDateTime" not in first["Status"]
    last = wait_until(lambda: (q := look())["Status"]["State"] == "SUCCEEDED" and q, 10, "its end")
    assert last["Query"] == "SELECT 'ä'"
    assert last["StatementType"] == "DML"
    assert last["WorkGroup"] == "w"
    assert last["QueryExecutionContext"] == {"Database": "d", "Catalog": "c"}
    assert last["ResultConfiguration"] == {"OutputLocation": f"s3://bucket/folder/{query_id}.csv"}
    submitted, completed = (
        last["Status"][k].timestamp() for k in ("SubmissionDateTime", "CompletionDateTime")
    )
    assert before - 0.01 < submitted < time.time()
    assert 0.29 < completed - submitted < 0.31
    statistics = last["Statistics"]
    assert statistics["TotalExecutionTimeInMillis"] == 300
    assert (
        statistics["QueryQueueTimeInMillis"] + statistics["EngineExecutionTimeInMillis"]
        == statistics["TotalExecutionTimeInMillis"]
    )
    assert statistics["DataScannedInBytes"] > 0

    (line,) = s.ledger()
    assert line["token"] == "t" * 32
    assert line["id"] == query_id
    assert line["sha256"] == hashlib.sha256("SELECT 'ä'".encode()).hexdigest()
    assert abs(line["t"] - submitted) < 0.01
    stats = s.stats()
    assert (stats["started"], stats["ended"], stats["succeeded"]) == (1, 1, 1)
    assert stats["running_dml"] == 0 and stats["max_running_dml"] == 1


def test_batch_get(sim):
    s = sim()
    athena = client(s)
    ids = [athena.start_query_execution(QueryString=f"SELECT {i}")["QueryExecutionId"] for i in range(20)]
    answer = athena.batch_get_query_execution(QueryExecutionIds=[*ids, "unknown"])
    assert [q["QueryExecutionId"] for q in answer["QueryExecutions"]] == ids
    assert [u["QueryExecutionId"] for u in answer["UnprocessedQueryExecutionIds"]] == ["unknown"]
    for wrong in ([], ids * 3, None):
        body = {"QueryExecutionIds": wrong}
        answer = call(s, "BatchGetQueryExecution", body)
        assert (answer.status_code, answer.json()["__type"]) == (400, "InvalidRequestException")
    assert call(s, "BatchGetQueryExecution", {"QueryExecutionIds": ids + ids + ids[:10]}).ok
    assert code(athena.get_query_execution, QueryExecutionId="unknown")[:2] == (
        400, "InvalidRequestException",
    )  # fmt: skip
    assert s.stats()["batch_calls"] == 5


def test_stop(sim):
    s = sim(SIM_QUERY_MS=3600000, SIM_ACTIVE_DML=1)
    athena = client(s)
    query_id = athena.start_query_execution(QueryString="SELECT 1")["QueryExecutionId"]
    athena.stop_query_execution(QueryExecutionId=query_id)
    status = athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]["Status"]
    assert status["State"] == "CANCELLED"
    athena.stop_query_execution(QueryExecutionId=query_id)
    athena.start_query_execution(QueryString="SELECT 2")  # the quota has room again
    assert s.stats()["cancelled"] == 1


def test_hints_choose_the_end(sim):
    s = sim(SIM_QUERY_MS=3600000)
    athena = client(s)

    def final(text):
        query_id = athena.start_query_execution(QueryString=text)["QueryExecutionId"]
        return athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]["Status"]

    failed = final("SELECT 1 /* sim: ms=0 state=FAILED reason=Out of luck */")
    assert (failed["State"], failed["StateChangeReason"]) == ("FAILED", "Out of luck")
    assert failed["AthenaError"]["ErrorCategory"] == 2
    assert final("SELECT 1 /* sim: ms=0 state=CANCELLED */")["State"] == "CANCELLED"
    assert final("SELECT 1 /* sim: ms=0 */")["State"] == "SUCCEEDED"
    hint = "SELECT 1 /* sim: code=AccessDeniedException reason=Not yours */"
    assert code(athena.start_query_execution, QueryString=hint) == (
        400, "AccessDeniedException", "Not yours",
    )  # fmt: skip
    hint = "SELECT 1 /* sim: code=InternalServerException */"
    assert code(athena.start_query_execution, QueryString=hint)[:2] == (
        500, "InternalServerException",
    )  # fmt: skip
    assert len(s.ledger()) == 3


# Tokens ----------------------------------------------------------------------------------------

BASE = {
    "QueryString": "SELECT 1",
    "QueryExecutionContext": {"Database": "d", "Catalog": "c"},
    "ResultConfiguration": {"OutputLocation": "s3://b/"},
    "WorkGroup": "w",
    "ExecutionParameters": ["1", "2"],
    "ResultReuseConfiguration": {"ResultReuseByAgeConfiguration": {"Enabled": True}},
}


def test_a_token_starts_once_and_only_one_set_of_parameters(sim):
    s = sim()
    same = {"ClientRequestToken": token()}
    first = start(s, **BASE | same).json()
    assert start(s, **BASE | same).json() == first
    again = {"QueryExecutionContext": {"Catalog": "c", "Database": "d"}}  # in another order
    assert start(s, **BASE | same | again).json() == first
    others = [
        {"QueryString": "SELECT 2"},
        {"QueryExecutionContext": {"Database": "e", "Catalog": "c"}},
        {"QueryExecutionContext": {"Database": "d"}},
        {"QueryExecutionContext": None},
        {"ResultConfiguration": {"OutputLocation": "s3://b/c"}},
        {"ResultConfiguration": None},
    ]
    not_compared = [
        {"WorkGroup": "v"},
        {"WorkGroup": None},
        {"ExecutionParameters": ["2", "1"]},
        {"ExecutionParameters": None},
        {"ResultReuseConfiguration": None},
    ]
    for other in not_compared:
        assert start(s, **BASE | same | other).json() == first
    for other in others:
        answer = start(s, **BASE | same | other)
        assert answer.status_code == 400, other
        assert answer.json()["__type"] == "InvalidRequestException"
        assert answer.json()["AthenaErrorCode"] == "IDEMPOTENT_PARAMETER_MISMATCH"
        assert answer.json()["Message"] == "Idempotent parameters do not match"
    assert start(s, **BASE).json() != first
    stats = s.stats()
    repeated = 2 + len(not_compared)
    assert (stats["started"], stats["repeated"], stats["mismatch"]) == (2, repeated, len(others))
    assert len(s.ledger()) == 2


def test_answers_that_a_test_has_written(sim):
    s = sim()
    refusal = {"__type": "AccessDeniedException", "Message": "no"}
    s.set(answers=[
        {"match": "once", "status": 400, "body": json.dumps(refusal), "times": 1},
        {"match": "always", "status": 503, "body": "<html>"},
    ])  # fmt: skip
    answer = start(s, "SELECT 'once'")
    assert (answer.status_code, answer.json()) == (400, refusal)
    assert start(s, "SELECT 'once'").status_code == 200
    assert start(s, "SELECT 1").status_code == 200
    for _ in range(2):
        answer = start(s, "SELECT 'always'")
        assert (answer.status_code, answer.text) == (503, "<html>")
    assert s.stats()["canned"] == 3
    for wrong in ({"match": "x"}, {"match": "x", "status": 1, "body": ""}, 1):
        assert requests.post(s.url + "/_set", json={"answers": [wrong]}).status_code == 400
    assert start(s, "SELECT 'always'").status_code == 503, "what was wrong changed nothing"
    s.set(answers=[])
    assert start(s, "SELECT 'always'").status_code == 200


def test_tokens_outlive_a_kill(sim):
    s = sim()
    same = {"ClientRequestToken": token()}
    first = start(s, **same).json()["QueryExecutionId"]
    s.kill()
    with open(s.ledger_path, "a") as f:
        f.write('{"token":"half a li')
    s.start()
    assert start(s, **same).json()["QueryExecutionId"] == first
    assert start(s, "SELECT 2", **same).json()["Message"] == "Idempotent parameters do not match"
    seen = call(s, "GetQueryExecution", {"QueryExecutionId": first}).json()["QueryExecution"]
    assert seen["Status"]["State"] == "SUCCEEDED"
    other = start(s, "SELECT 3").json()["QueryExecutionId"]
    lines = s.ledger_path.read_text().splitlines()
    assert json.loads(lines[0])["id"] == first
    assert json.loads(lines[2])["id"] == other
    assert len(lines) == 3


@pytest.mark.parametrize("end", ["SUCCEEDED", "FAILED", "CANCELLED"])
def test_an_end_outlives_a_kill(sim, end):
    s = sim()
    query_id = start(s, f"SELECT 1 /* sim: ms=10 state={end} */").json()["QueryExecutionId"]
    s.kill()
    s.start()
    assert s.execution(query_id)["Status"]["State"] == end


# What is not taken -----------------------------------------------------------------------------

INVALID = [
    {"QueryString": None},
    {"QueryString": ""},
    {"QueryString": "SELECT '" + "x" * 262136 + "'"},
    {"QueryString": "SELECT '" + "ä" * 131068 + "'"},
    {"QueryString": "BROKEN"},
    {"ClientRequestToken": None},
    {"ClientRequestToken": "t" * 31},
    {"ClientRequestToken": "t" * 129},
    {"WorkGroup": "a b"},
    {"WorkGroup": ""},
    {"WorkGroup": "w" * 129},
    {"QueryExecutionContext": {"Database": ""}},
    *[
        {"ResultReuseConfiguration": {"ResultReuseByAgeConfiguration": age}}
        for age in (
            {}, {"MaxAgeInMinutes": 5}, {"Enabled": True, "MaxAgeInMinutes": -1},
            {"Enabled": True, "MaxAgeInMinutes": 10081},
        )
    ],
    {"QueryExecutionContext": {"Database": "d" * 256}},
    {"QueryExecutionContext": {"Catalog": "c" * 257}},
    {"ResultConfiguration": {"OutputLocation": "file:///tmp"}},
    {"ExecutionParameters": []},
    {"ExecutionParameters": [""]},
    {"ExecutionParameters": ["x" * 1025]},
]


def test_parameters_out_of_bounds(sim):
    s = sim()
    for wrong in INVALID:
        answer = start(s, **BASE | wrong)
        assert answer.status_code == 400, str(wrong)[:80]
        assert answer.json()["__type"] == "InvalidRequestException", str(wrong)[:80]
    assert s.stats()["invalid"] == len(INVALID)
    assert s.ledger() == []


def test_parameters_at_their_bounds(sim):
    s = sim()
    largest = "SELECT '" + "x" * 262135 + "'"
    for right in (
        {"QueryString": largest},
        {"QueryString": "SELECT '" + "\u0001" * 262135 + "'"},  # six bytes each on the wire
        {"QueryString": "SELECT '" + "ä" * 131067 + "x'"},
        {"ClientRequestToken": "t" * 32},
        {"ClientRequestToken": "t" * 128},
        {"WorkGroup": "w" * 128},
        {"QueryExecutionContext": {"Database": "ä" * 255, "Catalog": "c" * 256}},
        {"ExecutionParameters": ["x" * 1024]},
    ):
        answer = start(s, **BASE | right)
        assert answer.status_code == 200, answer.text[:200]
    assert len(s.ledger()) == 8
    assert s.starts_by_text()[hashlib.sha256(largest.encode()).hexdigest()] == 1


@pytest.mark.parametrize(
    "asked, told",
    [
        (None, {"Enabled": False}),
        ({"Enabled": False, "MaxAgeInMinutes": 5}, {"Enabled": False}),
        ({"Enabled": True}, {"Enabled": True, "MaxAgeInMinutes": 60}),
        ({"Enabled": True, "MaxAgeInMinutes": 0}, {"Enabled": True, "MaxAgeInMinutes": 0}),
        ({"Enabled": True, "MaxAgeInMinutes": 10080}, {"Enabled": True, "MaxAgeInMinutes": 10080}),
    ],
)
def test_the_reuse_that_was_asked_for_is_told(sim, asked, told):
    s = sim()
    reuse = {"ResultReuseConfiguration": {"ResultReuseByAgeConfiguration": asked}} if asked else {}
    query_id = start(s, **reuse).json()["QueryExecutionId"]
    seen = call(s, "GetQueryExecution", {"QueryExecutionId": query_id}).json()["QueryExecution"]
    assert seen["ResultReuseConfiguration"] == {"ResultReuseByAgeConfiguration": told}


def test_bodies_that_are_no_sound_json(sim):
    s = sim()
    good = json.dumps({"QueryString": "SELECT 1", "ClientRequestToken": token()})
    bodies = [
        b"", b"null", b"[]", good.encode() + b"x", good.encode()[:-1], b"\xef\xbb\xbf" + good.encode(),
        good.replace("SELECT 1", "SELECT 1\\u0000").encode(),
        good.encode("utf-16"),
        good.replace("SELECT 1", "SELECT\n1").encode(),
        good.replace("SELECT 1", "SELECT '\\ud800'").encode(),
        good.encode().replace(b"SELECT 1", b"SELECT '\xff'"),
        good.encode().replace(b"SELECT 1", b"SELECT '\xed\xa0\x80'"),
        good.replace("{", '{"QueryString":"SELECT 2",', 1).encode(),
        good.replace('"SELECT 1"', "1").encode(),
        good.replace('"SELECT 1"', '["SELECT 1"]').encode(),
    ]  # fmt: skip
    for body in bodies:
        answer = call(s, "StartQueryExecution", None, data=body)
        assert answer.status_code == 400, body
        assert answer.json()["__type"] == "SerializationException", body
    escaped = good.replace("SELECT 1", "SELECT '\\\\u0000'").encode()  # a backslash, then u0000
    assert call(s, "StartQueryExecution", None, data=escaped).status_code == 200
    assert len(s.ledger()) == 1


def test_what_is_forbidden_or_unknown(sim):
    s = sim()
    denied = start(s, WorkGroup="forbidden")
    assert (denied.status_code, denied.json()["__type"]) == (400, "AccessDeniedException")
    assert "not authorized" in denied.json()["Message"]
    assert call(s, "ListWorkGroups", {}).json()["__type"] == "UnknownOperationException"
    wrong_type = call(
        s, "StartQueryExecution", {}, change=lambda h: h.update({"Content-Type": "text/plain"})
    )
    assert wrong_type.status_code == 400
    assert s.ledger() == []


# Signatures ------------------------------------------------------------------------------------


def replaced(name, pattern, replacement):
    def change(headers):
        before = headers[name]
        headers[name] = re.sub(pattern, replacement, before)
        assert headers[name] != before

    return change


@pytest.mark.parametrize(
    "change, expected",
    [
        (lambda h: h.pop("Authorization"), "MissingAuthenticationTokenException"),
        (replaced("Authorization", "Signature=.", "Signature=g"), "InvalidSignatureException"),
        (replaced("Authorization", ACCESS_KEY_ID, "AKIDOTHER"), "UnrecognizedClientException"),
        (replaced("Authorization", "/athena/", "/monitoring/"), "InvalidSignatureException"),
        (replaced("Authorization", REGION, "us-east-1"), "InvalidSignatureException"),
        (replaced("Authorization", "host;", ""), "InvalidSignatureException"),
        (replaced("Authorization", ", Signature=.*", ""), "IncompleteSignatureException"),
        (replaced("X-Amz-Target", "Start", "Stop"), "InvalidSignatureException"),
        (lambda h: h.pop("X-Amz-Date"), "IncompleteSignatureException"),
        (
            lambda h: h.update({"X-Amz-Security-Token": "t"}),
            "UnrecognizedClientException",
        ),
    ],
)
def test_every_signature_is_checked(sim, change, expected):
    s = sim()
    body = {"QueryString": "SELECT 1", "ClientRequestToken": token()}
    answer = call(s, "StartQueryExecution", body, change=change)
    assert (answer.status_code, answer.json()["__type"]) == (400, expected)
    assert answer.json()["message"]
    assert s.ledger() == []
    assert s.stats()["bad_signature"] == 1


def test_another_body_than_the_signed_one(sim):
    s = sim()
    body = json.dumps({"QueryString": "SELECT 1", "ClientRequestToken": token()}).encode()
    headers = {}
    assert call(s, "StartQueryExecution", None, data=body, change=headers.update).ok

    def keep(sent):
        headers.update(sent)

    call(s, "StartQueryExecution", None, data=body, change=keep)
    other = requests.post(s.url + "/", data=body.replace(b"1", b"2"), headers=headers, timeout=10)
    assert (other.status_code, other.json()["__type"]) == (400, "InvalidSignatureException")


@pytest.mark.parametrize("offset_s, ok", [(-290, True), (290, True), (-310, False), (310, False)])
def test_clock_skew(sim, monkeypatch, offset_s, ok):
    s = sim()
    import datetime

    import botocore.auth

    real = botocore.auth.get_current_datetime
    monkeypatch.setattr(
        botocore.auth, "get_current_datetime",
        lambda *a, **k: real(*a, **k) + datetime.timedelta(seconds=offset_s),
    )  # fmt: skip
    answer = start(s)
    assert answer.ok == ok
    if not ok:
        assert answer.json()["__type"] == "InvalidSignatureException"
        assert "Signature" in answer.json()["message"]


def test_any_region_and_the_right_session_token(sim):
    s = sim(SIM_SESSION_TOKEN="the/token+=")
    for region in ("us-east-1", "ap-northeast-2"):
        client(s, region=region).start_query_execution(QueryString="SELECT 1")
    for wrong in (None, "another"):
        athena = client(s, credentials=(ACCESS_KEY_ID, SECRET_ACCESS_KEY, wrong))
        assert code(athena.start_query_execution, QueryString="SELECT 1")[:2] == (
            400, "UnrecognizedClientException",
        )  # fmt: skip
    assert len(s.ledger()) == 2


# Quotas and faults -----------------------------------------------------------------------------


def test_quotas(sim):
    s = sim(SIM_QUERY_MS=3600000, SIM_ACTIVE_DML=2, SIM_ACTIVE_DDL=1)
    same = {"ClientRequestToken": token()}
    first = start(s, **same).json()
    assert start(s, "(SELECT 2)").ok
    assert start(s, "-- x\nDROP TABLE t").ok
    for full in ("SELECT 3", "CREATE TABLE t AS SELECT 1", "SHOW TABLES"):
        answer = start(s, full)
        assert answer.status_code == 400, full
        assert answer.json()["__type"] == "TooManyRequestsException"
        assert answer.json()["Reason"] == "CONCURRENT_QUERY_LIMIT_EXCEEDED"
    assert start(s, **same).json() == first  # the token goes before the quota
    s.set(active_dml=3)
    assert start(s, "SELECT 3").ok
    assert not start(s, "SELECT 4").ok
    assert code(client(s).start_query_execution, QueryString="SELECT 4")[1] == (
        "TooManyRequestsException"
    )
    stats = s.stats()
    assert stats["throttled"] == 5
    assert (stats["running_dml"], stats["running_ddl"]) == (3, 1)
    assert (stats["max_running_dml"], stats["max_running_ddl"]) == (3, 1)


def test_the_quota_is_free_again_when_queries_end(sim):
    s = sim(SIM_QUERY_MS=50, SIM_ACTIVE_DML=1)
    for i in range(5):
        wait_until(lambda: start(s, f"SELECT {i}").ok, 10, "a free slot")
    assert s.stats()["max_running_dml"] == 1


def test_5xx_comes_before_the_start(sim):
    s = sim(SIM_FAIL_5XX=1)
    answer = start(s)
    assert (answer.status_code, answer.json()["__type"]) == (500, "InternalServerException")
    assert s.ledger() == []
    s.set(fail_5xx=0.5)
    codes = [start(s, f"SELECT {i} /* sim: ms=0 */").status_code for i in range(60)]
    assert 10 < codes.count(500) < 50
    assert len(s.ledger()) == codes.count(200)
    assert s.stats()["failed_5xx"] == codes.count(500) + 1


def test_a_cut_comes_after_the_start(sim):
    s = sim(SIM_CUT_AFTER_START=1)
    same = token()
    with pytest.raises(ConnectionClosedError):
        client(s).start_query_execution(QueryString="SELECT 1", ClientRequestToken=same)
    (line,) = s.ledger()
    # The repetition starts nothing, and is answered.
    again = client(s).start_query_execution(QueryString="SELECT 1", ClientRequestToken=same)
    assert again["QueryExecutionId"] == line["id"]
    assert s.stats()["cut"] == 1
    assert len(s.ledger()) == 1


def test_nonsense(sim):
    s = sim(SIM_NONSENSE=1)
    answers = [start(s, f"SELECT {i}") for i in range(12)]
    assert all(a.status_code == 200 for a in answers)
    kinds = set()
    for answer in answers:
        try:
            assert answer.json() == {}
            kinds.add("empty")
        except ValueError:
            kinds.add("html" if "html" in answer.headers["Content-Type"] else "cut short")
    assert kinds == {"empty", "html", "cut short"}
    assert len(s.ledger()) == 6
    assert s.stats()["nonsense"] == 12
    with pytest.raises((ResponseParserError, KeyError)):
        client(s).start_query_execution(QueryString="SELECT 1")["QueryExecutionId"]


def test_rate(sim):
    s = sim(SIM_RATE=5)
    answers = [start(s, f"SELECT {i} /* sim: ms=0 */") for i in range(15)]
    limited = [a for a in answers if not a.ok]
    assert 15 - len(limited) >= 5
    assert limited
    for answer in limited:
        assert answer.status_code == 400
        assert answer.json() == {"__type": "ThrottlingException", "Message": "Rate exceeded"}
    assert s.stats()["rate_limited"] == len(limited)
    wait_until(lambda: start(s).ok, 10, "the bucket to fill again")
    s.set(rate=0)
    assert all(start(s).ok for _ in range(15))


def test_expired(sim):
    s = sim(SIM_EXPIRED=1)
    query_id = "x"
    for operation, body in (
        ("StartQueryExecution", {"QueryString": "SELECT 1", "ClientRequestToken": token()}),
        ("BatchGetQueryExecution", {"QueryExecutionIds": [query_id]}),
    ):
        answer = call(s, operation, body)
        assert (answer.status_code, answer.json()["__type"]) == (400, "ExpiredTokenException")
    assert code(client(s, "sts").get_caller_identity)[:2] == (400, "ExpiredTokenException")
    s.set(expired=0)
    assert start(s).ok
    s.set(expired=True)
    assert not start(s).ok
    assert s.stats()["expired"] == 4


def test_a_delay_holds_nobody_else_up(sim):
    s = sim(SIM_DELAY_MS=700)
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda i: start(s, f"SELECT {i}"), range(20)))
    took = time.monotonic() - began
    assert all(a.ok for a in answers)
    assert all(a.elapsed.total_seconds() >= 0.65 for a in answers)
    assert took < 20 * 0.7 / 2, "one after the other"
    began = time.monotonic()
    s.stats()
    assert time.monotonic() - began < 0.65


def test_other_answers_are_held_back_for_less(sim):
    s = sim(SIM_DELAY_MS=700, SIM_READ_DELAY_MS=200)
    execution = start(s).json()["QueryExecutionId"]

    def look():
        began = time.monotonic()
        client(s).get_query_execution(QueryExecutionId=execution)
        return time.monotonic() - began

    assert look() >= 0.19
    s.set(delay_ms=1000)
    assert start(s, "SELECT 2").elapsed.total_seconds() >= 0.95
    s.set(delay_ms=0)
    assert start(s, "SELECT 3").elapsed.total_seconds() < 0.95
    assert s.stats()["started"] == 3


def test_calls_at_once_before_the_rate_limits(sim):
    s = sim(SIM_RATE=1, SIM_BURST=7, SIM_ACTIVE_DML=100)
    answers = [start(s, f"SELECT {i}") for i in range(20)]
    assert [a.ok for a in answers[:8]] == [True] * 7 + [False]
    assert s.stats()["rate_limited"] >= 11


def test_a_stop_answers_what_is_held_back(sim):
    s = sim(SIM_DELAY_MS=60000)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        held = pool.submit(start, s)
        wait_until(lambda: s.stats()["started"], 10, "the start")
        s.stop()
        assert held.result(10).ok


def test_a_seed_gives_the_same_faults_again(sim):
    def faults(seed):
        s = sim(SIM_SEED=seed, SIM_FAIL_5XX=0.5)
        return [start(s, f"SELECT {i}").status_code for i in range(20)]

    assert faults(7) == faults(7) != faults(8)


def test_jitter(sim):
    s = sim(SIM_QUERY_MS=100000, SIM_JITTER=0.5, SIM_ACTIVE_DML=100)
    for i in range(40):
        assert start(s, f"SELECT {i}").ok
    answer = requests.get(s.url + "/_queries", timeout=10).json()
    times = [q["ends"] - q["submitted"] for q in answer["queries"]]
    assert len(times) == 40
    assert 50 <= min(times) < 70 and 130 < max(times) <= 150


# Settings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {"unknown": 1}, {"fail_5xx": 1.5}, {"fail_5xx": -0.1}, {"fail_5xx": "0.3"},
        {"fail_5xx": None}, {"fail_5xx": True}, {"active_dml": 1.5}, {"active_dml": -1},
        {"expired": 2}, {"delay_ms": []}, {"query_ms": 5, "unknown": 1}, [], "x", None,
    ],
)  # fmt: skip
def test_wrong_settings_change_nothing(sim, body):
    s = sim()
    before = requests.get(s.url + "/_set", timeout=10).json()
    answer = requests.post(s.url + "/_set", json=body, timeout=10)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert requests.get(s.url + "/_set", timeout=10).json() == before


def test_all_settings(sim):
    s = sim()
    wanted = {
        "fail_5xx": 0.25, "cut_after_start": 0.5, "nonsense": 1, "rate": 2.5, "expired": 1,
        "delay_ms": 5, "active_dml": 7, "active_ddl": 8, "query_ms": 9, "jitter": 0.1,
        "forget_tokens": 0,
    }  # fmt: skip
    s.set(**wanted)
    assert requests.get(s.url + "/_set", timeout=10).json() == wanted
    assert requests.post(s.url + "/_stats", timeout=10).status_code == 405
    assert requests.get(s.url + "/_no", timeout=10).status_code == 404


def test_tokens_are_forgotten_when_asked_to(sim):
    s = sim()
    same = BASE | {"ClientRequestToken": token()}
    first = start(s, **same).json()
    s.set(forget_tokens=1)
    assert requests.get(s.url + "/_set", timeout=10).json()["forget_tokens"] == 0
    second = start(s, **same).json()
    assert second != first
    assert start(s, **same).json() == second
    assert [line["token"] for line in s.ledger()] == [same["ClientRequestToken"]] * 2
    s.kill()
    s.start()
    for known in (first, second):
        assert s.execution(known["QueryExecutionId"])["Status"]["State"] == "SUCCEEDED"


# CloudWatch and STS ----------------------------------------------------------------------------


def datum(**more):
    return {
        "MetricName": "StartQueryCount", "Value": 3, "Unit": "Count", "Timestamp": time.time(),
        "Dimensions": [{"Name": "DATABASE", "Value": "default"}],
    } | more  # fmt: skip


def test_put_metric_data_is_kept(sim):
    s = sim()
    data = {"Namespace": "AthenaQuery", "MetricData": [datum(), datum(Value=4.5)]}
    answer = call(s, "PutMetricData", data, "monitoring")
    assert answer.status_code == 200, answer.text
    kept = requests.get(s.url + "/_metrics", timeout=10).json()["metrics"]
    assert kept == [d | {"Namespace": "AthenaQuery"} for d in data["MetricData"]]
    assert s.stats()["metric_calls"] == 1


@pytest.mark.parametrize(
    "body",
    [
        {"Namespace": "N"},
        {"MetricData": [datum()]},
        {"Namespace": "N", "MetricData": []},
        {"Namespace": "N", "MetricData": [datum()] * 1001},
        {"Namespace": "N", "MetricData": [datum(MetricName="")]},
        {"Namespace": "N", "MetricData": [datum(Value="3")]},
        {"Namespace": "N", "MetricData": [datum(Value=None)]},
        {"Namespace": "N", "MetricData": [datum(Dimensions=[{"Name": "A", "Value": ""}])]},
        {"Namespace": "N", "MetricData": [datum(Dimensions=[{"Name": "A", "Value": "b"}] * 31)]},
        {"Namespace": "N", "MetricData": [datum(Timestamp="2026-01-01T00:00:00Z")]},
        {"Namespace": "N", "MetricData": [datum(Timestamp=1000 * time.time())]},
        {"Namespace": "N", "MetricData": [datum(Value=None, Values=[1, 2], Counts=[1])]},
    ],
)
def test_metrics_that_cloudwatch_would_not_take(sim, body):
    s = sim()
    answer = call(s, "PutMetricData", body, "monitoring")
    assert answer.status_code == 400
    assert answer.json()["__type"].endswith("#InvalidParameterValueException")
    assert requests.get(s.url + "/_metrics", timeout=10).json() == {"metrics": []}


def test_metrics_are_signed_for_their_own_service(sim):
    s = sim()
    body = {"Namespace": "N", "MetricData": [datum()]}
    change = replaced("X-Amz-Target", ".+", "AmazonAthena.StartQueryExecution")
    answer = call(s, "PutMetricData", body, "monitoring", change=change)
    assert answer.json()["__type"] == "InvalidSignatureException"
    assert "athena" in answer.json()["message"]


def test_sts(sim):
    s = sim()
    sts = client(s, "sts")
    assert sts.get_caller_identity()["Account"] == "123456789012"
    role = {"RoleArn": "arn:aws:iam::123456789012:role/r", "RoleSessionName": "session"}
    unsigned = botocore.UNSIGNED
    answers = [
        sts.assume_role(**role, DurationSeconds=900),
        client(s, "sts", signature_version=unsigned).assume_role_with_web_identity(
            **role, WebIdentityToken="a.b.c"
        ),
    ]
    for answer, lasts in zip(answers, (900, 3600)):
        given = answer["Credentials"]
        assert abs(given["Expiration"].timestamp() - time.time() - lasts) < 10
        who = given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]
        client(s, credentials=who).start_query_execution(QueryString="SELECT 1")
        for wrong in (None, "another"):
            athena = client(s, credentials=(*who[:2], wrong))
            assert code(athena.start_query_execution, QueryString="SELECT 1")[1] == (
                "UnrecognizedClientException"
            )
    wrong = client(s, "sts", credentials=(ACCESS_KEY_ID, "wrong", None))
    assert code(wrong.get_caller_identity)[:2] == (400, "InvalidSignatureException")
    assert code(sts.assume_role, **role | {"RoleArn": "x" * 20})[1] == "ValidationError"


# The program -----------------------------------------------------------------------------------


def test_many_connections_at_once(sim):
    s = sim(SIM_ACTIVE_DML=1000000)
    host, port = s.host_port.split(":")
    idle = [socket.create_connection((host, int(port)), timeout=10) for _ in range(300)]
    connections = [http.client.HTTPConnection(host, int(port), timeout=30) for _ in range(100)]
    try:
        for turn in range(3):
            for connection in connections:
                connection.request("GET", "/_stats")
            for connection in connections:
                answer = connection.getresponse()
                assert answer.status == 200 and json.loads(answer.read())["bad_signature"] == 0
    finally:
        for connection in [*idle, *connections]:
            connection.close()
    athena = client(s)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        ids = set(
            pool.map(
                lambda i: athena.start_query_execution(QueryString=f"SELECT {i}")["QueryExecutionId"],
                range(200),
            )
        )
    assert len(ids) == 200
    assert {line["id"] for line in s.ledger()} == ids


def test_clients_that_go_away(sim):
    s = sim(SIM_DELAY_MS=300)
    host, port = s.host_port.split(":")
    for sent in (b"", b"POST", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx",
                 b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"):  # fmt: skip
        for _ in range(20):
            with socket.create_connection((host, int(port)), timeout=10) as c:
                c.sendall(sent)
    wait_until(lambda: s.stats()["aws_calls"] >= 20, 10, "the calls")
    s.set(delay_ms=0)
    assert start(s).ok
    with socket.create_connection((host, int(port)), timeout=10) as c:
        c.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx")
        assert start(s).ok
        s.stop(timeout=5)  # half a request is nothing to wait for


def test_a_body_that_is_too_large(sim):
    s = sim()
    answer = requests.post(s.url + "/", data=b"x" * (5 << 20), timeout=30)
    assert answer.status_code == 413
    assert start(s).ok


def test_help_version_and_faults(sim):
    run = run_program("athena-sim", ["--help"])
    assert run.returncode == 0
    for name in ("SIM_LISTEN", "SIM_LEDGER", "SIM_CUT_AFTER_START", "--address-file", "LOG_LEVEL"):
        assert name in run.stdout
    assert run_program("athena-sim", ["--version"]).returncode == 0
    assert run_program("athena-sim", ["--check-config"]).returncode == 0
    wrong = {"SIM_FAIL_5XX": "2", "SIM_RATE": "x", "SIM_LISTEN": "nowhere"}
    run = run_program("athena-sim", ["--check-config"], wrong)
    assert run.returncode == 100
    assert all(name in run.stderr for name in wrong)
    run = run_program("athena-sim", [], {"SIM_LEDGER": "/nowhere/ledger"})
    assert run.returncode == 111 and "/nowhere/ledger" in run.stderr
    taken = sim()
    assert taken.address == taken.host_port
    run = run_program("athena-sim", [], {"SIM_LISTEN": taken.host_port})
    assert run.returncode == 111 and taken.host_port in run.stderr
