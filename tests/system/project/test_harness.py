"""The tests' own tools: what they lean on must hold, and a failure must count."""

import os
import subprocess
import textwrap

import pytest

import harness.program
from harness import metrics
from harness.paths import TOP
from harness.pipeline import sha256
from harness.program import Program, run_program
from harness.wait import SLOWNESS, free_port, stays, wait_until

UNIT_TEST = """
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_sum(void **state)
{
    (void)state;
    assert_int_equal(1 + 1, SUM);
}

static void test_other(void **state)
{
    (void)state;
    OTHER;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sum), cmocka_unit_test(test_other)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
"""


def test_kafka_keeps_what_it_acknowledged_over_a_kill(own_kafka, open_topics, unique):
    broker = own_kafka()
    topics = open_topics(broker)
    topics.create(unique, partitions=3, config={"cleanup.policy": "delete"})
    places = topics.produce_all(unique, [(b"k%d" % (i % 7), b"v%d" % i) for i in range(200)])
    where = topics.produce(unique, b"text", b"key", headers=[("a", b"1"), ("b", "ä".encode())])

    broker.kill()
    broker.start()

    records = topics.read(unique)
    assert {(r.partition, r.offset) for r in records} == {*places, where}
    assert {r.value for r in records} == {b"v%d" % i for i in range(200)} | {b"text"}
    (last,) = [r for r in records if r.value == b"text"]
    assert (last.key, last.headers) == (b"key", {"a": "1", "b": "ä"})
    assert last.timestamp_ms > 0
    assert topics.count(unique) == 201


def test_kafka_creates_no_topic_by_itself(topics, unique):
    with pytest.raises(AssertionError):
        topics.produce(unique, b"v")
    assert topics.partitions(unique) == 0


def test_console_producer_writes_lines(topics, unique):
    topics.create(unique)
    topics.console_producer(unique, [b'{"query":"SELECT 1"}', "ünï".encode()])
    records = topics.read(unique)
    assert [(r.key, r.value) for r in records] == [
        (None, b'{"query":"SELECT 1"}'),
        (None, "ünï".encode()),
    ]


def test_committed_offsets_come_with_their_metadata(kafka, topics, unique):
    from confluent_kafka import Consumer, TopicPartition

    topics.create(unique)
    topics.produce_all(unique, [(None, b"x")] * 5)
    assert topics.committed(unique, unique) == {}
    assert topics.lag(unique, unique) == 5
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": unique})
    consumer.commit(
        offsets=[TopicPartition(unique, 0, 3, metadata="beyond")], asynchronous=False
    )
    consumer.close()
    # The Python client sends the end of a C string as well.
    assert topics.committed(unique, unique) == {0: (3, "beyond\0")}
    assert topics.lag(unique, unique) == 2


def test_wait_until_returns_the_value_or_says_what_was_missing():
    answers = iter([None, 0, "", "here"])
    assert wait_until(lambda: next(answers), 5, "an answer") == "here"
    with pytest.raises(AssertionError, match="for the moon; last: 0"):
        wait_until(lambda: 0, 0.05, "the moon")

    def never():
        raise AssertionError("three are missing")

    with pytest.raises(AssertionError, match="three are missing"):
        wait_until(never, 0.05, "all")
    with pytest.raises(AssertionError, match="peace"):
        stays(lambda: False, 1, "peace")


def test_free_ports_differ_and_are_no_ephemeral_ones():
    low = int(open("/proc/sys/net/ipv4/ip_local_port_range").read().split()[0])
    ports = {free_port() for _ in range(20)}
    assert len(ports) == 20
    assert max(ports) < low


def test_prometheus_text_is_read():
    text = textwrap.dedent(
        r"""
        # HELP a_total Things.
        # TYPE a_total counter
        a_total{state="OK",db="x \"y\""} 3
        a_total{state="BAD"} 4
        up 1
        """
    )
    found = metrics.parse(text)
    assert found.types == {"a_total": "counter"}
    assert found.sum("a_total") == 7
    assert found.sum("a_total", db='x "y"') == 3
    assert found.sum("up") == 1 and not found.has("down")
    for broken in ("a b c", 'a{b="c"} 1\na{b="c"} 2', "a{b=c} 1", "a{b=\"c} 1"):
        with pytest.raises(AssertionError):
            metrics.parse(broken)


# Programs --------------------------------------------------------------------------------------


@pytest.fixture
def script(tmp_path, monkeypatch):
    """script(text, env=None): a Program that is this shell script."""
    monkeypatch.setattr(harness.program, "BIN", tmp_path)
    made = []

    def make(text, **env):
        path = tmp_path / f"script-{len(made)}"
        path.write_text("#!/bin/sh\n" + textwrap.dedent(text))
        path.chmod(0o755)
        made.append(Program(path.name, env, directory=tmp_path / "run"))
        return made[-1]

    yield make
    for program in made:
        program.kill()


WAITS = """
    trap 'echo ends >&2; exit 0' TERM
    echo "x INFO script: listening on 127.0.0.1:4711" >&2
    echo "x INFO script: admin on 127.0.0.1:4712" >&2
    while :; do sleep 0.05; done
"""


def test_program_is_started_watched_and_stopped(script):
    program = script(WAITS).start()
    assert (program.address, program.admin_url) == ("127.0.0.1:4711", "http://127.0.0.1:4712")
    assert program.running and program.exit_code is None
    program.stop()
    assert program.exit_code == 0 and "ends" in program.log()
    assert program.finish() is None
    program.start()
    program.wait_log("admin on")
    assert "ends" not in program.log() and "ends" in program.log(all_starts=True)
    program.kill()
    assert program.exit_code == -9
    assert program.finish() is None


def test_program_is_finished_even_while_it_is_paused(script):
    program = script(WAITS).start()
    program.wait_log("admin on")
    program.pause()
    assert program.finish() is None
    assert program.exit_code == 0


def test_program_has_no_environment_but_its_own(script, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "from outside")
    monkeypatch.setenv("KAFKA_OPTS", "from outside")
    program = script("env >&2", KAFKA_ACKS="all").start()
    assert program.wait() == 0
    names = {line.split("=")[0] for line in program.log().splitlines()}
    assert {n for n in names if n.startswith(("AWS_", "KAFKA_"))} == {"KAFKA_ACKS"}


@pytest.mark.parametrize(
    "text, trouble",
    [
        ("exit 111", "ended by itself with 111"),
        ("exit 0", "ended by itself with 0"),
        ("kill -SEGV $$", "ended by itself with -11"),
    ],
)
def test_program_that_ends_by_itself_is_trouble(script, text, trouble):
    program = script(text).start()
    wait_until(lambda: not program.running, 5, "its end")
    assert trouble in program.finish()
    with pytest.raises(RuntimeError, match="before it said 'up'"):
        program.wait_log("up")


def test_program_that_stops_with_a_wrong_exit_code_is_trouble(script):
    program = script("trap 'exit 111' TERM\necho up >&2\nwhile :; do sleep 0.05; done").start()
    program.wait_log("up")
    assert "ended with 111, not 0" in program.finish()


@pytest.mark.parametrize(
    "line",
    [
        "==12==ERROR: AddressSanitizer: heap-use-after-free on address 0x602",
        "==12==ERROR: LeakSanitizer: detected memory leaks",
        "common/base/buffer.c:12:3: runtime error: signed integer overflow",
        "WARNING: ThreadSanitizer: data race (pid=12)",
    ],
)
def test_sanitizer_reports_are_trouble(script, line):
    text = f"echo '{line}' >&2"
    program = script(text).start()
    program.wait()
    assert "a sanitizer reports" in program.finish()
    with pytest.raises(AssertionError, match="a sanitizer reports"):
        run_program(script(text).name)


def test_sim_comes_back_where_it_was_with_its_ledger(sim):
    """With the AWS SDK's own client in front: what the sim takes, Athena takes."""
    import botocore.session
    from botocore.config import Config

    stand_in = sim(SIM_QUERY_MS=10)
    aws = stand_in.aws_env()
    athena = botocore.session.Session().create_client(
        "athena",
        region_name=aws["AWS_REGION"],
        endpoint_url=aws["AWS_ENDPOINT_URL"],
        aws_access_key_id=aws["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=aws["AWS_SECRET_ACCESS_KEY"],
        config=Config(retries={"total_max_attempts": 1}),
    )
    request = {
        "QueryString": "SELECT 1",
        "ClientRequestToken": "t" * 40,
        "ResultConfiguration": {"OutputLocation": "s3://results/"},
    }
    first = athena.start_query_execution(**request)["QueryExecutionId"]
    stand_in.kill()
    stand_in.start()
    assert athena.start_query_execution(**request)["QueryExecutionId"] == first
    assert [(e["token"], e["id"]) for e in stand_in.ledger()] == [("t" * 40, first)]
    assert stand_in.starts_by_text() == {sha256("SELECT 1"): 1}
    stand_in.set(fail_5xx=1)
    request["ClientRequestToken"] = "u" * 40
    with pytest.raises(athena.exceptions.ClientError) as failure:
        athena.start_query_execution(**request)
    assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] >= 500
    assert stand_in.stats()


# The runner ------------------------------------------------------------------------------------


def compile_unit_test(directory, name, sum=2, other="(void)0"):
    source = directory / f"{name}.c"
    source.write_text(UNIT_TEST)
    command = ["cc", "-o", directory / name, source, f"-DSUM={sum}", f"-DOTHER={other}", "-lcmocka"]
    subprocess.run(command, check=True)


def run_runner(tmp_path, unit=(), system=None):
    """tests/run over tests made for this; returns (exit status, output, last line)."""
    units = tmp_path / "unit"
    units.mkdir()
    suites = []
    for name, options in unit:
        compile_unit_test(units, name, **options)
        suites = ["unit"]
    if system is not None:
        suites.append("system")
        systems = tmp_path / "system"
        systems.mkdir()
        (systems / "test_made.py").write_text(textwrap.dedent(system))
        for name in ("conftest.py", "pytest.ini"):
            (systems / name).symlink_to(TOP / "tests/system" / name)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "AQ_"))}
    env["PYTHONPATH"] = str(TOP / "tests/system")
    env["PYTEST_ARGS"] = "-n2"
    done = subprocess.run(
        [TOP / "tests/run", "--no-build", "--unit-dir", units]
        + ["--system-dir", tmp_path / "system", *suites],
        env=env, capture_output=True, text=True, timeout=60 * SLOWNESS,
    )  # fmt: skip
    output = done.stdout + done.stderr
    return done.returncode, output, done.stdout.splitlines()[-1]


GOOD = ("test_good", {})


def test_runner_passes_what_passes(tmp_path):
    status, _, last = run_runner(tmp_path, [GOOD], "def test_a(): pass\n")
    assert (status, last) == (0, "3 passed, 0 failed, 0 skipped")


@pytest.mark.parametrize(
    "options, last",
    [
        ({"sum": 3}, "3 passed, 1 failed, 0 skipped"),
        ({"other": "skip()"}, "3 passed, 0 failed, 1 skipped"),
        ({"other": "_Exit(0)"}, "3 passed, 1 failed, 0 skipped"),  # ended before its plan
        ({"other": "__builtin_trap()"}, "3 passed, 1 failed, 0 skipped"),
    ],
)
def test_runner_counts_unit_tests_and_runs_those_behind_a_failure(tmp_path, options, last):
    bad = ("test_bad", options)  # runs before test_good
    status, output, found = run_runner(tmp_path, [bad, GOOD])
    assert found == last, output
    assert status == (0 if " 0 failed" in last else 1)
    assert "ok test_good" in output


@pytest.mark.parametrize(
    "text, last",
    [
        ("def test_a(): assert 0\ndef test_b(): pass", "3 passed, 1 failed, 0 skipped"),
        ("import pytest\ndef test_a(): pytest.skip('why')", "2 passed, 0 failed, 1 skipped"),
        (
            "import pytest\n@pytest.fixture\ndef f():\n    yield\n    assert 0\ndef test_a(f): pass",
            "3 passed, 1 failed, 0 skipped",
        ),
        ("import nothing_of_this_name", "2 passed, 1 failed, 0 skipped"),
        ("", "2 passed, 1 failed, 0 skipped"),  # no test at all is no success
        ("import os\ndef test_a(): os._exit(0)", "2 passed, 1 failed, 0 skipped"),
    ],
)
def test_runner_counts_system_tests(tmp_path, text, last):
    status, output, found = run_runner(tmp_path, [GOOD], text)
    assert found == last, output
    assert status == (0 if " 0 failed" in last else 1)


def test_runner_tells_the_failures_once_more_at_its_end(tmp_path):
    text = """
        import pytest
        @pytest.fixture
        def f():
            yield
            assert not "the fixture's end"
        def test_a():
            print("noise")
            assert 1 + 1 == 3, "the reason"
        def test_b(f): pass
        def test_c(): pass
    """
    _, output, last = run_runner(tmp_path, [("test_bad", {"sum": 3}), GOOD], text)
    assert last == "5 passed, 3 failed, 0 skipped"
    end = output[output.index("\nfailed: ") :]
    for said in ("tests/unit/test_bad\n    1 failed", "::test_a\n    AssertionError: the reason",
                 "::test_b\n    assert not", "the fixture's end"):  # fmt: skip
        assert said in end, end
    assert "test_c" not in end and "noise" not in end


def test_a_log_is_shown_without_what_it_repeats(script):
    program = script("for i in 1 2 3 4 5; do echo pass $i over >&2; done; echo trouble 1 >&2;"
                     "echo pass 6 over >&2; exec sleep 60").start()  # fmt: skip
    program.wait_log("pass 6")
    assert program.log_tail().splitlines() == [
        "pass 1 over", "    ... 3 more like it ...", "pass 5 over", "trouble 1", "pass 6 over",
    ]  # fmt: skip
    assert program.log_tail(2).splitlines() == ["trouble 1", "pass 6 over"]


def test_a_program_that_was_not_paused_gets_no_sigcont(script):
    """Its sanitizer may be about to stop it, and would wait for ever."""
    program = script("trap 'echo continued' CONT; trap 'sleep 0.3; over=1' TERM; echo up >&2\n"
                     "while [ -z \"$over\" ]; do sleep 0.05; done")  # fmt: skip
    program.start().wait_log("up")
    program.ask_to_stop()
    assert program.finish() is None
    assert program.out_path.read_text() == ""
    program.start().wait_log("up")
    program.pause()
    assert program.finish() is None
    assert program.out_path.read_text() == "continued\n"
