"""The way to AWS: TLS with an authority of our own, proxies, FIPS and dual-stack hosts."""

import pytest

from harness.fronts import ConnectProxy, TlsFront, make_certificates
from harness.judge import burst, check_nowhere_else, check_started_once, inject_all, wait_all
from harness.wait import stays, wait_until

REGION = "eu-central-1"
NAMES = ["IP:127.0.0.1", "DNS:aws.invalid", f"DNS:*.{REGION}.amazonaws.com", f"DNS:*.{REGION}.api.aws"]


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("pki"), NAMES)


@pytest.fixture
def behind_tls(pipeline, pki):
    """The pipeline without an executor, and the port of TLS in front of its sim."""
    p = pipeline(executors=0, redrivers=0)
    with TlsFront(pki, int(p.sim.host_port.split(":")[1])) as front:
        yield p, front.port


def run(p, env):
    """Queries to their end with an executor of this environment; returns their texts."""
    p.add_executor(env)
    queries = burst(5)
    inject_all(p, queries)
    wait_all(p, queries)
    return queries.values()


@pytest.mark.parametrize(
    "switches, suffix",
    [
        ({}, f".{REGION}.amazonaws.com:443"),
        ({"AWS_USE_FIPS_ENDPOINT": "true"}, f"-fips.{REGION}.amazonaws.com:443"),
        (
            {"AWS_USE_FIPS_ENDPOINT": "true", "AWS_USE_DUALSTACK_ENDPOINT": "true"},
            f"-fips.{REGION}.api.aws:443",
        ),
    ],
    ids=["usual", "fips", "fips-dualstack"],
)
def test_aws_network_own_hosts_through_a_proxy(behind_tls, pki, switches, suffix):
    """Without an AWS_ENDPOINT_URL: by the names that the proxy is asked for."""
    p, port = behind_tls
    with ConnectProxy(port) as proxy:
        texts = run(
            p,
            switches | {
                "AWS_ENDPOINT_URL": None, "HTTPS_PROXY": proxy.url, "AWS_CA_BUNDLE": pki / "ca.pem",
                "CLOUDWATCH_METRICS": "on",
            },
        )  # fmt: skip
        p.executors[0].stop()
        assert proxy.names == {"athena" + suffix, "monitoring" + suffix}
        secrets = ("authorization", "amz", p.sim.env["SIM_ACCESS_KEY_ID"].lower())
        assert not [h for h in proxy.heads if any(s in h.lower() for s in secrets)]
    check_started_once(p, texts)
    check_nowhere_else(p)


def test_aws_network_no_proxy(behind_tls, pki):
    """NO_PROXY goes before a proxy that would refuse all."""
    p, port = behind_tls
    with ConnectProxy(port, refuse=403) as proxy:
        texts = run(
            p,
            {
                "AWS_ENDPOINT_URL": f"https://127.0.0.1:{port}", "AWS_CA_BUNDLE": pki / "ca.pem",
                "HTTPS_PROXY": proxy.url, "NO_PROXY": "example.org,127.0.0.1",
            },
        )  # fmt: skip
        assert proxy.heads == []
    check_started_once(p, texts)


def test_aws_network_proxy_that_refuses_loses_nothing(behind_tls, pki):
    p, port = behind_tls
    with ConnectProxy(port, refuse=407) as proxy:
        executor = p.add_executor(
            {
                "AWS_ENDPOINT_URL": "https://aws.invalid", "AWS_CA_BUNDLE": pki / "ca.pem",
                "https_proxy": proxy.url,
            }
        )  # fmt: skip
        queries = burst(5)
        inject_all(p, queries)
        executor.wait_log("response 407")
        proxy.refuse = None
        wait_all(p, queries)
    check_started_once(p, queries.values())
    check_nowhere_else(p)


@pytest.mark.parametrize(
    "env, host, why",
    [
        ({}, "127.0.0.1", r"SSL certificate problem: \S+"),
        ({"AWS_CA_BUNDLE": "other"}, "127.0.0.1", r"SSL certificate problem: \S+"),
        ({"AWS_CA_BUNDLE": "ca.pem"}, "localhost", r"no alternative certificate subject name matches"),
    ],
    ids=["system", "other-authority", "other-name"],
)  # fmt: skip
def test_aws_network_tls_that_is_not_trusted(behind_tls, pki, tmp_path, env, host, why):
    """Said clearly, nothing sent, nothing lost: the next executor, which trusts it, runs all."""
    p, port = behind_tls
    if "other" in env.values():
        env = {"AWS_CA_BUNDLE": make_certificates(tmp_path, ["IP:127.0.0.1"]) / "ca.pem"}
    elif env:
        env = {"AWS_CA_BUNDLE": pki / "ca.pem"}
    wary = p.add_executor(env | {"AWS_ENDPOINT_URL": f"https://{host}:{port}"})
    queries = burst(5)
    inject_all(p, queries)
    wary.wait_log(why)
    stays(lambda: p.sim.stats()["start_calls"] == 0, 0.5)
    assert p.topics.lag(p.executor_group, p.query_topic) == 5
    wary.stop()
    p.add_executor(
        {"AWS_ENDPOINT_URL": f"https://127.0.0.1:{port}", "AWS_CA_BUNDLE": pki / "ca.pem"}
    )
    wait_all(p, queries)
    wait_until(lambda: p.topics.lag(p.executor_group, p.query_topic) == 0, 10)
    check_started_once(p, queries.values())
    check_nowhere_else(p)
