"""Signing in to Amazon MSK with IAM: the tokens, and the programs against a stand-in of its listener
with a real broker behind it."""

import datetime
import random
import re
import subprocess

import pytest

from harness.certificates import Authority
from harness.kafka import Kafka
from harness.metadata import ROLE, Metadata
from harness.msk import Msk, amazons_token, decode, signed_parts
from harness.paths import BUILD
from harness.program import run_program
from harness.sim import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY
from harness.wait import SLOWNESS, wait_until

KEYS = {ACCESS_KEY_ID: (SECRET_ACCESS_KEY, None)}
PROGRAMS = ["athena-query-receiver", "athena-query-executor", "athena-query-redriver"]
KINDS = ["receiver", "executor", "redriver"]
REGIONS = ["us-east-1", "eu-central-1", "ap-southeast-4", "us-gov-west-1", "cn-north-1"]


# --- tokens ---------------------------------------------------------------------------------------


def random_case(rng):
    def text(alphabet, n):
        return "".join(rng.choice(alphabet) for _ in range(n))

    session = text("aZ09/+=", rng.randint(1, 1500)) if rng.random() < 0.5 else None
    keys = "AKIA" + text("ABC234", 16), text("aZ09/+", 40), session
    return rng.choice(REGIONS), rng.randint(0, 4_000_000_000), keys


def tokens_of(cases, agent="test", expires=0):
    """[(token, until when)], made here."""
    lines = "".join(
        f"{region} {when} {agent} {key} {secret} {session or '-'} {expires}\n"
        for region, when, (key, secret, session) in cases
    )
    tool = BUILD / "tests" / "tools" / "msk_token_cli"
    done = subprocess.run([tool], input=lines, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    made = [line.split(" ") for line in done.stdout.splitlines()]
    return [(token, int(until)) for token, until in made]


def test_the_same_token_as_amazons_signer():
    rng = random.Random(20260103)
    cases = [random_case(rng) for _ in range(200)]
    assert {region for region, *_ in cases} == set(REGIONS)
    made = tokens_of(cases)
    assert len(made) == len(cases)
    for (region, when, keys), (token, until) in zip(cases, made):
        wanted, wanted_until = amazons_token(region, keys, when)
        assert signed_parts(token) == signed_parts(wanted)
        assert until == wanted_until


def test_the_same_bytes_as_amazons_signer():
    """Where there is a session token, the order of two parameters differs."""
    cases = [(region, 1_700_000_000, ("AKID", "secret/+", None)) for region in REGIONS]
    wanted = [amazons_token(*case[:1], case[2], case[1])[0] for case in cases]
    agent = dict(decode(wanted[0])[1])["User-Agent"]
    assert [token for token, _ in tokens_of(cases, agent)] == wanted


def test_a_token_ends_with_its_credentials():
    now = 1_700_000_000
    for life_s, usable_s in [(0, 900), (5, 5), (899, 899), (901, 900), (36000, 900)]:
        case = REGION, now, ("AKID", "secret", None)
        [(_, until)] = tokens_of([case], expires=now + life_s if life_s else 0)
        assert until == now + usable_s, life_s


# --- a region -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_missing_region_is_named(name, tmp_path):
    base = {"KAFKA_SASL_MECHANISM": "AWS_MSK_IAM", "AWS_EC2_METADATA_DISABLED": "true"}

    def faults(**env):
        done = run_program(name, ["--check-config"], base | env, cwd=tmp_path)
        assert done.returncode == (100 if done.stderr else 0)
        return [line for line in done.stderr.splitlines() if "AWS_MSK_IAM needs" in line]

    for env in ({}, {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}):
        [line] = faults(**env)
        assert "AWS_REGION: is not set" in line
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text("[default]\nregion = eu-west-3\n")
    assert not faults()


# --- programs -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def listener(tmp_path_factory):
    """An Msk, its broker and its authority."""
    directory = tmp_path_factory.mktemp("msk")
    authority = Authority(directory, "authority")
    with Msk(authority.issue("msk", ["127.0.0.1"])) as msk:
        broker = Kafka(
            directory, listeners={"IAM": ("PLAINTEXT", {})}, advertised={"IAM": msk.port}
        ).start()
        msk.broker_port = broker.ports["IAM"]
        msk.broker, msk.authority = broker, authority
        yield msk
        broker.kill()


@pytest.fixture
def msk(listener):
    listener.reset()
    listener.keys = KEYS
    yield listener
    assert not listener.faults


def env_of(msk, client, **more):
    return {
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{msk.port}",
        "KAFKA_SASL_MECHANISM": "AWS_MSK_IAM",
        "KAFKA_SSL_CA_LOCATION": msk.authority.cert,
        "KAFKA_RECONNECT_BACKOFF_MAX_MS": 500,
        "KAFKA_CLIENT_ID": client,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "AWS_EC2_METADATA_DISABLED": "true",
        "ACK_TIMEOUT_MS": 500,
        "LISTEN": "127.0.0.1:0",
        "ADMIN_LISTEN": "127.0.0.1:0",
        "LOG_LEVEL": "debug",
    } | more


def start_all(pipeline, msk, make_env):
    """The pipeline's three programs, not waited for; each has its kind as client.id."""
    p = pipeline(
        receivers=0, executors=0, redrivers=0, broker=msk.broker, sim_env={"SIM_ACTIVE_DML": 1},
        ready=False,
    )  # fmt: skip
    env = make_env(p.sim)
    for kind, add in zip(KINDS, (p.add_receiver, p.add_executor, p.add_redriver)):
        add(env_of(msk, kind) | env)
    return p


def post_queries(p, *ids):
    for n in ids:
        p.post({"query": f"SELECT {n}", "queryId": n, "userId": "u"})


def wait_queries(p, *ids):
    p.wait_states([("u", n) for n in ids], "SUCCEEDED")


def run_queries(p, *ids):
    post_queries(p, *ids)
    wait_queries(p, *ids)


def test_the_whole_pipeline_while_credentials_and_sessions_end(msk, pipeline, tmp_path):
    """With a throttled query in it, so that each program has written and read."""
    made = []

    def web_identity(sim):
        made.append(Metadata(sim, life_s=int(5 * SLOWNESS)).__enter__())
        (tmp_path / "jwt").write_text("header.payload.signature")
        return sim.aws_env() | {
            "AWS_ACCESS_KEY_ID": None,
            "AWS_SECRET_ACCESS_KEY": None,
            "AWS_SESSION_TOKEN": None,
            "AWS_WEB_IDENTITY_TOKEN_FILE": tmp_path / "jwt",
            "AWS_ROLE_ARN": ROLE,
            "AWS_ENDPOINT_URL_STS": made[0].url,
        }

    msk.keys = lambda id: {k: (secret, token) for k, secret, token, _ in made[0].issued}.get(id)
    try:
        p = start_all(pipeline, msk, web_identity).wait_ready()
        p.sim.set(active_dml=0)
        post_queries(p, "a", "b", "c")
        wait_until(lambda: p.topics.read(p.deadletter_topic), what="one to be throttled")
        p.sim.set(active_dml=1)
        wait_queries(p, "a", "b", "c")
        wait_until(
            lambda: msk.hang_up()
            or all(len({s.access_key_id for s in msk.of(kind)}) > 1 for kind in KINDS),
            what=lambda: f"new keys: {[(s.client, s.access_key_id) for s in msk.sign_ins]}",
            interval=0.5,
        )
        run_queries(p, "d")
    finally:
        made[0].__exit__()
    # One session name is one principal: with another, MSK ends the session of who signs in again.
    assert {form["RoleSessionName"] for form in made[0].forms} == {"athena-query"}
    assert all(s.taken for s in msk.sign_ins)
    version = run_program(PROGRAMS[0], ["--version"]).stdout.split()[1]
    for kind, program in zip(KINDS, p.receivers + p.executors + p.redrivers):
        first = msk.of(kind)[0]
        assert first.url.startswith(f"https://kafka.{REGION}.amazonaws.com/?Action=kafka-cluster%3A")
        assert dict(first.parameters)["X-Amz-Expires"] == "900"
        assert dict(first.parameters)["User-Agent"] == f"athena-query/{version}"
        log = program.log()
        assert "sign-in failed" not in log
        assert not any(s.token in log for s in msk.sign_ins)
        assert not any(secret in log for secret in made[0].secrets())


def test_a_refused_sign_in(msk, pipeline):
    msk.keys = {}
    p = start_all(pipeline, msk, lambda sim: sim.aws_env() | {"REDRIVE_INTERVAL_MS": 60000})
    for program in p.receivers + p.executors + p.redrivers:
        line = program.wait_refused()
        assert f"mechanism=AWS_MSK_IAM principal={ACCESS_KEY_ID} (the environment): " in line
        assert "Access denied; check that the region" in line
        assert "kafka-cluster:Connect" in line
    msk.keys = KEYS
    p.wait_ready()
    run_queries(p, "a")

    msk.keys = {}
    newest = max(s.time for s in msk.sign_ins)
    msk.hang_up()
    for kind, program in zip(KINDS, p.receivers + p.executors + p.redrivers):
        program.wait_unready("sign-in failed mechanism=AWS_MSK_IAM")
        # The token may be what was wrong: signed by a clock that was.
        wait_until(
            lambda: any(s.time > newest for s in msk.of(kind)), what=f"another token of {kind}"
        )
        assert program.running
    p.post({"query": "SELECT b", "queryId": "b", "userId": "u"}, expect=503)
    msk.keys = KEYS
    p.wait_ready()
    run_queries(p, "b")


def test_tokens_are_renewed_while_the_loop_is_busy(msk, programs):
    msk.keys = {f"AKID{n}": (f"secret {n}", None) for n in range(1, 100)}
    quick = {"KAFKA_RECONNECT_BACKOFF_MS": 20, "KAFKA_RECONNECT_BACKOFF_MAX_MS": 50}
    client = programs("../tests/tools/msk_client", env_of(msk, "busy") | quick, label="msk_client")
    turned = wait_until(
        lambda: msk.hang_up() or re.search(r"(\S+) INFO .*: was busy", client.log()),
        timeout=20, what="the loop to turn", interval=0.1,
    )  # fmt: skip
    turned_at = datetime.datetime.fromisoformat(turned[1]).timestamp()
    busy = [s for s in msk.sign_ins if s.at < turned_at]
    assert {s.access_key_id for s in busy} == {"AKID1"}
    began = busy[0].time
    renewed = [s for s in busy if s.time > began]
    assert renewed, "only one token while the loop was busy"
    assert began + 9 <= renewed[0].time <= renewed[0].at < began + 12
    wait_until(
        lambda: msk.hang_up() or msk.sign_ins[-1].access_key_id == "AKID2",
        what="new credentials", interval=0.1,
    )  # fmt: skip
    assert all(s.taken for s in msk.sign_ins)


def test_a_region_from_each_of_its_sources(msk, programs, sim, stage, tmp_path):
    (tmp_path / "config").write_text("[default]\nregion = cn-north-1\n")
    profile = {"AWS_CONFIG_FILE": tmp_path / "config"}
    default = {"AWS_DEFAULT_REGION": "us-gov-west-1"}
    with Metadata(sim(), life_s=3600) as m:
        instance = {
            "AWS_EC2_METADATA_DISABLED": None,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": m.url,
        }
        sources = {
            "eu-north-1": {"AWS_REGION": "eu-north-1"} | default | profile | instance,
            "us-gov-west-1": default | profile | instance,
            "cn-north-1": profile | instance,
            "eu-central-1": instance,
        }
        for region, env in sources.items():
            programs(PROGRAMS[0], env_of(msk, region, STAGE=stage) | env)
        wait_until(
            lambda: {s.client for s in msk.sign_ins} == set(sources),
            what=lambda: f"each to sign in: {[(s.client, s.region) for s in msk.sign_ins]}",
        )
    assert all(s.taken and s.region == s.client for s in msk.sign_ins)


def test_a_region_that_comes_later(msk, programs, stage, tmp_path):
    env = env_of(msk, "late", STAGE=stage, AWS_CONFIG_FILE=tmp_path / "config")
    program = programs(PROGRAMS[0], env)
    line = program.wait_refused()
    assert "mechanism=AWS_MSK_IAM principal=none: " in line
    assert "no region: neither AWS_REGION nor AWS_DEFAULT_REGION is set" in line
    (tmp_path / "config").write_text("[default]\nregion = eu-west-3\n")
    program.wait_ready()
    assert {s.region for s in msk.sign_ins} == {"eu-west-3"}
