"""Where Athena, CloudWatch and STS are, by our table and by the endpoint rules of botocore."""

import itertools
import subprocess

import botocore.session
import pytest
from botocore.endpoint_provider import EndpointProvider

from harness.paths import BUILD

TOOL = BUILD / "tests" / "tools" / "aws_endpoint_cli"

SERVICES = {"athena": "athena", "monitoring": "cloudwatch", "sts": "sts"}
# Regions that do not exist yet: the partition follows from how the name begins.
NEW_REGIONS = ["eu-west-9", "us-gov-north-7", "cn-south-3", "eusc-de-west-2", "us-isof-north-4"]


@pytest.fixture(scope="module")
def loader():
    return botocore.session.Session().get_component("data_loader")


def test_aws_endpoint_is_what_botocore_resolves(loader):
    partitions = loader.load_data("partitions")
    regions = [r for p in partitions["partitions"] for r in p["regions"] if "global" not in r]
    assert len(regions) > 40
    cases, wanted = [], []
    for prefix, service in SERVICES.items():
        rules = loader.load_service_model(service, "endpoint-rule-set-1")
        provider = EndpointProvider(rules, partitions)
        for region, fips, dual in itertools.product([*regions, *NEW_REGIONS], (0, 1), (0, 1)):
            cases.append(f"{prefix} {region} {fips} {dual}")
            where = {"Region": region, "UseFIPS": bool(fips), "UseDualStack": bool(dual)}
            wanted.append(provider.resolve_endpoint(**where).url + "/")
    done = subprocess.run(
        [TOOL], input="\n".join(cases) + "\n", capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = done.stdout.splitlines()
    assert len(found) == len(wanted)
    assert dict(zip(cases, found)) == dict(zip(cases, wanted))
