"""What `make install…` puts where, and that `make uninstall` takes it away.

Only make's own `install` lines are run: the build is in use by other tests.
"""

import os
import shlex
import subprocess

import pytest

from harness.paths import BIN, TOP

INSTALLED = ["athena-query-receiver", "athena-query-executor", "athena-query-redriver"]
STAND_INS = ["athena-sim", "dev-broker"]


def lines(*targets):
    """The `install` lines that make would run."""
    command = ["make", "-n", "V=1", "DESTDIR=/out", "PREFIX=/usr", *targets]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=True)
    whole = done.stdout.replace("\\\n", " ")
    return [line for line in whole.splitlines() if line.startswith("install ")]


def installed(*targets):
    """{file: mode} of what the targets install into the directory for programs."""
    files = {}
    for line in lines(*targets):
        match shlex.split(line, comments=True):
            case ["install", "-m", mode, *sources, "/out/usr/bin"]:
                files |= {source.rpartition("/")[2]: mode for source in sources}
    return files


def test_install_is_without_the_stand_ins():
    assert installed("install") == dict.fromkeys(INSTALLED, "0755")


def test_the_stand_ins_are_installed_when_asked_for():
    assert installed("install-standins") == dict.fromkeys(STAND_INS, "0755")


def test_the_image_has_all_that_compose_starts():
    wanted = {
        line.split()[1]
        for line in (TOP / "docker-compose.yml").read_text().splitlines()
        if line.strip().startswith("command:")
    }
    (line,) = [
        line for line in (TOP / "deploy/docker/Dockerfile").read_text().splitlines()
        if "make install" in line
    ]  # fmt: skip
    targets = [word for word in line.split() if word.startswith("install")]
    assert wanted and wanted <= installed(*targets).keys()


@pytest.fixture
def copy(tmp_path):
    """A tree of its own: the sources, and the programs as they are built here."""
    top = tmp_path / "tree"
    for name in ("Makefile", "deploy", "common", "receiver", "executor", "redriver", "standins", "tests"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).symlink_to(TOP / name)
    (top / "build").mkdir()
    (top / "build/bin").symlink_to(BIN)
    return top


def make(top, out, *targets):
    """Runs make, with every program taken for up to date."""
    env = {name: value for name, value in os.environ.items() if name not in ("VARIANT", "MAKEFLAGS")}
    programs = [f"-obuild/bin/{name}" for name in INSTALLED + STAND_INS]
    command = ["make", "-s", *programs, f"DESTDIR={out}", "PREFIX=/usr", *targets]
    done = subprocess.run(command, cwd=top, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr


def files(out):
    return {str(p.relative_to(out)) for p in out.rglob("*") if not p.is_dir()}


def test_uninstall_leaves_the_configuration_alone(copy, tmp_path):
    out = tmp_path / "out"
    make(copy, out, "install", "install-standins", "install-systemd")
    found = files(out)
    configuration = {f"etc/athena-query/{p.name}" for p in (TOP / "deploy/systemd").glob("*.env")}
    assert configuration == {name for name in found if name.startswith("etc/")} != set()
    for name in INSTALLED:
        assert f"usr/bin/{name}" in found
        assert f"usr/share/man/man8/{name}.8" in found
        assert f"ExecStart=/usr/bin/{name}\n" in (
            out / f"usr/lib/systemd/system/{name}.service"
        ).read_text()
    mine = out / "etc/athena-query/receiver.env"
    mine.write_text("LISTEN=127.0.0.1:1\n")
    make(copy, out, "install-systemd")
    assert mine.read_text() == "LISTEN=127.0.0.1:1\n"
    make(copy, out, "uninstall")
    assert files(out) == configuration
