"""The receiver: every answer it gives, what it writes, and what it never loses."""

import hashlib
import json
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time
import uuid

import pytest
import requests

from harness.pipeline import Receiver, status_key
from harness.program import run_program
from harness.wait import SLOWNESS, wait_until

NAME = "athena-query-receiver"
QUERY = {"query": "SELECT 1"}


@pytest.fixture
def receivers(programs, kafka, stage):
    """receivers(**env): a ready receiver of this test's stage, with HTTP to it."""

    def make(broker=None, ready=True, **env):
        settings = {
            "STAGE": stage,
            "KAFKA_BOOTSTRAP_SERVERS": (broker or kafka).bootstrap,
            "KAFKA_RECONNECT_BACKOFF_MAX_MS": 500,
            "TOPIC_PARTITIONS": 2,
            "LISTEN": "127.0.0.1:0",
            "ADMIN_LISTEN": "127.0.0.1:0",
            "LOG_LEVEL": "debug",
        }
        program = programs(NAME, settings | env)
        if ready:
            program.wait_ready()
        return Receiver(program)

    return make


@pytest.fixture
def query_topic(stage):
    return f"athena-query-{stage}"


def wait_caught_up(receiver):
    wait_until(
        lambda: receiver.program.metrics().sum("athena_query_status_view_caught_up") == 1,
        what="the view to catch up",
    )


def problem(answer, status):
    """The problem of an answer, which must be one."""
    assert answer.status_code == status, f"{answer.status_code} {answer.text}"
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status and body["detail"]
    return body


class Raw:
    """A socket to a receiver, for what no client library would send."""

    def __init__(self, receiver):
        host, port = receiver.program.address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=20 * SLOWNESS)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, text):
        self.socket.sendall(text if isinstance(text, bytes) else text.encode())
        return self

    def closed(self):
        """All that comes until the server closes."""
        got = b""
        try:
            while piece := self.socket.recv(65536):
                got += piece
        except ConnectionResetError:
            pass
        return got.decode(errors="replace")

    def answer(self):
        """One answer with a Content-Length: (status, headers, body)."""
        got = b""
        while b"\r\n\r\n" not in got:
            piece = self.socket.recv(65536)
            assert piece, f"closed after {got!r}"
            got += piece
        head, body = got.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}
        while len(body) < int(headers.get("content-length", 0)):
            body += self.socket.recv(65536)
        return int(lines[0].split()[1]), headers, body


def statuses(text):
    return [int(s) for s in re.findall(r"^HTTP/1\.[01] (\d+) ", text, re.M)]


def post_head(length, *more):
    lines = ["POST /athena/query HTTP/1.1", "Host: x", f"Content-Length: {length}", *more]
    return "\r\n".join(lines) + "\r\n\r\n"


# What is accepted ---------------------------------------------------------------------------------


def test_202_says_where_the_record_is_and_its_bytes_are_untouched(receivers, topics, query_topic):
    receiver = receivers()
    body = (
        b' {"query" : "SELECT \\u00e9 \xc3\xa9",\r\n "n": 9007199254740993, "x": 1.0e+2 , '
        b'"userId":"u/1 \xc3\xa9", "queryId":"a/b?c"}\n'
    )
    answer = receiver.post(body, headers={"Content-Type": "text/whatever"})
    assert answer.status_code == 202, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Location"] == "/athena/query/a%2Fb%3Fc?userId=u%2F1%20%C3%A9"
    said = answer.json()
    assert set(said) == {"queryId", "state", "topic", "partition", "offset"}
    assert (said["queryId"], said["state"], said["topic"]) == ("a/b?c", "QUEUED", query_topic)
    (record,) = topics.read(query_topic)
    assert (record.partition, record.offset) == (said["partition"], said["offset"])
    assert (record.key, record.value) == ("u/1 é".encode(), body)
    assert record.headers == {}
    found = receiver.get(answer.headers["Location"])
    assert found.status_code == 200
    assert found.json()["state"] == "QUEUED"


def test_without_a_query_id_it_gives_a_uuid_and_a_header(receivers, topics, query_topic):
    receiver = receivers()
    given = []
    for body in (QUERY, QUERY | {"queryId": ""}, QUERY | {"queryId": None, "userId": None}):
        answer = receiver.post(body)
        assert answer.status_code == 202, answer.text
        query_id = answer.json()["queryId"]
        assert uuid.UUID(query_id).version == 4
        assert answer.headers["Location"] == f"/athena/query/{query_id}"
        given.append(query_id)
    assert len(set(given)) == 3
    records = topics.read(query_topic)
    assert {r.headers["athena-query-id"] for r in records} == set(given)
    assert all(r.key == r.headers["athena-query-id"].encode() for r in records)


def test_trace_context_travels_where_it_is_sound(receivers, topics, query_topic):
    receiver = receivers()
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    cases = {
        "both": {"traceparent": parent, "tracestate": "a=1,b=2"},
        "alone": {"traceparent": parent},
        "bad": {"traceparent": parent.replace("0af7", "0AF7"), "tracestate": "a=1"},
        "none": {},
    }
    for query_id, headers in cases.items():
        assert receiver.post(QUERY | {"queryId": query_id}, headers).status_code == 202
    seen = {json.loads(r.value)["queryId"]: r.headers for r in topics.read(query_topic)}
    assert seen == cases | {"bad": {}}


def test_queued_is_written_once_and_never_over_what_is_known(receivers, topics, stage):
    receiver = receivers()
    body = QUERY | {"queryId": "i", "userId": "u"}
    assert receiver.post(body).status_code == 202
    assert receiver.status("i", "u")["state"] == "QUEUED"
    assert receiver.post(body).status_code == 202
    status_topic = f"athena-query-status-{stage}"
    records = wait_until(lambda: topics.read(status_topic), what="QUEUED in the status topic")
    assert [r.key for r in records] == [status_key("i", "u")]
    value = json.loads(records[0].value)
    assert value["sha256"] == hashlib.sha256(b"SELECT 1").hexdigest()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", value["updatedAt"])

    started = value | {"state": "STARTED", "queryExecutionId": "e-1"}
    topics.produce(
        status_topic, json.dumps(started), records[0].key, partition=records[0].partition
    )
    wait_until(lambda: receiver.status("i", "u")["state"] == "STARTED", what="STARTED")
    assert receiver.post(body).status_code == 202
    # Another one behind it: whatever the receiver had to write of the first is then there too.
    assert receiver.post(QUERY | {"queryId": "j", "userId": "u"}).status_code == 202
    wait_until(
        lambda: status_key("j", "u") in {r.key for r in topics.read(status_topic)}, what="the other"
    )
    states = [json.loads(r.value)["state"] for r in topics.read(status_topic)
              if r.key == status_key("i", "u")]  # fmt: skip
    assert states == ["QUEUED", "STARTED"]
    assert receiver.status("i", "u") == {
        k: v for k, v in started.items() if k != "sha256"
    }


def test_a_post_before_the_view_has_caught_up_is_announced_too(receivers):
    receiver = receivers(ready=False)
    answer = wait_until(
        lambda: (a := receiver.post(QUERY | {"queryId": "early"})).status_code == 202 and a,
        20, "a 202",
    )  # fmt: skip
    assert receiver.get(answer.headers["Location"]).json()["state"] == "QUEUED"


def test_a_second_receiver_and_one_that_starts_again_tell_the_state(receivers):
    first = receivers()
    assert first.post(QUERY | {"queryId": "i"}).status_code == 202
    second = receivers()
    wait_until(lambda: second.status("i"), what="the second one to know")
    first.program.stop()
    first.program.start().wait_ready()
    wait_until(lambda: first.status("i"), what="the first one to know again")
    assert first.status("i") == second.status("i")


def test_expect_100_continue_and_chunks(receivers, topics, query_topic):
    receiver = receivers()
    body = json.dumps(QUERY | {"queryId": "c"})
    with Raw(receiver) as raw:
        raw.send(post_head(len(body), "Expect: 100-continue"))
        assert raw.socket.recv(1000).startswith(b"HTTP/1.1 100 ")
        assert raw.send(body).answer()[0] == 202
        raw.send("POST /athena/query HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for at in range(0, len(body), 7):
            piece = body[at : at + 7]
            raw.send(f"{len(piece):x}\r\n{piece}\r\n")
        assert raw.send("0\r\n\r\n").answer()[0] == 202
    assert {r.value for r in topics.read(query_topic)} == {body.encode()}


def test_http_1_0_and_connection_close(receivers):
    receiver = receivers()
    body = json.dumps(QUERY)
    with Raw(receiver) as raw:
        raw.send(f"POST /athena/query HTTP/1.0\r\nContent-Length: {len(body)}\r\n\r\n{body}")
        assert statuses(raw.closed()) == [202]
    with Raw(receiver) as raw:
        assert statuses(raw.send(post_head(len(body), "Connection: close") + body).closed()) == [202]
    with Raw(receiver) as raw:  # pipelined
        raw.send((post_head(len(body)) + body) * 3)
        assert statuses(raw.send("GET /openapi.json HTTP/1.0\r\n\r\n").closed()) == [202] * 3 + [200]


def test_large_bodies_up_to_the_limit(receivers, topics, query_topic):
    limit = 300_000
    receiver = receivers(MAX_BODY_BYTES=limit)
    start = b'{"query":"SELECT 1","queryId":"big","x":"'
    body = start + b"x" * (limit - len(start) - 2) + b'"}'
    assert receiver.post(body).status_code == 202
    problem(receiver.post(body + b" "), 413)
    (record,) = topics.read(query_topic)
    assert record.value == body


# What is refused ----------------------------------------------------------------------------------

DEEP = b'{"query":"q","x":' + b"[" * 64 + b"]" * 64 + b"}"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b'"x"', b"{}", b'{"query":""}', b'{"query":null}', b'{"query":1}',
        b'\xef\xbb\xbf{"query":"q"}', b'{"query":"q"} x', b'{"query":"q"}{"query":"q"}',
        b'{"query":"q",}', b"{'query':'q'}", b'{"query":"q" /* */}', b'{"query":"\xff"}',
        b'{"query":"a\x00b"}', b'{"query":"q"}\x00', b'{"query":"a\\u0000b"}',
        b'{"query":"q","x":"\\u0000"}', b'{"query":"\\ud800"}', b'{"query":"q","query":"q"}',
        b'{"query":"q","x":{"a":1,"\\u0061":2}}', b'{"query":"a\nb"}', b'{"query":"q","x":01}',
        b'{"query":"q","x":NaN}', b'{"query":"q","queryId":1}', b'{"query":"q","userId":true}',
        b'{"query":"q","userId":"' + b"u" * 129 + b'"}', b'{"query":"q","database":[]}',
        b'{"query":"q","workGroup":"a b"}', b'{"query":"q","outputLocation":"/tmp"}',
        b'{"query":"q","executionParameters":[1]}', b'{"query":"q","resultReuseMaxAgeMinutes":"60"}',
        b'{"query":"q","resultReuseMaxAgeMinutes":10081}',
        b'{"query":"q","resultReuseMaxAgeMinutes":-1}', b'{"query":"' + b"q" * 262145 + b'"}', DEEP,
    ],
)  # fmt: skip
def test_400_for_what_is_no_sound_query(refuser, body):
    receiver, topics, topic = refuser
    assert "SELECT" not in problem(receiver.post(body), 400)["detail"]
    assert topics.count(topic) == 0


@pytest.fixture(scope="module")
def refuser(kafka, tmp_path_factory):
    """One receiver for the many cases that leave nothing behind."""
    from harness.program import Program
    from harness.topics import Topics

    stage = "t" + uuid.uuid4().hex[:8]
    program = Program(
        NAME,
        {
            "STAGE": stage, "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap, "TOPIC_PARTITIONS": 1,
            "LISTEN": "127.0.0.1:0", "ADMIN_LISTEN": "127.0.0.1:0", "LOG_LEVEL": "debug",
        },
        directory=tmp_path_factory.mktemp("refuser"),
    ).start()  # fmt: skip
    topics = Topics(kafka.bootstrap)
    try:
        program.wait_ready()
        yield Receiver(program), topics, f"athena-query-{stage}"
    finally:
        topics.close()
        trouble = program.finish()
    assert not trouble, trouble


def test_400_does_not_end_the_connection(refuser):
    receiver = refuser[0]
    with Raw(receiver) as raw:
        raw.send((post_head(2) + "{}") * 2)
        assert raw.answer()[0] == 400


@pytest.mark.parametrize(
    "method, path, status, allow",
    [
        ("GET", "/athena/query", 405, "POST"),
        ("PUT", "/athena/query", 405, "POST"),
        ("OPTIONS", "/athena/query", 405, "POST"),
        ("POST", "/athena/query/x", 405, "GET, HEAD"),
        ("DELETE", "/athena/query/x", 405, "GET, HEAD"),
        ("POST", "/openapi.json", 405, "GET, HEAD"),
        ("POST", "/", 404, None),
        ("POST", "/athena/query/", 404, None),
        ("GET", "/athena/query/a/b", 404, None),
        ("POST", "/dev/athena/query", 404, None),
        ("POST", "/ATHENA/query", 404, None),
        ("GET", "/healthz", 404, None),
        ("GET", "/athena/query/unknown", 404, None),
        ("GET", "/athena/query/unknown?userId=", 404, None),
        ("GET", "http://any.host/athena/query", 405, "POST"),
        ("GET", "/athena/query/a b", 400, None),
        ("GET", "/athena/query/\xe9", 400, None),
        ("GET", "/athena/query/%", 400, None),
        ("GET", "/athena/query/%zz", 400, None),
        ("GET", "/athena/query/a%00", 400, None),
        ("GET", "/athena/query/%ff", 400, None),
        ("GET", "/athena/query/" + "x" * 129, 400, None),
        ("GET", "/athena/query/x?userId=%", 400, None),
        ("GET", "/athena/query/x?userId=" + "u" * 129, 400, None),
        ("GET", "/athena/query/x?userId=a&userId=b", 400, None),
    ],
)
def test_404_405_and_bad_ids(refuser, method, path, status, allow):
    body = json.dumps(QUERY) if method in ("PUT", "POST") else ""
    with Raw(refuser[0]) as raw:
        raw.send(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}")
        got, headers, text = raw.answer()
        assert (got, headers.get("allow")) == (status, allow)
        assert headers["content-type"] == "application/problem+json"
        assert json.loads(text)["status"] == status


def test_head_is_get_without_a_body(refuser):
    receiver = refuser[0]
    for path in ("/openapi.json", "/athena/query/unknown"):
        got = receiver.get(path)
        head = requests.head(receiver.url + path, timeout=20)
        assert head.status_code == got.status_code
        assert head.headers["Content-Length"] == str(len(got.content)) and not head.content


def test_openapi_describes_every_path_and_answer(refuser):
    doc = refuser[0].get("/openapi.json").json()
    assert doc["openapi"].startswith("3.1.")
    assert set(doc["paths"]) == {"/athena/query", "/athena/query/{queryId}", "/openapi.json"}
    answers = doc["paths"]["/athena/query"]["post"]["responses"]
    assert set(answers) == {"202", "400", "401", "403", "408", "413", "429", "503"}

    def resolve(node):
        if isinstance(node, dict):
            if "$ref" in node:
                target = doc
                for part in node["$ref"].removeprefix("#/").split("/"):
                    target = target[part]
            for each in node.values():
                resolve(each)
        elif isinstance(node, list):
            for each in node:
                resolve(each)

    resolve(doc)
    fields = set(doc["components"]["schemas"]["Query"]["properties"])
    assert fields == {
        "query", "queryId", "userId", "database", "catalog", "workGroup", "outputLocation",
        "executionParameters", "resultReuseMaxAgeMinutes",
    }  # fmt: skip


HIDDEN = "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "headers",
    [
        "Host: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked",
        "Host: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 4",
        "Host: x\r\nContent-Length: 0\r\nContent-Length: 44",
        "Host: x\r\nContent-Length: 44\r\nContent-Length: 44",
        "Host: x\r\nContent-Length: 0, 44",
        "Host: x\r\nContent-Length: +0",
        "Host: x\r\nContent-Length: 0x0",
        "Host: x\r\nContent-Length: -1",
        "Host: x\r\nContent-Length : 0\r\nContent-Length: 44",
        "Host: x\r\nTransfer-Encoding : chunked\r\nContent-Length: 4",
        "Host: x\r\nTransfer-Encoding\t: chunked\r\nContent-Length: 4",
        "Host: x\r\n Transfer-Encoding: chunked\r\nContent-Length: 4",
        "Host: x\r\nTransfer-Encoding: identity\r\nContent-Length: 4",
        "Host: x\r\nTransfer-Encoding: xchunked",
        "Host: x\r\nTransfer-Encoding: gzip, chunked",
        "Host: x\r\nTransfer-Encoding: chunked, identity",
        "Host: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Host: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Host: x\r\nHost: y\r\nContent-Length: 0",
        "Content-Length: 0",
    ],
)
def test_400_for_framing_that_can_be_read_in_two_ways(refuser, headers):
    with Raw(refuser[0]) as raw:
        got = raw.send(f"POST /athena/query HTTP/1.1\r\n{headers}\r\n\r\n0\r\n\r\n{HIDDEN}").closed()
        assert set(statuses(got)) == {400}, got  # libmicrohttpd 0.9 repeats a head of its own
        assert re.search(r"^Connection: close\r$", got, re.M | re.I), got


def test_transfer_encoding_in_http_1_0_is_refused(refuser):
    with Raw(refuser[0]) as raw:
        head = "POST /athena/query HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert statuses(raw.send(f"{head}0\r\n\r\n{HIDDEN}").closed()) == [400]


@pytest.mark.parametrize("junk", ["\x00\x01\x02\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n",
                                  "X" * 20000])  # fmt: skip
def test_junk_is_refused_and_hurts_nobody(refuser, junk):
    receiver = refuser[0]
    with Raw(receiver) as raw:
        assert all(400 <= s < 600 for s in statuses(raw.send(junk + "\r\n\r\n").closed()))
    assert receiver.get("/openapi.json").status_code == 200


def test_413_at_once_for_a_length_beyond_the_limit(receivers):
    receiver = receivers(MAX_BODY_BYTES=1000)
    with Raw(receiver) as raw:  # nothing of the body is sent
        got = raw.send(post_head(1001, "Expect: 100-continue")).closed()
        assert statuses(got) == [413] and "application/problem+json" in got
    with Raw(receiver) as raw:
        assert statuses(raw.send(post_head(10**15)).closed()) == [413]
    with Raw(receiver) as raw:  # all of it is sent, and the answer still arrives
        assert statuses(raw.send(post_head(3_000_000) + "x" * 3_000_000).closed()) == [413]
    with Raw(receiver) as raw:  # chunks do not say how many will come
        raw.send("POST /athena/query HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        raw.send(("190\r\n" + "x" * 400 + "\r\n") * 3)
        got = raw.closed()
        assert statuses(got) == [413] and '"detail"' in got


def test_413_for_what_kafka_does_not_take(receivers, topics, query_topic):
    topics.create(query_topic, 1, {"max.message.bytes": "2000"})
    receiver = receivers()
    assert receiver.post(QUERY).status_code == 202
    problem(receiver.post(QUERY | {"x": "x" * 5000}), 413)
    assert receiver.post(QUERY).status_code == 202


# Deadlines ----------------------------------------------------------------------------------------


def test_408_for_a_request_that_is_not_whole_in_time(receivers):
    receiver = receivers(REQUEST_TIMEOUT_MS=400)
    for start in ("P", "POST /athena/query HTTP/1.1\r\nHost: x\r\n", post_head(100) + '{"query":'):
        with Raw(receiver) as raw:
            got = raw.send(start).closed()
            assert statuses(got) == [408], got
            assert "application/problem+json" in got and "Connection: close" in got
    with Raw(receiver) as raw:  # also the second one of a connection
        assert raw.send("GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n").answer()[0] == 200
        assert statuses(raw.send("GET /").closed()) == [408]


def test_408_only_for_what_has_begun_behind_earlier_requests(receivers):
    receiver = receivers(REQUEST_TIMEOUT_MS=1000, IDLE_TIMEOUT_MS=30000)
    body = json.dumps(QUERY)
    whole = post_head(len(body)) + body
    began = time.monotonic()
    with Raw(receiver) as idle, Raw(receiver) as late, Raw(receiver) as pipelined:
        for raw in (idle, late, pipelined):
            for _ in range(3):
                assert raw.send(whole).answer()[0] == 202
        late.send("POST /")
        pipelined.send(whole + "POST /")
        assert statuses(late.closed()) == [408]
        assert statuses(pipelined.closed()) == [202, 408]
        wait_until(lambda: time.monotonic() > began + 2.5, what="it to be idle for long")
        assert idle.send(whole).answer()[0] == 202


@pytest.mark.parametrize("part", ["head", "body"])
def test_408_however_steadily_bytes_trickle(receivers, part):
    receiver = receivers(REQUEST_TIMEOUT_MS=600)
    with Raw(receiver) as raw:
        raw.send(post_head(100000) if part == "body" else "GET / HTTP/1.1\r\nX: ")
        over = threading.Event()

        def trickle():
            while not over.wait(0.05):
                try:
                    raw.send("x")
                except OSError:
                    return

        thread = threading.Thread(target=trickle)
        thread.start()
        try:
            assert statuses(raw.closed()) == [408]
        finally:
            over.set()
            thread.join()


def test_a_connection_that_says_nothing_is_closed(receivers):
    receiver = receivers(REQUEST_TIMEOUT_MS=300)
    with Raw(receiver) as raw:
        assert raw.closed() == ""


def test_slow_clients_do_not_hold_up_others(receivers):
    receiver = receivers(REQUEST_TIMEOUT_MS=60000)
    slow = [Raw(receiver).send(post_head(1000) + "{") for _ in range(200)]
    assert receiver.post(QUERY).status_code == 202
    for raw in slow:
        raw.socket.close()
    wait_until(
        lambda: receiver.program.metrics().sum("athena_query_http_connections") <= 1,
        what="the slow ones to be gone",
    )


# Kafka away ---------------------------------------------------------------------------------------


def test_503_before_kafka_is_there_and_202_after(receivers, own_kafka):
    broker = own_kafka()
    broker.stop()
    receiver = receivers(broker, ready=False)
    said = receiver.post(QUERY)
    body = problem(said, 503)
    assert "not accepted" in body["detail"] and "same queryId" in body["detail"]
    assert uuid.UUID(body["queryId"]) and int(said.headers["Retry-After"]) >= 1
    assert problem(receiver.post(QUERY | {"queryId": "mine"}), 503)["queryId"] == "mine"
    unready = requests.get(receiver.program.admin_url + "/readyz", timeout=10)
    assert unready.status_code == 503 and broker.bootstrap in unready.text
    assert requests.get(receiver.program.admin_url + "/healthz", timeout=10).status_code == 200
    broker.start()
    receiver.program.wait_ready(40)
    assert receiver.post(QUERY | {"queryId": "mine"}).status_code == 202


def test_503_in_time_from_a_broker_that_is_silent(receivers, own_kafka, open_topics, query_topic):
    broker = own_kafka()
    receiver = receivers(broker, ACK_TIMEOUT_MS=700)
    assert receiver.post(QUERY | {"queryId": "before"}).status_code == 202
    wait_caught_up(receiver)
    broker.signal(signal.SIGSTOP)
    try:
        said = problem(receiver.post(QUERY | {"queryId": "during"}), 503)
        assert said["queryId"] == "during"
        assert receiver.status("before")["state"] == "QUEUED"  # look-ups go on
    finally:
        broker.signal(signal.SIGCONT)
    wait_until(
        lambda: receiver.post(QUERY | {"queryId": "during"}).status_code == 202, 30, "a 202 again",
        interval=0.2,
    )  # fmt: skip
    ids = [json.loads(r.value)["queryId"] for r in open_topics(broker).read(query_topic)]
    assert ids[0] == "before" or "before" in ids
    assert "during" in ids
    wait_until(lambda: receiver.status("during"), what="its state")
    assert receiver.program.metrics().sum("athena_query_produce_failures_total") >= 1


@pytest.mark.skipif(not shutil.which("gdb"), reason="no gdb, which breaks the event loop")
def test_a_loop_that_fails_ends_the_program_in_order(receivers, own_kafka):
    broker = own_kafka()
    receiver = receivers(broker, ACK_TIMEOUT_MS=60000)
    receiver.post(QUERY)
    broker.signal(signal.SIGSTOP)
    with Raw(receiver) as raw:
        body = json.dumps(QUERY)
        raw.send(post_head(len(body)) + body)
        wait_until(
            lambda: receiver.program.metrics().sum("athena_query_ack_waiting") == 1,
            what="the query to wait",
        )
        program = receiver.program
        files = program.open_files()
        loop = min(fd for fd, what in files.items() if what == "anon_inode:[eventpoll]")
        subprocess.run(
            ["gdb", "-p", str(program.pid), "-batch", "-nx", "-ex", f"call (int)close({loop})"],
            stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=60 * SLOWNESS,
        )  # fmt: skip
        try:
            assert program.wait() == 111, program.log_tail()
        finally:
            broker.signal(signal.SIGCONT)
        assert statuses(raw.closed()) == [503]
    assert "the event loop failed" in program.log()


def test_a_client_that_leaves_while_it_waits_breaks_nothing(receivers, own_kafka):
    broker = own_kafka()
    receiver = receivers(broker, ACK_TIMEOUT_MS=1500)
    body = json.dumps(QUERY)
    broker.signal(signal.SIGSTOP)
    try:
        leavers = [Raw(receiver).send(post_head(len(body)) + body) for _ in range(20)]
        wait_until(
            lambda: receiver.program.metrics().sum("athena_query_ack_waiting") == 20,
            what="20 to wait",
        )
        for raw in leavers:
            raw.socket.close()
        wait_until(
            lambda: receiver.program.metrics().sum("athena_query_http_connections") == 0,
            what="their connections to end",
        )
    finally:
        broker.signal(signal.SIGCONT)
    wait_until(lambda: receiver.post(QUERY).status_code == 202, 30, "a 202 again", interval=0.2)


# Ends ---------------------------------------------------------------------------------------------


class Load:
    """Clients that post until they are told to stop; `accepted` are the ids that got a 202."""

    def __init__(self, receiver, clients=8):
        self.receiver = receiver
        self.accepted, self.others = [], []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(clients)]

    def run(self, client):
        session = requests.Session()
        url = self.receiver.url + "/athena/query"
        n = 0
        while not self.over.is_set():
            n += 1
            query_id = f"{client}-{n}"
            try:
                answer = session.post(url, json=QUERY | {"queryId": query_id}, timeout=20)
            except requests.RequestException:
                self.over.wait(0.01)
                continue
            (self.accepted if answer.status_code == 202 else self.others).append(query_id)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()

    def wait(self, n):
        wait_until(lambda: len(self.accepted) >= n, 30, f"{n} accepted queries")


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
def test_every_202_is_in_the_topic_however_it_ends(receivers, topics, query_topic, how):
    receiver = receivers()
    with Load(receiver) as load:
        load.wait(300)
        if how == "SIGTERM":
            receiver.program.stop()
        else:
            receiver.program.kill()
    there = {json.loads(r.value)["queryId"] for r in topics.read(query_topic)}
    assert not set(load.accepted) - there
    assert how == "SIGKILL" or not load.others


def test_sigterm_answers_what_is_in_flight_and_ends_connections(receivers, own_kafka):
    broker = own_kafka()
    receiver = receivers(broker, ACK_TIMEOUT_MS=20000, DRAIN_TIMEOUT_MS=1000)
    body = json.dumps(QUERY)
    with Raw(receiver) as idle, Raw(receiver) as half, Raw(receiver) as waiting:
        assert idle.send("GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n").answer()[0] == 200
        half.send(post_head(len(body)) + body[:5])
        broker.signal(signal.SIGSTOP)
        try:
            waiting.send(post_head(len(body)) + body)
            wait_until(
                lambda: receiver.program.metrics().sum("athena_query_ack_waiting") == 1,
                what="one to wait",
            )
            address = receiver.program.address
            receiver.program.ask_to_stop()
            assert idle.closed() == ""
            got = waiting.closed()
            assert statuses(got) == [503] and "queryId" in got
            assert re.search(r"^Connection: close\r$", got, re.M | re.I)
            host, port = address.rsplit(":", 1)
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((host, int(port)))
            assert receiver.program.wait() == 0
        finally:
            broker.signal(signal.SIGCONT)


# Keys, TLS, stage ---------------------------------------------------------------------------------


def key_line(name, key, *more):
    return ":".join([name, hashlib.sha256(key.encode()).hexdigest(), *map(str, more)]) + "\n"


def test_keys_and_their_rates_and_sighup(receivers, tmp_path):
    path = tmp_path / "keys"
    path.write_text(
        "# who may\n" + key_line("a", "secret-a") + key_line("slow", "secret-s", "0.01", 2)
        + key_line("shut", "secret-0", 0)
    )  # fmt: skip
    receiver = receivers(API_KEYS_FILE=path)

    def ask(key, path="/athena/query/x"):
        return receiver.get(path, {"x-api-key": key} if key else {}).status_code

    missing = receiver.post(QUERY)
    problem(missing, 401)
    assert missing.headers["WWW-Authenticate"]
    assert [ask(k) for k in (None, "wrong", "secret-a", "secret-0")] == [401, 401, 404, 403]
    assert receiver.post(QUERY, {"x-api-key": "secret-a"}).status_code == 202
    assert [ask("secret-s") for _ in range(2)] == [404, 404]
    busy = receiver.post(QUERY, {"x-api-key": "secret-s"})
    problem(busy, 429)
    assert 1 <= int(busy.headers["Retry-After"]) <= 100
    assert ask(None, "/openapi.json") == 200

    path.write_text("not a key\n")
    receiver.program.signal(signal.SIGHUP)
    receiver.program.wait_log("API_KEYS_FILE: the old keys stay")
    assert ask("secret-a") == 404
    path.write_text(key_line("b", "secret-b"))
    receiver.program.signal(signal.SIGHUP)
    receiver.program.wait_log("API keys read again")
    assert [ask(k) for k in ("secret-a", "secret-b")] == [401, 404]
    log = receiver.program.log()
    assert "secret-" not in log and hashlib.sha256(b"secret-a").hexdigest() not in log


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    """A folder with a CA, and certificates of it for the server and for a client."""
    d = tmp_path_factory.mktemp("pki")

    def openssl(*args):
        subprocess.run(["openssl", *map(str, args)], cwd=d, check=True, capture_output=True)

    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    for ca in ("ca", "other"):
        openssl("req", "-x509", *new, "-keyout", f"{ca}.key", "-out", f"{ca}.pem", "-subj",
                f"/CN={ca}", "-days", "2")  # fmt: skip
    (d / "ext").write_text("subjectAltName=IP:127.0.0.1\n")
    for name, ca in (("server", "ca"), ("client", "ca"), ("stranger", "other")):
        openssl("req", *new, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key",
                "-CAcreateserial", "-extfile", "ext", "-out", f"{name}.pem", "-days", "2")  # fmt: skip
    return d


def test_tls_and_client_certificates(receivers, pki):
    tls = {"TLS_CERT_FILE": pki / "server.pem", "TLS_KEY_FILE": pki / "server.key"}
    plain = receivers(**tls, REQUEST_TIMEOUT_MS=500)
    url = f"https://{plain.program.address}/athena/query"
    assert requests.post(url, json=QUERY, verify=pki / "ca.pem", timeout=20).status_code == 202
    context = ssl.create_default_context(cafile=pki / "ca.pem")
    with Raw(plain) as raw:
        raw.socket = context.wrap_socket(raw.socket, server_hostname="127.0.0.1")
        assert statuses(raw.send("POST /").closed()) == [408]
    with Raw(plain) as raw:  # no handshake at all
        assert raw.send("P").closed() == ""

    strict = receivers(**tls, TLS_CLIENT_CA_FILE=pki / "ca.pem")
    url = f"https://{strict.program.address}/athena/query"

    def post(name):
        cert = (pki / f"{name}.pem", pki / f"{name}.key") if name else None
        return requests.post(url, json=QUERY, verify=pki / "ca.pem", cert=cert, timeout=20)

    assert post("client").status_code == 202
    problem(post("stranger"), 403)
    problem(post(None), 403)


def test_every_path_is_served_under_the_stage_too(receivers, stage):
    receiver = receivers()
    answer = receiver.post(QUERY | {"queryId": "i", "userId": "u"}, path=f"/{stage}/athena/query")
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/{stage}/athena/query/i?userId=u"
    assert answer.json()["topic"] == f"athena-query-{stage}"
    assert receiver.get(answer.headers["Location"]).json()["state"] == "QUEUED"
    assert receiver.status("i", "u")["state"] == "QUEUED"
    assert receiver.get(f"/{stage}/openapi.json").status_code == 200
    assert receiver.get(f"/{stage}x/openapi.json").status_code == 404
    assert receiver.get(f"/{stage}/{stage}/openapi.json").status_code == 404


# Configuration, metrics ---------------------------------------------------------------------------


def test_faults_of_the_configuration_are_all_named(tmp_path, pki):
    keys = tmp_path / "keys"
    keys.write_text("a:b\nc\n")
    env = {
        "LISTEN": "0.0.0.0:0", "MAX_BODY_BYTES": "x", "ACK_TIMEOUT_MS": "0",
        "TLS_CERT_FILE": "/nowhere", "TLS_CLIENT_CA_FILE": keys, "API_KEYS_FILE": keys,
    }  # fmt: skip
    done = run_program(NAME, ["--check-config"], env)
    assert done.returncode == 100
    for name in ("MAX_BODY_BYTES", "ACK_TIMEOUT_MS", "TLS_CERT_FILE", "TLS_KEY_FILE",
                 "API_KEYS_FILE: .*line 1", "API_KEYS_FILE: .*line 2"):  # fmt: skip
        assert re.search(name, done.stderr), done.stderr
    del env["API_KEYS_FILE"]
    assert "LISTEN: 0.0.0.0:0 is not loopback" in run_program(NAME, ["--check-config"], env).stderr
    mixed = {"TLS_CERT_FILE": pki / "server.pem", "TLS_KEY_FILE": pki / "client.key"}
    assert "TLS_CERT_FILE" in run_program(NAME, ["--check-config"], mixed).stderr


@pytest.mark.parametrize(
    "listen, more, code",
    [
        ("127.0.0.1:8080", {}, 0), ("127.9.9.9:0", {}, 0), ("localhost:0", {}, 0),
        ("[::1]:0", {}, 0), ("0.0.0.0:8080", {}, 100), ("[::]:0", {}, 100), ("10.1.2.3:0", {}, 100),
        ("0.0.0.0:8080", {"ALLOW_ANONYMOUS": "true"}, 0),
    ],
)  # fmt: skip
def test_open_to_all_only_on_loopback_unless_allowed(listen, more, code):
    assert run_program(NAME, ["--check-config"], {"LISTEN": listen} | more).returncode == code


def test_metrics_tell_what_happened(receivers):
    receiver = receivers()
    for _ in range(3):
        assert receiver.post(QUERY).status_code == 202
    receiver.post(b"{}")
    receiver.get("/nothing")
    metrics = receiver.program.metrics()
    assert metrics.sum("athena_query_accepted_total") == 3
    assert metrics.sum("athena_query_malformed_total") == 1
    assert metrics.sum("athena_query_http_requests_total", code="202") == 3
    assert metrics.sum("athena_query_http_requests_total", code="400") == 1
    assert metrics.sum("athena_query_http_requests_total", code="404") == 1
    assert metrics.sum("athena_query_ack_seconds_count") == 3
    wait_caught_up(receiver)


def client_sockets(receiver):
    """What the receiver has open besides its links to Kafka: {descriptor: what it is}."""
    port = receiver.program.address.rsplit(":", 1)[1]
    files = receiver.program.open_files()
    return {fd: what for fd, what in files.items() if re.search(rf" {port} -> [1-9]", what)}


def other_files(receiver):
    return {k: v for k, v in receiver.program.open_files().items() if not v.startswith("tcp")}


def test_no_leak_over_many_connections(receivers):
    receiver = receivers(REQUEST_TIMEOUT_MS=600000)  # it must not take a deadline to close them
    assert receiver.post(QUERY).status_code == 202
    wait_caught_up(receiver)
    receiver.session.close()
    wait_until(lambda: not client_sockets(receiver), what="only files of its own")
    files = len(other_files(receiver))
    for _ in range(300):
        with Raw(receiver) as raw:
            raw.send(post_head(5000) + "{")
    for _ in range(50):
        requests.post(receiver.url + "/athena/query", json=QUERY, timeout=20 * SLOWNESS)
    wait_until(
        lambda: not client_sockets(receiver) and len(other_files(receiver)) <= files, timeout=30,
        what=lambda: f"descriptors to be closed; open: {receiver.program.open_files()}",
    )  # fmt: skip


@pytest.mark.parametrize("sent", ["", "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n", "half"])
@pytest.mark.parametrize("how", ["closed", "reset", "half-closed"])
def test_a_client_that_left_before_its_bytes_were_read(receivers, sent, how):
    """Then epoll tells of the bytes and of the end at once."""
    receiver = receivers(REQUEST_TIMEOUT_MS=600000)
    wait_caught_up(receiver)
    receiver.program.pause()
    try:
        raw = Raw(receiver)
        raw.send(post_head(5000) + "{" if sent == "half" else sent)
        if how == "half-closed":
            raw.socket.shutdown(socket.SHUT_WR)
        if how == "reset":
            raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if how != "half-closed":
            raw.socket.close()
    finally:
        receiver.program.resume()
    if how == "half-closed":
        assert statuses(raw.closed()) == ([200] if sent.startswith("GET") else [])
    wait_until(
        lambda: receiver.program.metrics().sum("athena_query_http_connections") == 0
        and not client_sockets(receiver),
        timeout=30, what=lambda: f"its end to be seen; open: {receiver.program.open_files()}",
    )  # fmt: skip
