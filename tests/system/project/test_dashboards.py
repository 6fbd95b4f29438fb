"""deploy/grafana: the dashboard is what its table says, names what is exported, and is laid out soundly."""

import itertools
import json
import subprocess
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader

import pytest
import yaml

from harness.paths import TOP
from harness.promql import PROMTOOL, faults

FOLDER = TOP / "deploy/grafana"
DASHBOARD = json.loads((FOLDER / "athena-query.json").read_text())
PANELS = [p for p in DASHBOARD["panels"] if p["type"] != "row"]
UNITS = {"short", "s", "ops", "reqps", "Bps", "bytes", "percentunit", "currencyUSD"}


def expressions():
    return [target["expr"] for panel in PANELS for target in panel["targets"]]


def test_the_file_is_what_the_table_says():
    loader = SourceFileLoader("make_dashboard", str(FOLDER / "make-dashboard"))
    module = module_from_spec(spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    assert module.dashboard() == DASHBOARD, "run deploy/grafana/make-dashboard"


def test_panels_name_what_is_exported(exported):
    for panel in PANELS:
        for target in panel["targets"]:
            assert not faults(target["expr"], exported), panel["title"]


def test_panels_have_a_unit_a_description_and_the_variable_data_source():
    assert PANELS
    for panel in PANELS:
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        for part in (panel, *panel["targets"]):
            assert part["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]
        assert all('namespace=~"$namespace"' in t["expr"] for t in panel["targets"]), panel["title"]
        references = [t["refId"] for t in panel["targets"]]
        assert len(set(references)) == len(references)


def test_panels_do_not_overlap():
    ids = [p["id"] for p in DASHBOARD["panels"]]
    titles = [p["title"] for p in PANELS]
    assert len(set(ids)) == len(ids) and len(set(titles)) == len(titles)
    places = [p["gridPos"] for p in DASHBOARD["panels"]]
    for p in places:
        assert 0 <= p["x"] and p["x"] + p["w"] <= 24 and p["h"] > 0
    for a, b in itertools.combinations(places, 2):
        apart = (
            a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
            or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        )  # fmt: skip
        assert apart, (a, b)


def test_expressions_parse(tmp_path):
    if not PROMTOOL:
        pytest.skip("promtool is not here (tests/deploy/tools promtool)")
    variables = {"$__rate_interval": "5m", "$__range": "6h", "$price": "5", "$namespace": ".*", "$stage": ".*"}
    rules = []
    for i, text in enumerate(expressions()):
        for name, value in variables.items():
            text = text.replace(name, value)
        assert "$" not in text
        rules.append({"record": f"panel:{i}", "expr": text})
    path = tmp_path / "panels.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run([PROMTOOL, "check", "rules", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
