"""The configuration: what --help says is what the README says and what --check-config checks."""

import difflib
import re

import pytest

from harness.options_table import PIPELINE, README, STAND_INS, read_help, readme_with_tables
from harness.paths import TOP
from harness.program import run_program

ALL = PIPELINE + STAND_INS
SOUND = {"AWS_REGION": "eu-west-1"}


def check(program, env=None, args=()):
    """(exit status, faults) of --check-config."""
    done = run_program(program, ["--check-config", *args], SOUND | (env or {}))
    if done.returncode == 0:
        assert done.stdout == f"{program}: the configuration is sound\n"
        assert done.stderr == ""
    else:
        assert done.stdout == ""
    return done.returncode, done.stderr


def fault_names(program, text):
    """The names that the faults begin with; fails where a line is no fault."""
    names = []
    for line in text.splitlines():
        match = re.fullmatch(rf"{program}: (\S+): \S.*", line)
        assert match, f"no fault: {line}"
        names.append(match[1])
    return names


# --- the README -----------------------------------------------------------------------------------


def test_readme_has_what_help_says():
    text = README.read_text()
    made = readme_with_tables(text)
    lines = difflib.unified_diff(text.splitlines(), made.splitlines(), "README.md", "--help", n=0)
    assert text == made, (
        "cd tests/system && python3 -m harness.options_table\n" + "\n".join(lines)
    )  # fmt: skip


def test_readme_names_every_argument_of_the_redriver():
    text = README.read_text()
    for option in read_help("athena-query-redriver"):
        assert option.is_variable or option.name in text, option.name


def test_readme_names_only_files_and_targets_that_are_there():
    text = README.read_text()
    for path in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (TOP / path).exists(), path
    targets = re.findall(r"^([a-z-]+):", (TOP / "Makefile").read_text(), re.MULTILINE)
    named = set(re.findall(r"(?:`|^|&& )make ([a-z-]+)", text, re.MULTILINE))
    assert {"demo", "run", "test"} <= named
    assert named <= set(targets)


# --- --help, --version, --check-config ------------------------------------------------------------


@pytest.mark.parametrize("program", ALL)
def test_help_and_version(program):
    names = [o.name for o in read_help(program)]
    assert len(names) == len(set(names))
    assert {"--help", "--version", "--check-config", "LOG_LEVEL", "LOG_FORMAT"} <= set(names)
    done = run_program(program, ["--version"])
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(rf"{program} \S+\n", done.stdout)


@pytest.mark.parametrize("program", ALL)
def test_help_before_any_fault(program):
    done = run_program(program, ["--help"], {"LOG_LEVEL": "loud"})
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("program", ALL)
def test_the_defaults_are_sound(program):
    assert check(program) == (0, "")


@pytest.mark.parametrize("program", ALL)
def test_every_fault_is_reported_by_name(program):
    wrong = {"whole number": "12x", "share": "1.5", "true|false": "perhaps", "host:port": "8080"}
    env = {}
    for option in read_help(program):
        if option.is_variable and (option.type in wrong or "|" in option.type):
            env[option.name] = wrong.get(option.type, "never")
    assert len(env) >= 3
    status, text = check(program, env)
    assert status == 100
    assert sorted(fault_names(program, text)) == sorted(env)
    without = run_program(program, env=SOUND | env)
    assert (without.returncode, without.stdout, without.stderr) == (100, "", text)


@pytest.mark.parametrize("program", ALL)
@pytest.mark.parametrize("value", ["", "-5", " 1", "1 ", "+1", "0x10", "1e3", "9" * 30])
def test_whole_numbers(program, value):
    status, text = check(program, {"DRAIN_TIMEOUT_MS": value})
    assert status == (0 if value == "" else 100)  # empty: as not set
    assert fault_names(program, text) == ([] if value == "" else ["DRAIN_TIMEOUT_MS"])


@pytest.mark.parametrize("value", ["1", "true", "on", "yes", "0", "false", "off", "no"])
def test_words_for_true_and_false(value):
    assert check("athena-query-executor", {"TRACK_QUERIES": value}) == (0, "")


@pytest.mark.parametrize("program", PIPELINE)
@pytest.mark.parametrize(
    ("env", "names"),
    [
        ({"STAGE": "dev"}, []),
        ({"STAGE": "a/b"}, ["STAGE"]),
        ({"QUERY_TOPIC": "no topic"}, ["QUERY_TOPIC"]),
        ({"QUERY_TOPIC": "x" * 250}, ["QUERY_TOPIC"]),
        ({"QUERY_TOPIC": "x" * 246, "STAGE": "dev"}, ["QUERY_TOPIC"]),
        ({"STATUS_TOPIC": "same", "QUERY_TOPIC": "same"}, ["STATUS_TOPIC"]),
        ({"TOPIC_PARTITIONS": "0"}, ["TOPIC_PARTITIONS"]),
        ({"ADMIN_LISTEN": "[::1]:0"}, []),
        ({"ADMIN_LISTEN": "::1:0"}, ["ADMIN_LISTEN"]),
        ({"ADMIN_LISTEN": "localhost:65536"}, ["ADMIN_LISTEN"]),
    ],
)
def test_names_and_addresses(program, env, names):
    status, text = check(program, env)
    found = fault_names(program, text)
    assert status == (100 if names else 0)
    # A stage that no topic may have in its name makes every topic's name wrong as well.
    assert found[: len(names)] == names
    assert env.get("STAGE") == "a/b" or len(found) == len(names)


@pytest.mark.parametrize("program", ALL)
@pytest.mark.parametrize("args", [["--nonsense"], ["--nonsense=1"], ["word"], ["--help=1"]])
def test_unknown_arguments(program, args):
    done = run_program(program, args, SOUND)
    assert (done.returncode, done.stdout) == (100, "")
    assert args[0] in done.stderr


@pytest.mark.parametrize(
    ("args", "name"),
    [
        (["--limit"], "--limit"),
        (["--limit", "0"], "--limit"),
        (["--limit=x"], "--limit"),
        (["--from", "status"], "--from"),
        (["--query-id", ""], "--query-id"),
        (["--once=yes"], "--once"),
    ],
)
def test_arguments_of_the_redriver(args, name):
    program = "athena-query-redriver"
    status, text = check(program, args=args)
    assert (status, fault_names(program, text)) == (100, [name])


@pytest.mark.parametrize(
    ("listen", "more", "good"),
    [
        ("127.0.0.1:0", {}, True),
        ("127.8.8.8:0", {}, True),
        ("localhost:0", {}, True),
        ("[::1]:0", {}, True),
        ("0.0.0.0:0", {}, False),
        ("[::]:0", {}, False),
        ("example.org:0", {}, False),
        ("0.0.0.0:0", {"ALLOW_ANONYMOUS": "true"}, True),
        ("0.0.0.0:0", {"ALLOW_ANONYMOUS": "false"}, False),
    ],
)
def test_open_to_all_only_on_loopback(listen, more, good):
    program = "athena-query-receiver"
    status, text = check(program, {"LISTEN": listen} | more)
    assert (status, fault_names(program, text)) == ((0, []) if good else (100, ["LISTEN"]))


@pytest.mark.parametrize(
    "env, names",
    [
        ({"ALLOWED_WORKGROUPS": "a,b c-1, d"}, []),
        ({"ALLOWED_WORKGROUPS": "a/b"}, ["ALLOWED_WORKGROUPS"]),
        ({"ALLOWED_OUTPUT_LOCATIONS": "s3://bucket/a, s3://other/"}, []),
        ({"ALLOWED_OUTPUT_LOCATIONS": "s3://bucket,s3://"}, ["ALLOWED_OUTPUT_LOCATIONS"]),
        ({"ALLOWED_OUTPUT_LOCATIONS": "bucket/a"}, ["ALLOWED_OUTPUT_LOCATIONS"]),
    ],
)
def test_what_requests_may_choose(env, names):
    """A list that allows all, or nothing, where it looks as if it allowed something."""
    code, text = check("athena-query-executor", env)
    assert (code, fault_names("athena-query-executor", text)) == (100 if names else 0, names)


def test_athena_must_be_somewhere():
    program = "athena-query-executor"
    for env, good in [
        ({"AWS_REGION": None, "AWS_EC2_METADATA_DISABLED": "true"}, False),
        ({"AWS_REGION": None, "AWS_DEFAULT_REGION": "eu-west-1"}, True),
        ({"AWS_REGION": None, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, True),
    ]:
        status, text = check(program, env)
        assert status == (0 if good else 100), text
        assert good or fault_names(program, text) == ["AWS_REGION"]


# --- KAFKA_… --------------------------------------------------------------------------------------

PLATFORM = [
    "KAFKA_PORT",
    "KAFKA_PORT_9092_TCP",
    "KAFKA_PORT_9092_TCP_ADDR",
    "KAFKA_SERVICE_HOST",
    "KAFKA_SERVICE_PORT_PLAINTEXT",
    "KAFKA_HEADLESS_SERVICE_HOST",
    "KAFKA_0_PORT_9092_TCP_PROTO",
    "KAFKA_UI_PORT",
    "KAFKA_0_TCP_PROTO",
]
UNKNOWN = ["KAFKA_SASL_MECHANISMUS", "KAFKA_LISTENERS", "KAFKA_", "KAFKA_HOME", "KAFKA_X_FILE"]
KNOWN = {
    "KAFKA_SECURITY_PROTOCOL": "SSL",
    "KAFKA_SOCKET_KEEPALIVE_ENABLE": "true",
    "KAFKA_CLIENT_ID": "me",
    "KAFKA_LINGER_MS": "3",
}
OURS = [
    "KAFKA_ACKS", "KAFKA_ENABLE_IDEMPOTENCE", "KAFKA_GROUP_ID", "KAFKA_GROUP_INSTANCE_ID",
    "KAFKA_AUTO_OFFSET_RESET",
]  # fmt: skip


@pytest.mark.parametrize("program", PIPELINE)
def test_kafka_variables(program):
    platform = dict.fromkeys(PLATFORM, "tcp://10.0.0.1:9092")
    assert check(program, KNOWN | platform) == (0, "")
    wrong = dict.fromkeys(UNKNOWN + OURS, "x") | {"KAFKA_SOCKET_TIMEOUT_MS": "soon"}
    status, text = check(program, KNOWN | platform | wrong)
    assert status == 100
    assert sorted(fault_names(program, text)) == sorted(wrong)


@pytest.mark.parametrize("program", PIPELINE)
def test_kafka_values_from_files(program, tmp_path):
    def file(name, text):
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    good = {
        "KAFKA_SASL_PASSWORD_FILE": file("password", "not-for-the-log\n"),
        "KAFKA_SASL_USERNAME": "me",
        "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "KAFKA_SOCKET_TIMEOUT_MS_FILE": file("timeout", "7000\r\n"),
    }
    assert check(program, good) == (0, "")
    wrong = {
        "KAFKA_SOCKET_TIMEOUT_MS_FILE": file("word", "not-for-the-log"),
        "KAFKA_SASL_PASSWORD_FILE": str(tmp_path / "absent"),
    }
    status, text = check(program, good | wrong)
    assert (status, sorted(fault_names(program, text))) == (100, sorted(wrong))
    assert "not-for-the-log" not in text
