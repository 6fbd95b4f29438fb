"""Where credentials come from: every source against a fake of it, expiry while queries run, and
what is said where there are none."""

import os
import stat
import sys
import textwrap
import time

import pytest

from harness.metadata import ROLE, Metadata
from harness.program import run_program
from harness.wait import wait_until

QUERIES = int(os.environ.get("AQ_CREDENTIAL_QUERIES", "120"))
EXPIRIES = 3
LIFE_S = 10
# What the harness gives the programs, and the sources do without.
NONE = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_SESSION_TOKEN": None}


@pytest.fixture
def metadata():
    """metadata(sim): the fake services in front of it, each of whose keys lives LIFE_S."""
    opened = []

    def make(sim, life_s=LIFE_S):
        opened.append(Metadata(sim, life_s).__enter__())
        return opened[-1]

    yield make
    for m in opened:
        m.__exit__()


# --- one environment for each source --------------------------------------------------------------


def from_environment(m, sim, directory):
    return {
        "AWS_ACCESS_KEY_ID": sim.env["SIM_ACCESS_KEY_ID"],
        "AWS_SECRET_ACCESS_KEY": sim.env["SIM_SECRET_ACCESS_KEY"],
    }


def from_imds(m, sim, directory):
    return {"AWS_EC2_METADATA_DISABLED": None, "AWS_EC2_METADATA_SERVICE_ENDPOINT": m.url}


def from_container(m, sim, directory):
    (directory / "token").write_text("pod-token")
    return {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": m.url + "/container",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": directory / "token",
    }


def from_web_identity(m, sim, directory):
    (directory / "jwt").write_text("header.payload.signature")
    return {
        "AWS_WEB_IDENTITY_TOKEN_FILE": directory / "jwt",
        "AWS_ROLE_ARN": ROLE,
        "AWS_ENDPOINT_URL_STS": m.url,
    }


def from_shared_file(m, sim, directory):
    key, secret, token, _ = m.issue()
    (directory / "credentials").write_text(
        f"[team]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
        f"aws_session_token = {token}\n"
    )
    return {"AWS_PROFILE": "team", "AWS_SHARED_CREDENTIALS_FILE": directory / "credentials"}


def from_role(m, sim, directory):
    (directory / "config").write_text(
        textwrap.dedent(f"""\
        [profile reader]
        role_arn = {ROLE}
        source_profile = base
        external_id = us & them
        [profile base]
        aws_access_key_id = {sim.env["SIM_ACCESS_KEY_ID"]}
        aws_secret_access_key = {sim.env["SIM_SECRET_ACCESS_KEY"]}
        """)
    )
    return {
        "AWS_PROFILE": "reader",
        "AWS_CONFIG_FILE": directory / "config",
        "AWS_ENDPOINT_URL_STS": m.url,
    }


def from_process(m, sim, directory):
    """The program asks the container's endpoint of the fake."""
    script = directory / "my process.py"
    script.write_text(
        textwrap.dedent(f"""\
        #!{sys.executable}
        import json, sys, urllib.request
        assert sys.argv[1:] == ["--for", "the team; $HOME"], sys.argv
        print("a complaint", file=sys.stderr)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({{}}))
        got = json.load(opener.open("{m.url}/container"))
        got["Version"] = 1
        got["SessionToken"] = got.pop("Token")
        json.dump(got, sys.stdout)
        """)
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    (directory / "config").write_text(
        f"[default]\ncredential_process = '{script}' --for \"the team; $HOME\"\n"
    )
    return {"AWS_CONFIG_FILE": directory / "config"}


SOURCES = {
    "environment": (from_environment, "the environment"),
    "imds": (from_imds, "the instance metadata, role athena-reader"),
    "container": (from_container, "the container's endpoint"),
    "web-identity": (from_web_identity, f"role {ROLE} by web identity"),
    "shared-file": (from_shared_file, "profile team of the credentials file"),
    "role": (from_role, f"profile reader, role {ROLE}"),
    "process": (from_process, "credential_process of profile default"),
}
BY_STS = ["web-identity", "role"]
# How many requests a fetch is: to the metadata service or to STS.
REQUESTS_A_FETCH = {"imds": 3, "container": 1, "web-identity": 1, "role": 1, "process": 1}


def whoami(sim, env, directory):
    return run_program(
        "athena-query-executor", ["--whoami"], sim.aws_env() | NONE | env, cwd=directory
    )


# --- who this is ----------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [s for s in SOURCES if s not in BY_STS])
def test_whoami(sim, metadata, tmp_path, source):
    s = sim()
    m = metadata(s, life_s=3600)
    make, name = SOURCES[source]
    env = make(m, s, tmp_path)
    done = whoami(s, env, tmp_path)
    assert done.returncode == 0, done.stderr
    lines = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert lines["account"] == "123456789012"
    assert lines["arn"].startswith("arn:aws:")
    assert lines["credentials"].split(", for another")[0] == name
    assert lines["region"] == "eu-central-1"
    assert lines["endpoint of athena"] == s.url + "/"
    assert lines["endpoint of sts"] == s.url + "/"
    assert not any(secret in done.stdout + done.stderr for secret in m.secrets())


@pytest.mark.parametrize("source", BY_STS)
def test_whoami_by_sts(sim, metadata, tmp_path, source):
    s = sim()
    make, name = SOURCES[source]
    env = make(metadata(s), s, tmp_path) | {"AWS_ENDPOINT_URL_STS": None}
    done = whoami(s, env, tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"credentials: {name}, for another " in done.stdout


def test_whoami_finds_the_region(sim, metadata, tmp_path):
    s = sim()
    m = metadata(s, life_s=3600)
    env = from_imds(m, s, tmp_path) | {
        "AWS_REGION": None,
        "AWS_ENDPOINT_URL": None,
        "AWS_ENDPOINT_URL_STS": None,
        "https_proxy": "http://127.0.0.1:1",  # the real STS is not to be reached
    }
    done = whoami(s, env, tmp_path)
    assert "region: eu-central-1\n" in done.stdout
    assert "endpoint of athena: https://athena.eu-central-1.amazonaws.com/\n" in done.stdout
    assert done.returncode == 111
    (tmp_path / "config").write_text("[default]\nregion = eu-west-3\nendpoint_url = " + s.url)
    done = whoami(s, env | {"AWS_CONFIG_FILE": tmp_path / "config"}, tmp_path)
    assert "region: eu-west-3\n" in done.stdout
    assert f"endpoint of athena: {s.url}/\n" in done.stdout
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "env, says",
    [
        ({}, "no credentials are configured; looked in the environment"),
        ({"AWS_ACCESS_KEY_ID": "AKID"}, "AWS_ACCESS_KEY_ID is set without AWS_SECRET_ACCESS_KEY"),
        ({"AWS_PROFILE": "nobody"}, "AWS_PROFILE: there is no profile nobody"),
        ({"AWS_SHARED_CREDENTIALS_FILE": "/no/such"}, "AWS_SHARED_CREDENTIALS_FILE: /no/such"),
        ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://example.com/"}, "must be https"),
        (
            {"AWS_WEB_IDENTITY_TOKEN_FILE": "/no/such", "AWS_ROLE_ARN": ROLE},
            "the web identity's token: /no/such cannot be read",
        ),
        (
            {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "wrong"},
            "STS refused with status 40",
        ),
    ],
)
def test_whoami_says_why_not(sim, tmp_path, env, says):
    done = whoami(sim(), env, tmp_path)
    assert done.returncode == 111
    assert says in done.stderr
    assert "wrong" not in done.stderr


# --- queries over expiries ------------------------------------------------------------------------


def fetches(m, source):
    return sum(m.requests.values()) / REQUESTS_A_FETCH[source]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("source", REQUESTS_A_FETCH)
def test_no_query_is_lost_over_expiries(pipeline, metadata, tmp_path, source):
    p = pipeline(
        executors=0, redrivers=0, sim_env={"SIM_ACTIVE_DML": 200, "SIM_QUERY_MS": 50}, ready=False
    )
    m = metadata(p.sim)
    executor = p.add_executor(NONE | SOURCES[source][0](m, p.sim, tmp_path))
    p.wait_ready()
    ids = [f"q{i}" for i in range(QUERIES)]
    share = QUERIES // EXPIRIES
    began = len(m.issued)
    for n in range(EXPIRIES):
        part = ids[n * share : (n + 1) * share if n + 1 < EXPIRIES else None]
        until = m.issued[-1][3]
        for query_id in part[: len(part) // 2]:
            p.post({"userId": "u", "queryId": query_id, "query": f"SELECT '{query_id}'"})
        wait_until(lambda: time.time() > until, LIFE_S + 5, "the keys to expire")
        for query_id in part[len(part) // 2 :]:
            p.post({"userId": "u", "queryId": query_id, "query": f"SELECT '{query_id}'"})
    p.wait_states([("u", q) for q in ids], "SUCCEEDED", timeout=60)
    p.wait_committed()
    assert len(p.sim.ledger()) == len(ids)
    assert p.sim.stats()["bad_signature"] == 0

    # As many as half-lives have passed, however many queries there were.
    elapsed = time.time() - m.issued[began - 1][3] + m.life_s
    assert EXPIRIES <= len(m.issued) <= elapsed / (m.life_s // 2) + 2
    assert fetches(m, source) == len(m.issued)
    assert "no query is started" not in executor.log()
    assert not any(secret in executor.log() for secret in m.secrets())
    print(f"{source}: {QUERIES} queries, {elapsed:.0f} s, {dict(m.requests)}")


def test_each_refresh_reads_the_token_file_and_asks_for_the_same_session(
    pipeline, metadata, tmp_path
):
    p = pipeline(receivers=0, executors=0, redrivers=0, ready=False)
    m = metadata(p.sim)
    p.add_executor(NONE | from_web_identity(m, p.sim, tmp_path))
    p.wait_ready()
    (tmp_path / "jwt").write_text("a.newer.one\n")
    wait_until(
        lambda: m.forms[-1]["WebIdentityToken"] == "a.newer.one", LIFE_S * 2, "the new token"
    )
    assert {f["RoleSessionName"] for f in m.forms} == {"athena-query"}
    assert {f["Version"] for f in m.forms} == {"2011-06-15"}
    assert m.forms[0]["WebIdentityToken"] == "header.payload.signature"


# --- when there are none --------------------------------------------------------------------------


def test_refused_keys_are_fetched_again(pipeline, metadata, tmp_path):
    """AWS says that they have expired, long before they should: what is held is not kept."""
    p = pipeline(executors=0, redrivers=0, ready=False)
    m = metadata(p.sim, life_s=3600)
    executor = p.add_executor(NONE | from_imds(m, p.sim, tmp_path))
    p.wait_ready()
    assert len(m.issued) == 1
    m.store(20)
    p.sim.set(expired=1)
    p.post({"userId": "u", "queryId": "q", "query": "SELECT 1"})
    wait_until(lambda: len(m.issued) >= 2, 10, "keys to be fetched again")
    wait_until(lambda: not executor.ready(), 10, "the executor not to be ready")
    p.sim.set(expired=0)
    p.wait_state("q", "SUCCEEDED", "u", timeout=40)
    assert len(p.sim.ledger()) == 1
    assert len(m.issued) < 10  # less and less often
    wait_until(executor.ready, 10, "the executor to be ready")


def test_a_file_that_comes_late(pipeline, metadata, tmp_path):
    p = pipeline(executors=0, redrivers=0, ready=False)
    p.wait_ready()
    m = metadata(p.sim, life_s=3600)
    late = {"AWS_PROFILE": "team", "AWS_SHARED_CREDENTIALS_FILE": tmp_path / "credentials"}
    executor = p.add_executor(NONE | late)
    p.post({"userId": "u", "queryId": "q", "query": "SELECT 1"})
    executor.wait_log("AWS_SHARED_CREDENTIALS_FILE: .*/credentials cannot be read")
    assert not executor.ready()
    from_shared_file(m, p.sim, tmp_path)
    p.wait_state("q", "SUCCEEDED", "u", timeout=40)
    wait_until(executor.ready, 10, "the executor to be ready")


def test_a_broken_source_is_named_and_nobody_else_is_asked(pipeline, metadata, tmp_path):
    p = pipeline(executors=0, redrivers=0, ready=False)
    p.wait_ready()
    m = metadata(p.sim, life_s=3600)
    m.status = 500
    env = NONE | from_container(m, p.sim, tmp_path) | from_imds(m, p.sim, tmp_path)
    executor = p.add_executor(env)
    p.post({"userId": "u", "queryId": "q", "query": "SELECT 1"})
    executor.wait_log("no credentials from the container: it answered with status 500", timeout=20)
    assert not executor.ready()
    assert m.requests["token"] == 0
    m.status = 200
    p.wait_state("q", "SUCCEEDED", "u", timeout=60)
    assert m.requests["token"] == 0
    assert set(m.authorizations) == {"pod-token"}
