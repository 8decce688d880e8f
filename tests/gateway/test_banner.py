"""What `run` prints is copied to another terminal: it must reach this gateway, and tell no secret."""

from pathlib import Path

import click
import pytest

from gateway.app import Serving
from gateway.cli.banner import banner
from gateway.cli.config import DEFAULT
from gateway.settings import load

CONFIG = """\
http: {port: "${PORT:-8080}", public_url: "${PUBLIC_URL:-http://127.0.0.1:8080}"}
queue: {url: "${REDIS_URL:-embedded}"}
embedded: {port: "${EMBEDDED_PORT:-6390}"}
channels:
  support: {type: email, listen: "127.0.0.1:${SMTP_PORT:-2525}", recipients: [a@example.com]}
"""


@pytest.fixture
def said(tmp_path):
    """The banner of a gateway with this environment; its configuration is the usual one, or a file elsewhere."""

    def said(config=DEFAULT, ready=True, **environ):
        file = tmp_path / "gateway.yaml"
        file.write_text(CONFIG)
        serving = Serving(
            url="http://127.0.0.1:41234",
            queue="redis://127.0.0.1:6390",
            queue_ready=ready,
            inboxes=[("support", "email", "smtp://127.0.0.1:2525")],
        )
        return banner(serving, load(file, environ=environ), config)

    return said


def commands(text):
    return [line.strip() for line in click.unstyle(text).splitlines() if "-m gateway" in line]


def test_what_is_usual_is_not_repeated(said):
    text = said()
    assert all("=" not in line and "--config" not in line for line in commands(text))
    assert commands(text)[0].endswith("-m gateway simulate email --inbox support")
    assert "environment" not in text


def test_addresses_are_carried_along_and_a_free_port_is_the_one_that_was_taken(said):
    text = said(PORT="0", SMTP_PORT="2599", EMBEDDED_PORT="6399", UNRELATED="1")
    for command in commands(text):
        assert "PORT=41234 " in command
        assert "SMTP_PORT=2599 " in command
        assert "EMBEDDED_PORT=6399 " in command
        assert "UNRELATED" not in command


def test_of_what_may_be_a_secret_only_the_name_is_told(said):
    text = said(REDIS_URL="redis://user:secret@10.0.0.1:6379", PUBLIC_URL="https://support.example.com")
    assert "with the same PUBLIC_URL, REDIS_URL in the environment" in text
    assert "secret" not in text


def test_another_configuration_is_named(said, tmp_path):
    found = commands(said(config=Path("/etc/a gateway.yaml")))
    assert found
    assert all(line.endswith("--config '/etc/a gateway.yaml'") for line in found)


def test_a_queue_that_is_away(said):
    assert "redis://127.0.0.1:6390 does not answer: messages wait in the spool" in said(ready=False)
