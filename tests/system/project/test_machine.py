"""deploy/systemd and deploy/man: units, files of the configuration, manual pages."""

import re
import shutil
import subprocess

import pytest

from harness.options_table import PIPELINE, read_help
from harness.paths import BIN, PLAIN, TOP

SYSTEMD = TOP / "deploy/systemd"
MAN = TOP / "deploy/man"
# Of `systemd-analyze security`, from 0 (best) to 10; systemd 252 says 1.1.
EXPOSURE_MAX = 1.5


def need(tool):
    if not shutil.which(tool):
        pytest.skip(f"{tool} is not installed (deploy/install-packages deploy)")


def run(*command, **how):
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, **how)


def unit_text(program):
    text = (SYSTEMD / f"{program}.service.in").read_text()
    return text.replace("@BINDIR@", str(BIN)).replace("@SYSCONFDIR@", "/etc")


@pytest.fixture
def unit(tmp_path):
    def make(program):
        path = tmp_path / f"{program}.service"
        path.write_text(unit_text(program))
        return path

    return make


# Units ------------------------------------------------------------------------------------------


def settings(program):
    """{section: {name: [value, ...]}} of a unit."""
    found, section = {}, None
    for line in unit_text(program).splitlines():
        if line.startswith("["):
            section = found.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            name, value = line.split("=", 1)
            section.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize("program", PIPELINE)
def test_a_unit_has_no_fault(unit, program):
    need("systemd-analyze")
    done = run("systemd-analyze", "verify", "--man=no", unit(program))
    own = [line for line in done.stderr.splitlines() if program in line]
    assert not own, done.stderr


@pytest.mark.parametrize("program", PIPELINE)
def test_a_unit_is_sandboxed(unit, program):
    need("systemd-analyze")
    threshold = round(EXPOSURE_MAX * 10)
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={threshold}"]
    done = run(*command, unit(program))
    if "unrecognized option" in done.stderr:
        pytest.skip("systemd-analyze cannot look at a unit that is not loaded")
    assert done.returncode == 0, done.stdout + done.stderr


def test_units_differ_in_their_program_alone():
    def common(program):
        service = dict(settings(program)["Service"])
        for own in ("ExecStart", "EnvironmentFile", "ExecReload", "LimitNOFILE"):
            service.pop(own, None)
        return service

    assert common(PIPELINE[0]) == common(PIPELINE[1]) == common(PIPELINE[2])


@pytest.mark.parametrize("program", PIPELINE)
def test_a_unit_waits_for_the_drain_and_reads_its_files(program):
    options = {o.name: o for o in read_help(program)}
    service = settings(program)["Service"]
    assert int(service["TimeoutStopSec"][0]) * 1000 > int(options["DRAIN_TIMEOUT_MS"].default)
    assert service["RestartPreventExitStatus"] == ["100"]
    own = program.removeprefix("athena-query-")
    assert service["EnvironmentFile"] == [
        "-/etc/athena-query/athena-query.env", f"-/etc/athena-query/{own}.env"
    ]  # fmt: skip
    for path in service["EnvironmentFile"]:
        assert (SYSTEMD / path.rsplit("/", 1)[1]).exists()


# Files of the configuration ---------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(SYSTEMD.glob("*.env")), ids=lambda p: p.stem)
def test_a_variable_in_a_file_is_one_of_the_program(path):
    own = [p for p in PIPELINE if p.endswith(path.stem)] or PIPELINE
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("# ")]
    assert lines
    for program in own:
        options = {o.name: o for o in read_help(program)}
        for line in lines:
            variable = re.fullmatch(r"#([A-Z_]+)=(\S*)", line)
            assert variable, f"{path.name}: {line!r} is set, or no variable"
            name = variable[1]
            is_kafka = name.startswith("KAFKA_")
            assert is_kafka or name in options, f"{path.name}: {program} has no {name}"


def test_the_files_of_the_user_and_the_directory_are_read():
    need("systemd-sysusers")
    need("systemd-tmpfiles")
    done = run("systemd-sysusers", "--dry-run", SYSTEMD / "sysusers.conf")
    if "unrecognized option" not in done.stderr:
        assert done.returncode == 0, done.stderr
        assert "athena-query" in done.stderr + done.stdout
    (line,) = [
        line for line in (SYSTEMD / "tmpfiles.conf").read_text().splitlines() if line[0] != "#"
    ]
    assert line.split() == ["d", "/etc/athena-query", "0750", "root", "athena-query", "-"]


# Manual pages -----------------------------------------------------------------------------------


def manual_page(program):
    text = run(BIN / program, "--help").stdout
    command = [
        "awk", "-v", f"page={MAN / program}.8.in", "-v", "date=January 1, 2026", "-f", MAN / "from-help.awk"
    ]  # fmt: skip
    done = run(*command, input=text)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("program", PIPELINE)
def test_a_manual_page_has_every_option(program):
    page = manual_page(program)
    assert not re.search(r"^@[A-Z]+@$", page, re.M)
    for option in read_help(program):
        name = option.name.replace("--", "Fl Fl ") if not option.is_variable else f"Ev {option.name}"
        name = name.replace("…", r"\[u2026]")
        about = option.type + (f"; default {option.default}" if option.default else "")
        assert f"\n.It {name} Pq {about}\n" in page.replace(r"\[u2026]s", "…s"), option


@pytest.mark.parametrize("program", PIPELINE)
def test_a_manual_page_is_sound(program):
    need("mandoc")
    done = run("mandoc", "-T", "lint", "-W", "warning", input=manual_page(program))
    assert (done.returncode, done.stdout) == (0, ""), done.stdout
    shown = run("mandoc", "-T", "utf8", input=manual_page(program)).stdout
    for option in read_help(program):
        words = re.sub(r"\s+", " ", re.sub(r".\x08", "", shown)).replace("- ", "-")
        sentence = option.meaning.split(" ")[-1]
        assert sentence in words, option


# Scripts ----------------------------------------------------------------------------------------

SCRIPTS = [
    "deploy/demo", "deploy/install-packages", "deploy/debian/make-deb", "deploy/docker/answers",
    "tests/deploy/tools", ".ci/run",
]  # fmt: skip


def test_shell_scripts_are_sound():
    need("shellcheck")
    done = run("shellcheck", "--severity=warning", *(TOP / name for name in SCRIPTS))
    assert done.returncode == 0, done.stdout


# The Debian package -----------------------------------------------------------------------------


@pytest.mark.skipif(not PLAIN, reason="made once, in the tests of the plain build")
@pytest.mark.timeout(400)
def test_the_debian_package(tmp_path):
    need("dh")
    need("lintian")
    if not (TOP / ".git").exists():
        pytest.skip("not a clone: the package is made of HEAD")
    clone = tmp_path / "clone"
    assert run("git", "clone", "-q", "--shared", TOP, clone).returncode == 0
    done = run("nice", clone / "deploy/debian/make-deb", "1.2.3")
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    out = clone / "build/deb"
    (changes,) = out.glob("*.changes")
    done = run("lintian", "--fail-on", "error,warning", changes)
    assert done.returncode == 0, done.stdout
    (package,) = out.glob("athena-query_1.2.3_*.deb")
    listed = run("dpkg-deb", "--contents", package).stdout
    for program in PIPELINE:
        assert f"./usr/bin/{program}\n" in listed
        assert f"/systemd/system/{program}.service\n" in listed
        assert f"./usr/share/man/man8/{program}.8.gz\n" in listed
    assert "./usr/share/doc/athena-query/examples/athena-query.rules.yml" in listed
    conffiles = run("dpkg-deb", "--info", package, "conffiles").stdout.split()
    assert conffiles == sorted(f"/etc/athena-query/{p.name}" for p in SYSTEMD.glob("*.env"))
