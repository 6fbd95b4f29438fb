"""AWS by moto: signatures, keys and policies checked by code that is neither ours nor Amazon's."""

import datetime
import json

import pytest

from harness.judge import wait_all
from harness.mock_aws import REGION, Moto, as_moto_reads_them
from harness.policies import actions, policies
from harness.program import run_program
from harness.wait import stays, wait_until

EXECUTOR = actions(policies()["executor"])
# Whatever the body holds, its bytes are what is signed.
TEXTS = {
    "plain": "SELECT 1",
    "odd": "SELECT '\u00e9\u1234\U0001d11e', '\"\\ %20+&=?#' --\n\t/* \u0001\u007f */",
    "long": "SELECT '" + "\u20ac" * 80000 + "'",
}


@pytest.fixture
def moto(tmp_path):
    m = Moto(tmp_path)
    yield m
    m.kill()


def started(moto):
    """{text: execution} of all that has started, signatures not checked."""
    moto.check_signatures(False)
    athena = moto.client("athena")
    ids = athena.list_query_executions()["QueryExecutionIds"]
    found = [athena.get_query_execution(QueryExecutionId=i)["QueryExecution"] for i in ids]
    moto.check_signatures()
    assert len({e["Query"] for e in found}) == len(found)
    return {e["Query"]: e for e in found}


def test_moto_whoami(moto, tmp_path):
    moto.make_user("queue", [])  # it needs no right
    moto.check_signatures()
    done = run_program("athena-query-executor", ["--whoami"], moto.aws_env(), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "account: 123456789012\narn: arn:aws:iam::123456789012:user/queue\n" in done.stdout
    assert "credentials: the environment\n" in done.stdout


@pytest.mark.parametrize(
    "wrong",
    [
        {"AWS_SECRET_ACCESS_KEY": "wrong"},
        {"AWS_ACCESS_KEY_ID": "AKIAUNKNOWNUNKNOWN00"},
    ],
)
def test_moto_refuses_whom_it_does_not_know(moto, tmp_path, wrong):
    moto.make_user("queue", [])
    moto.check_signatures()
    env = moto.aws_env() | wrong
    done = run_program("athena-query-executor", ["--whoami"], env, cwd=tmp_path)
    assert done.returncode == 111
    assert "STS refused with status 403" in done.stderr


def test_moto_queries_as_they_were_asked_for_and_counters(pipeline, moto):
    """StartQueryExecution, BatchGetQueryExecution and PutMetricData, with the page's policy."""
    moto.make_user("queue", EXECUTOR)
    moto.client("athena").create_work_group(
        Name="team", Configuration={"ResultConfiguration": {"OutputLocation": "s3://team/"}}
    )
    moto.check_signatures()
    chosen = {
        "database": "sales", "catalog": "AwsDataCatalog", "workGroup": "team",
        "outputLocation": "s3://results/a b/", "executionParameters": ["1", "'\u00e9'"],
        "resultReuseMaxAgeMinutes": 60,
    }  # fmt: skip
    p = pipeline(
        executors=0, redrivers=0,
        env=moto.aws_env() | {"CLOUDWATCH_METRICS": "on", "ALLOWED_WORKGROUPS": "team",
                              "ALLOWED_OUTPUT_LOCATIONS": "s3://results"},
    )  # fmt: skip
    p.add_executor()
    for name, text in TEXTS.items():
        p.post({"userId": "u", "queryId": name, "query": text})
    p.post({"userId": "u", "queryId": "chosen", "query": "SELECT ?, ?"} | chosen)
    wait_all(p, [*TEXTS, "chosen"])
    p.executors[0].stop()
    log = p.executors[0].log()
    assert "status=403" not in log and "refused" not in log

    found = started(moto)
    assert set(found) == {*TEXTS.values(), "SELECT ?, ?"}
    usual, own = found["SELECT 1"], found["SELECT ?, ?"]
    assert usual["WorkGroup"] == "primary"
    assert usual["QueryExecutionContext"] == {"Database": "default"}
    assert usual["ResultConfiguration"]["OutputLocation"].startswith("s3://results/")
    assert own["WorkGroup"] == "team"
    assert own["QueryExecutionContext"] == {"Database": "sales", "Catalog": "AwsDataCatalog"}
    assert own["ResultConfiguration"]["OutputLocation"].startswith("s3://results/a b/")
    assert own["ExecutionParameters"] == ["1", "'\u00e9'"]
    assert len(p.sim.ledger()) == 0

    moto.check_signatures(False)
    now = datetime.datetime.now(datetime.timezone.utc)
    hour = datetime.timedelta(hours=1)
    sums = {
        database: sum(
            point["Sum"]
            for point in moto.client("cloudwatch").get_metric_statistics(
                Namespace="AthenaQuery", MetricName="StartQueryCount", Period=60,
                Dimensions=[{"Name": "DATABASE", "Value": database}], Statistics=["Sum"],
                StartTime=now - hour, EndTime=now + hour,
            )["Datapoints"]
        )
        for database in ("default", "sales")
    }  # fmt: skip
    assert sums == {"default": len(TEXTS), "sales": 1}


def test_moto_a_wrong_secret_starts_nothing_and_blames_no_query(pipeline, moto):
    keys = moto.make_user("queue", EXECUTOR)
    moto.check_signatures()
    p = pipeline(executors=0, redrivers=0, env=moto.aws_env())
    executor = p.add_executor({"AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"][:-1]})
    p.post({"userId": "u", "queryId": "q", "query": "SELECT 1"})
    executor.wait_log("no query is started: credentials refused")
    stays(lambda: not executor.ready(), 1, "not ready")
    assert p.status("q", "u")["state"] == "QUEUED"
    assert started(moto) == {}
    executor.stop()
    executor.env.update(moto.aws_env())
    executor.start()
    p.wait_state("q", "SUCCEEDED", "u")
    assert set(started(moto)) == {"SELECT 1"}


@pytest.mark.parametrize("missing", sorted(EXECUTOR))
def test_moto_each_right_of_the_executor_is_needed(pipeline, moto, missing):
    """Without it, what it is for fails and the program says so; given, it goes on by itself."""
    moto.make_user("queue", EXECUTOR - {missing})
    moto.check_signatures()
    says = {
        "athena:StartQueryExecution": "no query is started: credentials refused",
        "athena:BatchGetQueryExecution": "running queries cannot be looked at, tried again: status=403",
        "cloudwatch:PutMetricData": "counters not sent to CloudWatch.* status=403",
    }
    p = pipeline(
        executors=0, redrivers=0,
        env=moto.aws_env() | {"CLOUDWATCH_METRICS": "on", "CLOUDWATCH_INTERVAL_MS": 1000},
    )  # fmt: skip
    executor = p.add_executor()
    p.post({"userId": "u", "queryId": "q", "query": "SELECT 1"})
    executor.wait_log(says[missing], timeout=20)
    state = {"athena:StartQueryExecution": "QUEUED", "athena:BatchGetQueryExecution": "STARTED"}
    p.wait_state("q", state.get(missing, "SUCCEEDED"), "u")
    moto.check_signatures(False)
    moto.set_policy("queue", EXECUTOR)
    moto.check_signatures()
    p.wait_state("q", "SUCCEEDED", "u", timeout=40)
    wait_until(lambda: moto.data("cloudwatch", "MetricDatum"), 20, "counters")


def test_moto_session_token_of_an_assumed_role(pipeline, moto, tmp_path):
    """AssumeRole signed with the user's keys; all else with the role's, whose token moto compares."""
    role = "arn:aws:iam::123456789012:role/starter"
    keys = moto.make_user("base", ["sts:AssumeRole"])
    iam = moto.client("iam")
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole",
             "Principal": {"AWS": "arn:aws:iam::123456789012:user/base"}}  # fmt: skip
    iam.create_role(
        RoleName="starter",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )
    allowed = {"Effect": "Allow", "Action": as_moto_reads_them(EXECUTOR), "Resource": "*"}
    iam.put_role_policy(
        RoleName="starter", PolicyName="it",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}),
    )  # fmt: skip
    moto.check_signatures()
    (tmp_path / "config").write_text(
        f"[default]\nrole_arn = {role}\nsource_profile = base\n"
        f"[profile base]\naws_access_key_id = {keys['AccessKeyId']}\n"
        f"aws_secret_access_key = {keys['SecretAccessKey']}\n"
    )
    env = moto.aws_env() | {
        "AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None,
        "AWS_CONFIG_FILE": tmp_path / "config",
    }  # fmt: skip
    done = run_program("athena-query-executor", ["--whoami"], env, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "arn: arn:aws:sts::123456789012:assumed-role/starter/athena-query\n" in done.stdout
    assert f"endpoint of sts: {moto.url}/" in done.stdout and f"region: {REGION}" in done.stdout
    p = pipeline(executors=0, redrivers=0, env=env)
    p.add_executor()
    p.post({"userId": "u", "queryId": "q", "query": "SELECT 1"})
    p.wait_state("q", "SUCCEEDED", "u")
    assert set(started(moto)) == {"SELECT 1"}
