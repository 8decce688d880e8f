"""The house keeps its own rules: every room complete, every contract biting, everything generated current."""

import json
import re
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from channels import registry
from gateway import envelope, settings

ROOT = Path(__file__).parent.parent
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
BREACHES = {
    "Arrows point down: gateway, channels, normalizers": ("channels/web_form/adapter.py", "import gateway.app"),
    "Inside the gateway, too, arrows point down": ("gateway/identity.py", "import gateway.pipeline"),
    "No adapter knows another": ("channels/web_form/adapter.py", "import channels.email.adapter"),
    "No normalizer knows another": ("normalizers/web_form.py", "import normalizers.email"),
    "Normalizers do no I/O": ("normalizers/text.py", "import asyncio"),
    "Redis stays in the queue": ("gateway/pipeline.py", "import redis"),
    "SMTP stays in email": ("channels/web_form/adapter.py", "import aiosmtpd.smtp"),
    "Mail's other libraries stay in email": ("channels/web_form/adapter.py", "import imapclient"),
    "Slack stays in chat": ("channels/web_form/adapter.py", "import slack_bolt"),
    "Twilio stays in phone": ("channels/web_form/adapter.py", "import twilio.twiml"),
    "The object store's library stays in one module": ("gateway/pipeline.py", "import obstore"),
    "Metrics come from one place": ("gateway/pipeline.py", "import prometheus_client"),
}


def test_every_contract_has_its_breach():
    assert {contract["name"] for contract in CONTRACTS} == set(BREACHES)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The rooms, to be broken."""
    copy = tmp_path_factory.mktemp("house")
    for room in ("gateway", "channels", "normalizers"):
        shutil.copytree(ROOT / room, copy / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


@pytest.mark.parametrize("name", BREACHES)
def test_each_contract_bites(copy, name):
    place, breach = BREACHES[name]
    file = copy / place
    whole = file.read_text(encoding="utf-8")
    file.write_text(f"{whole}\n{breach}\n", encoding="utf-8")
    try:
        done = subprocess.run(
            [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
            cwd=copy, capture_output=True, encoding="utf-8", check=False,
        )  # fmt: skip
    finally:
        file.write_text(whole, encoding="utf-8")
    assert done.returncode == 1
    assert f"{name} BROKEN" in done.stdout


def test_a_new_file_must_say_where_it_belongs(copy):
    file = copy / "gateway" / "stray.py"
    file.write_text('"""A module in no layer."""\n')
    try:
        done = subprocess.run(
            [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
            cwd=copy, capture_output=True, encoding="utf-8", check=False,
        )  # fmt: skip
    finally:
        file.unlink()
    assert done.returncode == 1
    assert "gateway.stray" in done.stdout


def test_built_in_channels_are_sorted():
    assert list(registry.BUILT_IN) == sorted(registry.BUILT_IN)


@pytest.mark.parametrize("name", registry.BUILT_IN)
def test_every_channel_is_complete(name):
    room = registry.room(name)
    for path in (
        f"channels/{room}/__init__.py",
        f"channels/{room}/adapter.py",
        f"channels/{room}/README.md",
        f"channels/{room}/samples",
        f"normalizers/{room}.py",
        f"tests/channels/test_{room}.py",
        f"tests/normalizers/cases/{room}",
    ):
        assert (ROOT / path).exists(), f"{path} is missing"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"channels/{room}/README.md" in readme, f"README.md does not list {name}"


@pytest.mark.parametrize("name", registry.BUILT_IN)
def test_settings_are_the_manifests_own(name):
    assert registry.settings_class(name) is registry.load(name).settings


def test_no_folder_of_a_channel_is_forgotten_by_the_registry():
    folders = {path.parent.name for path in (ROOT / "channels").glob("*/__init__.py")}
    assert folders == {registry.room(name) for name in registry.BUILT_IN}


def test_config_holds_no_code():
    assert not [*(ROOT / "config").rglob("*.py")]


def test_no_module_is_two():
    long = {
        str(path.relative_to(ROOT)): lines
        for room in ("gateway", "channels", "normalizers")
        for path in (ROOT / room).rglob("*.py")
        if (lines := path.read_text(encoding="utf-8").count("\n")) > 250
    }
    assert not long, "past 250 lines, ask which second thing lives there"


@pytest.mark.parametrize(
    ("file", "schema"),
    [
        ("docs/schemas/ticket-envelope-1.json", envelope.json_schema),
        ("config/gateway.schema.json", settings.json_schema),
    ],
)
def test_generated_schemas_are_current(file, schema):
    assert json.loads((ROOT / file).read_text(encoding="utf-8")) == json.loads(json.dumps(schema())), "run make schemas"


def test_the_lock_files_have_hashes_and_no_addresses():
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text()
        assert "--index-url" not in text
        assert "://" not in text
        assert len(re.findall(r"^\S+==", text, re.MULTILINE)) == len(
            re.findall(r"^\S+==\S+.*\\\n    --hash=sha256:", text, re.MULTILINE)
        )


def test_help_imports_nothing_heavy():
    code = "import sys, gateway.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, encoding="utf-8", check=True)
    heavy = {"aiohttp", "aiosmtpd", "redis", "pydantic", "rich", "jinja2", "obstore", "msgspec"}
    assert not heavy & set(done.stdout.split())


def test_help_names_every_command():
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "--help"], cwd=ROOT, capture_output=True, encoding="utf-8", check=True
    )
    assert time.monotonic() - began < 5
    for path in (ROOT / "gateway" / "cli").glob("*.py"):
        assert (
            path.stem in {"__init__", "banner", "config", "queue"} or f"  {path.stem.replace('_', '-')} " in done.stdout
        )


def test_a_channel_is_imported_only_when_it_is_asked_for():
    code = "import sys; from channels import registry; registry.load('web_form'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, encoding="utf-8", check=True)
    assert "channels.web_form" in done.stdout.split()
    assert "aiosmtpd" not in done.stdout.split()
