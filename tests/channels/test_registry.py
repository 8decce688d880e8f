"""Channels of other packages: found by their entry points, imported only when named, held to the same promises."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from click.testing import CliRunner

from channels import registry
from channels.api import ChannelSettings, FrontDoor, Outcome
from channels.testing import TEXT, AdapterContract, Door
from gateway import settings
from gateway.cli import Exit
from gateway.cli import channels as channels_command

ROOT = Path(__file__).parents[2]
OUTSIDE = Path(__file__).parent / "outside"
TOKEN = "token-of-the-modem"
ALWAYS_LAZY = {"acme_sms", "aiosmtpd", "phonenumbers", "slack_bolt", "slack_sdk", "twilio"}


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The outside package, as pip would have left it."""
    monkeypatch.syspath_prepend(OUTSIDE)


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, distribution: str, entry_point: str) -> None:
    """Another distribution, of which there is only the record."""
    record = folder / f"{distribution}-1.0.dist-info"
    record.mkdir(parents=True)
    (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (record / "entry_points.txt").write_text(f"[{registry.ENTRY_POINTS}]\n{entry_point}\n")
    monkeypatch.syspath_prepend(folder)


def config(folder: Path, text: str) -> Path:
    file = folder / "gateway.yaml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.usefixtures("installed")
class TestAcmeSms(AdapterContract):
    """The kit, on a channel the gateway has never heard of."""

    answers = {Outcome.ACCEPTED: "202", Outcome.REJECTED: "422", Outcome.DEFERRED: "503"}  # noqa: RUF012
    oversized_answer = "413"
    forged_answer = "403"
    secrets = (TOKEN,)

    @pytest.fixture(autouse=True)
    def found(self, installed: None) -> None:
        type(self).channel = registry.load("acme_sms")

    def settings(self) -> ChannelSettings:
        own: ChannelSettings = registry.settings_class("acme_sms").model_validate(
            {"type": "acme_sms", "tokens": [TOKEN]}
        )
        return own

    async def deliver(self, door: Door, *, key: str = "1", text: str = TEXT) -> str:
        return await self._post(door, key, text, TOKEN)

    async def deliver_forged(self, door: Door) -> str:
        return await self._post(door, "1", TEXT, "customer@guessed")

    async def deliver_oversized(self, door: Door) -> str:
        return await self._post(door, "1", "x" * 5000, TOKEN)

    async def _post(self, door: Door, key: str, text: str, token: str) -> str:
        body = json.dumps({"id": key, "from": "+821012345678", "text": text})
        async with (
            aiohttp.ClientSession() as client,
            client.post(f"{door.url}/texts", data=body, headers={"X-Acme-Token": token}) as answer,
        ):
            return str(answer.status)

    async def test_simulate_sends_its_samples(self, door: Door) -> None:
        front = FrontDoor(inbox="inbox", url=door.url, public_url="http://gateway.example")
        (sample,) = registry.samples("acme_sms")
        assert await self.channel.simulate(self.settings(), front, sample.read_bytes(), {}) == "202"


def test_without_the_package_there_are_only_ours():
    assert registry.names() == list(registry.BUILT_IN)


@pytest.mark.usefixtures("installed")
def test_the_package_is_listed_among_ours():
    assert registry.names() == sorted([*registry.BUILT_IN, "acme_sms"])


@pytest.mark.usefixtures("installed")
def test_its_guide_is_printed_like_ours():
    printed = CliRunner().invoke(channels_command.command, ["acme_sms"])
    assert (printed.exit_code, printed.output) == (0, (OUTSIDE / "acme_sms" / "README.md").read_text() + "\n")


@pytest.mark.usefixtures("installed")
def test_its_inboxes_are_settings_like_ours(tmp_path):
    file = config(tmp_path, f"channels:\n  texts: {{type: acme_sms, tokens: [{TOKEN}], brand: acme}}\n")
    inbox: Any = settings.load(file, environ={}).channels["texts"]
    assert (type(inbox).__name__, inbox.brand, inbox.tokens[0].get_secret_value()) == ("AcmeSettings", "acme", TOKEN)
    assert TOKEN not in repr(inbox)


@pytest.mark.usefixtures("installed")
def test_what_is_wrong_in_them_is_said_with_its_place(tmp_path):
    file = config(tmp_path, "channels:\n  texts:\n    type: acme_sms\n    tokens: []\n    port: 7\n")
    with pytest.raises(settings.ConfigError) as caught:
        settings.load(file, environ={})
    first, second = str(caught.value).splitlines()
    assert first.startswith(f"{file}:4:13: channels.texts.tokens: ")
    assert second.startswith(f"{file}:5:5: channels.texts.port: ")


@pytest.mark.usefixtures("installed")
def test_a_typo_is_answered_with_the_known_names(tmp_path):
    known = ", ".join(sorted([*registry.BUILT_IN, "acme_sms"]))
    for ask in (registry.load, registry.readme, registry.settings_class, registry.samples):
        with pytest.raises(LookupError, match=f"no channel named 'acme-sms'; there are: .*{known[:8]}"):
            ask("acme-sms")
    with pytest.raises(LookupError, match=known):
        registry.load("acme-sms")
    with pytest.raises(
        settings.ConfigError, match=r"channels\.texts\.type: no channel named 'acme-sms'; there are: acme_sms"
    ):
        settings.load(config(tmp_path, "channels: {texts: {type: acme-sms}}"), environ={})


@pytest.mark.usefixtures("installed")
def test_a_name_claimed_twice_belongs_to_nobody(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, "other", "acme_sms = other_sms:CHANNEL")
    with pytest.raises(LookupError, match="'acme_sms' is claimed more than once: acme_sms:CHANNEL, other_sms:CHANNEL"):
        registry.load("acme_sms")
    with pytest.raises(settings.ConfigError, match="claimed more than once"):
        settings.load(config(tmp_path, f"channels: {{texts: {{type: acme_sms, tokens: [{TOKEN}]}}}}"), environ={})


def test_the_name_of_a_built_in_channel_cannot_be_claimed(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, "other", "email = other_mail:CHANNEL")
    for ask in (registry.names, lambda: registry.load("other"), lambda: registry.load("email")):
        with pytest.raises(LookupError, match="other_mail:CHANNEL claims the name of the built-in channel 'email'"):
            ask()
    printed = CliRunner().invoke(channels_command.command, [])
    assert (printed.exit_code, "uninstall it" in printed.output) == (Exit.USAGE, True)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("claim", ["acme_texts = acme_sms:CHANNEL", "acme_texts = acme_sms:normalize"])
def test_a_manifest_must_bear_the_name_it_is_claimed_by(tmp_path, monkeypatch, claim):
    install(tmp_path, monkeypatch, "other", claim)
    with pytest.raises(LookupError, match="'acme_texts' has no manifest of that name"):
        registry.load("acme_texts")


def imported_by(code: str, *paths: Path) -> set[str]:
    """The modules a fresh interpreter has after `code`."""
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))}
    code = f"import sys\n{code}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, encoding="utf-8", check=True
    )
    return set(done.stdout.split())


def loading(file: Path) -> str:
    return f"from pathlib import Path\nfrom gateway import settings\nsettings.load(Path({str(file)!r}), environ={{}})"


def test_a_start_imports_the_channels_of_its_file_and_no_other(tmp_path):
    file = config(tmp_path, "channels: {contact: {type: web_form}}")
    modules = imported_by(
        f"{loading(file)}\nimport gateway.app\nfrom channels import registry\nregistry.names()", OUTSIDE
    )
    assert "channels.web_form.adapter" in modules
    assert not ALWAYS_LAZY & modules
    others = {registry.room(name) for name in registry.BUILT_IN} - {"web_form"}
    assert not {f"channels.{room}" for room in others} & modules
    assert not {f"normalizers.{room}" for room in others} & modules


def test_an_installed_package_is_imported_where_the_file_names_it(tmp_path):
    file = config(tmp_path, f"channels: {{texts: {{type: acme_sms, tokens: [{TOKEN}]}}}}")
    modules = imported_by(loading(file), OUTSIDE)
    assert "acme_sms.adapter" in modules
    assert not (ALWAYS_LAZY - {"acme_sms"} | {"channels.web_form"}) & modules
