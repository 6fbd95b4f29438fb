"""What `make install` would put where. It only asks make: the build is in use by other tests."""

import shlex
import subprocess

from harness.paths import TOP

INSTALLED = ["athena-query-receiver", "athena-query-executor", "athena-query-redriver"]
STAND_INS = ["athena-sim", "dev-broker"]


def installed(*targets):
    """{file: mode} of what the targets install into the directory for programs."""
    command = ["make", "-n", "V=1", "DESTDIR=/out", "PREFIX=/usr", *targets]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=True)
    files = {}
    for line in done.stdout.splitlines():
        match shlex.split(line, comments=True) if line.startswith("install ") else []:
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
