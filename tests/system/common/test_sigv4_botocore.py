"""Random requests, signed here and by botocore: the same canonical request, the same signature."""

import datetime
import json
import os
import random
import subprocess
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest

from harness.paths import BUILD

TOOL = BUILD / "tests" / "tools" / "sigv4_cli"

SEED = int(os.environ.get("SIGV4_SEED", "20260102"))
CASES = 400
HOST = "athena.us-east-1.amazonaws.com"

UNRESERVED = "azAZ09-._~"
# What a target may hold as it is; '?' and '#' would end a path.
PATH_PIECES = [
    *(UNRESERVED + "!$&'()*+,;=:@|\" éሴ"),
    *["/", "/", "/./", "/../", "//", "..", "%2F", "%20", "%7e"],
]
TEXT = UNRESERVED + "!$&'()*+,;=:@/?#%|\" éሴ𝄞"
HEADER_VALUE = UNRESERVED + ",;=:/\"'()+*é  \t\t"
HEADER_NAME = "abxyzABX019-_."


def text(rng, alphabet, most, least=0):
    return "".join(rng.choice(alphabet) for _ in range(rng.randint(least, most)))


def random_headers(rng):
    """Some names are the beginning of others, some come twice in another case."""
    headers = []
    for _ in range(rng.randint(0, 6)):
        name = "x-" + text(rng, HEADER_NAME, 4, 1)
        if headers and rng.random() < 0.4:
            name = rng.choice(headers)[0] + rng.choice(["", "", "a", "-", "0"])
        case = rng.choice([str.lower, str.upper, str.title])
        headers.append([case(name), text(rng, HEADER_VALUE, 20)])
    return headers


def random_parameters(rng):
    parameters = []
    for _ in range(rng.randint(0, 6)):
        name = text(rng, TEXT, 4, 1)
        if parameters and rng.random() < 0.4:
            name = rng.choice(parameters)[0] + rng.choice(["", "a", "-", ".", "0", "é"])
        parameters.append((name, text(rng, TEXT, 8)))
    return parameters


def on_the_wire(rng, parameters):
    """One of the ways to write these parameters: each may be escaped more than it must be."""

    def escape(s, must):
        return "".join(
            "".join(f"%{b:{rng.choice(['02x', '02X'])}}" for b in c.encode())
            if c in must or rng.random() < 0.5
            else c
            for c in s
        )

    def equals(value):
        return "=" if value or rng.random() < 0.5 else ""

    return "&".join(escape(n, "%&=+# ") + equals(v) + escape(v, "%&+# ") for n, v in parameters)


def random_case(n, presigned):
    rng = random.Random(f"{SEED} {n} {presigned}")
    parameters = random_parameters(rng)
    if presigned:
        # botocore makes a dict of them.
        parameters = list(dict(parameters).items())
    case = {
        "method": rng.choice(["GET", "POST", "PUT", "DELETE"]),
        "path": "/" + "".join(rng.choice(PATH_PIECES) for _ in range(rng.randint(0, 12))),
        "query": on_the_wire(rng, parameters),
        "headers": [*random_headers(rng), [rng.choice(["host", "Host"]), HOST]],
        # botocore moves the body of a presigned request into its query.
        "body_hex": "" if presigned else rng.randbytes(rng.choice([0, 1, 55, 64, 300, 5000])).hex(),
        "region": rng.choice(["us-east-1", "eu-central-1", "cn-north-1"]),
        "service": rng.choice(["athena", "monitoring", "kafka-cluster", "sts"]),
        "time": rng.randint(0, 4_000_000_000),
        "access_key_id": "AKIA" + text(rng, "ABC234", 16, 16),
        "secret_access_key": text(rng, "aZ09/+", 90, 1),
    }
    rng.shuffle(case["headers"])
    if rng.random() < 0.5:
        case["session_token"] = text(rng, "aZ09/+=", 1500, 1)
    if presigned:
        case["expires_seconds"] = rng.choice([1, 60, 900, 604800])
    return case, parameters


def signed_here(cases):
    lines = "".join(json.dumps(c) + "\n" for c in cases)
    done = subprocess.run([TOOL], input=lines.encode(), capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(cases)
    return answers


def signed_by_botocore(monkeypatch, case, parameters):
    """The canonical request, and the request that carries the signature."""
    at = datetime.datetime.fromtimestamp(case["time"], datetime.timezone.utc)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *a, **k: at)
    request = botocore.awsrequest.AWSRequest(
        case["method"],
        f"https://{HOST}{case['path']}",
        data=bytes.fromhex(case["body_hex"]),
        params=dict(parameters) if "expires_seconds" in case else parameters,
    )
    for name, value in case["headers"]:
        request.headers.add_header(name, value)
    keys = botocore.credentials.Credentials(
        case["access_key_id"], case["secret_access_key"], case.get("session_token")
    )
    if "expires_seconds" in case:
        signer = botocore.auth.SigV4QueryAuth(
            keys, case["service"], case["region"], expires=case["expires_seconds"]
        )
    else:
        signer = botocore.auth.SigV4Auth(keys, case["service"], case["region"])
    seen = []
    make = signer.canonical_request
    signer.canonical_request = lambda r: seen.append(make(r)) or seen[-1]
    signer.add_auth(request)
    assert len(seen) == 1
    return seen[0], request


@pytest.fixture(scope="module", params=[False, True], ids=["headers", "presigned"])
def cases(request):
    made = [random_case(n, request.param) for n in range(CASES)]
    return list(zip(made, signed_here([case for case, _ in made])))


def test_same_as_botocore(monkeypatch, cases):
    for n, ((case, parameters), ours) in enumerate(cases):
        canonical, request = signed_by_botocore(monkeypatch, case, parameters)
        if "expires_seconds" in case:
            *pairs, signature = urllib.parse.urlsplit(request.url).query.split("&")
            pairs.sort(key=lambda pair: pair.split("=", 1))
            signed = "&".join([*pairs, signature])
        else:
            signed = request.headers["Authorization"]
        where = f"case {n} of SIGV4_SEED={SEED}"
        assert ours["canonical"].split("\n") == canonical.split("\n"), where
        assert ours["signed"] == signed, where


def test_cases_reach_the_corners(cases):
    """The generator is worth its name only while it makes these."""
    canonical = "\n".join(ours["canonical"] for _, ours in cases)
    sent = [case for (case, _), _ in cases]
    assert any("/../" in c["path"] for c in sent)
    assert any("%2F" in c["path"] for c in sent)
    assert any("é" in c["query"] for c in sent)
    assert any("session_token" in c for c in sent) and any("session_token" not in c for c in sent)
    names = [sorted(name.lower() for name, _ in c["headers"]) for c in sent]
    assert any(a == b for n in names for a, b in zip(n, n[1:]))
    assert any(a != b and b.startswith(a) for n in names for a, b in zip(n, n[1:]))
    assert "%252F" in canonical and "%C3%A9" in canonical
