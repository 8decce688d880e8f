"""The alerts and the dashboard speak of what the gateway measures, and each alert fires when it should."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from gateway.metrics import Metrics

FOLDER = Path(__file__).parents[2] / "docs" / "operations"
ALERTS = [rule for group in YAML(typ="safe").load(FOLDER / "alerts.yml")["groups"] for rule in group["rules"]]
TESTS = YAML(typ="safe").load(FOLDER / "alerts.test.yml")["tests"]
README = (FOLDER / "README.md").read_text(encoding="utf-8")
NAME = re.compile(r"\bgateway_\w+")
SERIES = re.compile(r"([a-z_]+)\{(.*)\}")
LABEL = re.compile(r'(\w+)=~?"')
GIVEN_BY_PROMETHEUS = {"job", "instance", "le"}


def measured():
    """The names of all series of a gateway, as /metrics has them."""
    names = set()
    for line in Metrics().render().decode().splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            names |= {f"{name}_{part}" for part in ("bucket", "sum", "count")} if kind == "histogram" else {name}
    return names


def labels():
    """The labels of each series."""
    collectors = Metrics().registry._names_to_collectors
    return {name: set(getattr(collector, "_labelnames", ())) for name, collector in collectors.items()}


def expressions():
    dashboard = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))
    panels = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    return [alert["expr"] for alert in ALERTS], panels


def test_every_metric_that_is_used_exists():
    in_alerts, in_dashboard = expressions()
    assert len(in_alerts) > 10
    assert len(in_dashboard) > 10
    used = {name for expression in (*in_alerts, *in_dashboard) for name in NAME.findall(expression)}
    assert used <= measured()


def test_every_metric_the_readme_names_exists():
    named = {name for name in re.findall(r"`(gateway_\w+)`", README)}
    assert named <= measured() | {name.removesuffix("_bucket") for name in measured()}


def test_every_label_that_is_used_exists():
    known = labels()
    in_alerts, in_dashboard = expressions()
    used = [
        found for expression in (*in_alerts, *in_dashboard) for found in re.findall(r"([a-z_]+)\{([^}]*)\}", expression)
    ]
    used += [
        match.groups() for test in TESTS for one in test["input_series"] if (match := SERIES.fullmatch(one["series"]))
    ]
    assert len(used) > 20
    for name, selector in used:
        assert set(LABEL.findall(selector)) <= known[name] | GIVEN_BY_PROMETHEUS, name


def test_every_alert_says_what_to_do():
    assert re.findall(r"^### (\w+)$", README, re.MULTILINE) == [alert["alert"] for alert in ALERTS]
    assert all(alert["labels"]["severity"] in ("critical", "warning") for alert in ALERTS)


def test_every_alert_is_seen_firing_and_seen_quiet():
    shown = [(one["alertname"], bool(one["exp_alerts"])) for test in TESTS for one in test["alert_rule_test"]]
    assert set(shown) == {(alert["alert"], fires) for alert in ALERTS for fires in (True, False)}


def test_the_panels_do_not_overlap():
    panels = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in panels}) == len(panels)


@pytest.mark.parametrize("arguments", [("check", "rules", "alerts.yml"), ("test", "rules", "alerts.test.yml")])
def test_promtool_agrees(arguments):
    tool = shutil.which("promtool")
    if tool is None and os.environ.get("CI") != "true":
        pytest.skip("promtool is not installed (Debian: apt install prometheus)")
    assert tool is not None, "promtool is not installed"
    done = subprocess.run([tool, *arguments], cwd=FOLDER, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
