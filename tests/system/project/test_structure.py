"""tests/check-structure falls for what it forbids: each fault is planted in a copy of the sources."""

import shutil
import subprocess
import sys

import pytest

from harness.paths import TOP

ROOMS = ["common", "receiver", "executor", "redriver", "standins"]
LONG_FUNCTION = "static void long_one(void) {\n" + "    (void)0;\n" * 60 + "}\n"


def check(top):
    done = subprocess.run(
        [sys.executable, TOP / "tests/check-structure", top], capture_output=True, text=True
    )
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (1 if lines else 0, "")
    return set(lines)


@pytest.fixture
def copy(tmp_path):
    for room in ROOMS:
        shutil.copytree(TOP / room, tmp_path / room)
    return tmp_path


def test_the_sources_are_sound():
    assert check(TOP) == set()


def plant(copy, path, text):
    file = copy / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text((file.read_text() if file.exists() else "") + text)


INCLUDE = '#include "{}"\n'


@pytest.mark.parametrize(
    ("path", "used", "user_room", "used_room"),
    [
        ("common/base/planted.c", "common/base/http/admin.h", "common/base", "common/base/http"),
        ("common/base/http/planted.c", "common/model/query.h", "common/base/http", "common/model"),
        ("common/model/planted.h", "common/aws/client.h", "common/model", "common/aws"),
        ("common/aws/credentials/planted.c", "common/kafka/iam.h", "common/aws", "common/kafka"),
        ("common/kafka/planted.c", "executor/config.h", "common/kafka", "executor"),
        ("receiver/api/planted.c", "executor/config.h", "receiver", "executor"),
        ("redriver/planted.c", "standins/standin_file.h", "redriver", "standins"),
        ("standins/planted.c", "receiver/config.h", "standins", "receiver"),
        ("common/base/planted.c", "tests/planted.h", "common/base", "None"),
    ],
)
def test_an_include_that_goes_up(copy, path, used, user_room, used_room):
    before = check(copy)
    plant(copy, path, INCLUDE.format(used))
    assert f"{path}: must not include {used}: {used_room} is not below {user_room}" in (
        check(copy) - before
    )


@pytest.mark.parametrize(
    ("path", "used"),
    [
        ("common/kafka/planted.c", "common/aws/client.h"),
        ("common/base/http/planted.c", "common/base/buffer.h"),
        ("common/aws/planted.c", "common/aws/credentials/chain.h"),
        ("executor/limit/planted.c", "common/kafka/producer.h"),
        ("standins/dev_broker/planted.c", "standins/standin_file.h"),
    ],
)
def test_an_include_that_may_be(copy, path, used):
    before = check(copy)
    plant(copy, path, INCLUDE.format(used))
    assert check(copy) == before


def test_a_circle_over_a_header_and_a_source(copy):
    plant(copy, "common/base/planted_a.h", INCLUDE.format("common/base/planted_b.h"))
    plant(copy, "common/base/planted_b.h", "")
    plant(copy, "common/base/planted_c.h", "")
    before = check(copy)
    plant(copy, "common/base/planted_b.c", INCLUDE.format("common/base/planted_c.h"))
    plant(copy, "common/base/planted_c.c", INCLUDE.format("common/base/planted_a.h"))
    a, b, c = (f"common/base/planted_{letter}" for letter in "abc")
    assert check(copy) - before == {f"a circle: {a} -> {b} -> {c} -> {a}"}


def test_a_function_over_sixty_lines(copy):
    before = check(copy)
    plant(copy, "receiver/planted.c", LONG_FUNCTION)
    assert check(copy) - before == {
        "receiver/planted.c: long_one() has 62 lines, more than 60"
    }  # fmt: skip


def test_a_file_over_450_lines(copy):
    plant(copy, "common/base/planted.c", "\n" * 450)
    before = check(copy)
    plant(copy, "common/base/planted.c", "\n")
    assert check(copy) - before == {"common/base/planted.c: 451 lines, more than 450"}


def test_a_tree_without_sources(tmp_path):
    assert check(tmp_path) == {f"{tmp_path}: no sources"}
