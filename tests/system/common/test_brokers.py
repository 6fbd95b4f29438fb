"""At home on any broker: each way to sign in to a real Kafka, and what is said when it fails."""

import re
from pathlib import Path

import confluent_kafka
import pytest
from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from harness.certificates import Authority
from harness.kafka import Kafka
from harness.program import run_program
from harness.wait import wait_until

pytestmark = pytest.mark.timeout(90)

MODULE = "org.apache.kafka.common.security"
USER, PASSWORD = "alice", "alice's se=cret"
HERE = ["127.0.0.1", "localhost"]


def tls(certificate, authority, **more):
    return {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": certificate.both,
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": authority.cert,
    } | {k.replace("_", "."): v for k, v in more.items()}


def sasl(mechanism, jaas):
    return {
        "sasl.enabled.mechanisms": mechanism,
        f"{mechanism.lower()}.sasl.jaas.config": jaas,
    }


class Brokers:
    """One broker with a listener for each way in, and for each fault of a certificate."""

    def __init__(self, directory):
        directory.mkdir()
        self.authority = a = Authority(directory, "authority")
        self.stranger = Authority(directory, "stranger")
        self.client = a.issue("client")
        good = a.issue("broker", HERE)
        scram = f"{MODULE}.scram.ScramLoginModule required;"
        plain = f'{MODULE}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
        bearer = f"{MODULE}.oauthbearer.OAuthBearerLoginModule required;"
        self.kafka = Kafka(
            directory / "kafka",
            listeners={
                "TLS": ("SSL", tls(good, a, ssl_client_auth="required")),
                "PLAIN": ("SASL_SSL", tls(good, a) | sasl("PLAIN", plain)),
                "SCRAM256": ("SASL_SSL", tls(good, a) | sasl("SCRAM-SHA-256", scram)),
                "SCRAM512": ("SASL_SSL", tls(good, a) | sasl("SCRAM-SHA-512", scram)),
                "BEARER": ("SASL_SSL", tls(good, a) | sasl("OAUTHBEARER", bearer)),
                "ENDED": ("SSL", tls(a.issue("ended", HERE, ended=True), a)),
                "MISNAMED": ("SSL", tls(a.issue("misnamed", ["kafka.example"]), a)),
            },
        ).start()
        self.add_scram_user()

    def add_scram_user(self):
        admin = AdminClient({"bootstrap.servers": self.kafka.bootstrap})
        for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
            user = UserScramCredentialUpsertion(
                USER, ScramCredentialInfo(mechanism, 4096), PASSWORD.encode()
            )
            for done in admin.alter_user_scram_credentials([user]).values():
                done.result(20)

    def env(self, listener, protocol, **properties):
        base = {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.address(listener),
            "KAFKA_SECURITY_PROTOCOL": protocol,
            "KAFKA_SSL_CA_LOCATION": self.authority.cert,
        }
        return base | {f"KAFKA_{k.upper()}": v for k, v in properties.items()}

    def password_env(self, listener, mechanism, password=PASSWORD):
        return self.env(
            listener, "SASL_SSL", sasl_mechanism=mechanism, sasl_username=USER,
            sasl_password=password,
        )  # fmt: skip

    def bearer_env(self, config):
        return self.env(
            "BEARER", "SASL_SSL", sasl_mechanism="OAUTHBEARER", sasl_oauthbearer_config=config,
            enable_sasl_oauthbearer_unsecure_jwt="true",
        )  # fmt: skip

    def tls_env(self, listener="TLS"):
        return self.env(
            listener, "SSL", ssl_certificate_location=self.client.cert,
            ssl_key_location=self.client.key,
        )  # fmt: skip


@pytest.fixture(scope="module")
def brokers(tmp_path_factory):
    made = Brokers(tmp_path_factory.mktemp("brokers") / "b")
    yield made
    made.kafka.kill()


def newer_librdkafka(directory):
    """The environment that runs a program with the librdkafka inside the Python client.

    Kafka 4 refuses the SCRAM of a librdkafka before 2.6.1 (its #4895), and Debian 12 has 2.0.2.
    """
    inside = Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs"
    library = next(inside.glob("librdkafka-*.so.1"))
    link = directory / "newer" / "librdkafka.so.1"
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(library)
    return {"LD_LIBRARY_PATH": link.parent}


WAYS = {
    "tls": lambda b: b.tls_env(),
    "plain": lambda b: b.password_env("PLAIN", "PLAIN"),
    "scram-256": lambda b: b.password_env("SCRAM256", "SCRAM-SHA-256"),
    "scram-512": lambda b: b.password_env("SCRAM512", "SCRAM-SHA-512"),
    "oauthbearer": lambda b: b.bearer_env("principal=alice scope=queries"),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_whole_pipeline(brokers, pipeline, way, tmp_path):
    """With a throttled query in it, so that each program has written and read."""
    env = WAYS[way](brokers)
    if "KAFKA_SASL_PASSWORD" in env:  # as a secret is mounted
        secret = tmp_path / "password"
        secret.write_text(env.pop("KAFKA_SASL_PASSWORD") + "\n")
        env["KAFKA_SASL_PASSWORD_FILE"] = secret
    if way.startswith("scram"):
        env |= newer_librdkafka(tmp_path)
    p = pipeline(broker=brokers.kafka, env=env, sim_env={"SIM_ACTIVE_DML": 0})
    for n in range(3):
        p.post({"query": f"SELECT {n}", "queryId": f"q{n}", "userId": "u"})
    wait_until(lambda: p.topics.read(p.deadletter_topic), what="one to be throttled")
    p.sim.set(active_dml=1)
    p.wait_states([("u", f"q{n}") for n in range(3)], "SUCCEEDED")
    for program in p.receivers + p.executors + p.redrivers:
        assert PASSWORD not in program.log()


def start(programs, env, name="athena-query-receiver"):
    return programs(name, {"LISTEN": "127.0.0.1:0", "ADMIN_LISTEN": "127.0.0.1:0"} | env)


@pytest.mark.parametrize(
    "listener, mechanism",
    [("PLAIN", "PLAIN"), ("SCRAM256", "SCRAM-SHA-256"), ("SCRAM512", "SCRAM-SHA-512")],
)
def test_a_wrong_password(brokers, programs, tmp_path, listener, mechanism):
    env = brokers.password_env(listener, mechanism, "not hers")
    program = start(programs, env | newer_librdkafka(tmp_path))
    line = program.wait_refused()
    assert f"mechanism={mechanism} principal={USER}: " in line
    assert brokers.kafka.address(listener) in line
    assert "check KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD" in line
    assert "not hers" not in program.log()


def test_scram_of_a_librdkafka_that_kafka_4_refuses(brokers, programs):
    program = start(programs, brokers.password_env("SCRAM512", "SCRAM-SHA-512"))
    version = program.wait_log(r"up librdkafka=(\d+)\.(\d+)\.(\d+)").groups()
    if tuple(map(int, version)) < (2, 6, 1):
        assert "older than 2.6.1" in program.wait_refused()
    else:
        program.wait_ready()


def test_a_mechanism_that_the_broker_has_not(brokers, programs):
    line = start(programs, brokers.password_env("PLAIN", "SCRAM-SHA-512")).wait_refused()
    assert "mechanism=SCRAM-SHA-512" in line and "PLAIN" in line.split("principal=")[1]


def test_a_token_that_is_refused(brokers, programs):
    program = start(programs, brokers.bearer_env("principalClaimName=other principal=mallory"))
    line = program.wait_refused()
    assert "mechanism=OAUTHBEARER principal=" in line and "mallory" in line


CERTIFICATES = {
    "another-authority": (
        lambda b: b.tls_env() | {"KAFKA_SSL_CA_LOCATION": b.stranger.cert},
        "certificate is refused: .*issuer certificate.*check that KAFKA_SSL_CA_LOCATION",
    ),
    "another-name": (
        lambda b: b.tls_env("MISNAMED"),
        "certificate is refused: .*mismatch.*check that KAFKA_BOOTSTRAP_SERVERS",
    ),
    "ended": (
        lambda b: b.tls_env("ENDED"),
        "certificate is refused: certificate has expired.*check the dates",
    ),
    "no-client-certificate": (
        lambda b: b.env("TLS", "SSL"),
        "client_certificate=none: .* alert .*KAFKA_SSL_CERTIFICATE_LOCATION",
    ),
}


@pytest.mark.parametrize("fault", CERTIFICATES)
def test_a_certificate_that_is_refused(brokers, programs, fault):
    env, says = CERTIFICATES[fault]
    line = start(programs, env(brokers)).wait_refused()
    assert re.search(says, line), line


def test_the_executor_and_the_redriver_say_it_too(brokers, programs):
    env = brokers.password_env("PLAIN", "PLAIN", "not hers") | {"AWS_REGION": "eu-central-1"}
    started = [start(programs, env, f"athena-query-{n}") for n in ("executor", "redriver")]
    for program in started:
        assert "mechanism=PLAIN" in program.wait_refused()


CONFIGURATIONS = {
    "msk-without-sasl": (
        {
            "KAFKA_SASL_MECHANISM": "AWS_MSK_IAM",
            "AWS_REGION": "eu-central-1",
            "KAFKA_SECURITY_PROTOCOL": "SSL",
        },
        "KAFKA_SECURITY_PROTOCOL: ",
    ),
    "bearer-without-tokens": ({"KAFKA_SASL_MECHANISM": "OAUTHBEARER"}, "KAFKA_SASL_MECHANISM: "),
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_sign_in_that_cannot_come_about(name):
    env, fault = CONFIGURATIONS[name]
    done = run_program("athena-query-receiver", ["--check-config"], env)
    assert done.returncode == 100
    assert fault in done.stderr
