"""Links between the documents lead somewhere."""

import re
import subprocess

import pytest

from harness.paths import TOP

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def documents():
    if (TOP / ".git").exists():
        command = ["git", "ls-files", "-co", "--exclude-standard", "*.md"]
        names = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=True).stdout.split()
    else:
        names = [str(p.relative_to(TOP)) for p in TOP.rglob("*.md") if "build" not in p.relative_to(TOP).parts]
    return [name for name in names if (TOP / name).exists()]


def anchors(path):
    """Of its headings, as GitHub and others make them."""
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.M | re.S)
    heads = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("name", documents())
def test_links_lead_somewhere(name):
    path = TOP / name
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.M | re.S)
    for link in LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), f"{name}: {link}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{name}: {link}"
