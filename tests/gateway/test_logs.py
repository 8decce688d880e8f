import json
import logging

import pytest
import structlog

from gateway import logs


def test_a_machine_gets_one_json_object_per_line(capfdbinary):
    try:
        logs.configure("info", "json")
        structlog.get_logger().info("message.accepted", tier="premium")
        structlog.get_logger().debug("not.shown")
        logging.getLogger("somebody.else").error("went wrong")
        logging.getLogger("mail.log").error("RCPT TO:<customer@acme.example>")
        logging.getLogger().handlers[0].flush()
    finally:
        structlog.reset_defaults()
        logging.basicConfig(force=True)
    first, second = (json.loads(line) for line in capfdbinary.readouterr().err.splitlines())
    assert list(first) == ["time", "level", "event", "tier"]
    assert (first["event"], first["level"]) == ("message.accepted", "info")
    assert (second["event"], second["level"], second["logger"]) == ("went wrong", "error", "somebody.else")


@pytest.mark.parametrize("worker", [None, 3])
def test_every_level_says_its_line_alike(capfdbinary, worker):
    try:
        logs.configure("info", "json", worker=worker)
        log = structlog.get_logger().bind(channel="web_form", inbox="contact")
        log.info("message.accepted", tier="premium", duplicate=False)
        log.warning("message.accepted", tier="premium", duplicate=False)
    finally:
        structlog.reset_defaults()
        logging.basicConfig(force=True)
    info, warning = (json.loads(line) for line in capfdbinary.readouterr().err.splitlines())
    assert (info.pop("level"), warning.pop("level")) == ("info", "warning")
    assert info.pop("time") <= warning.pop("time")
    assert list(info.items()) == list(warning.items())
    assert info.get("worker") == worker


def test_a_gateway_told_to_be_quiet_is_quiet(capfdbinary):
    try:
        logs.configure("warning", "json")
        structlog.get_logger().info("message.accepted")
        structlog.get_logger().warning("message.deferred")
    finally:
        structlog.reset_defaults()
        logging.basicConfig(force=True)
    (line,) = capfdbinary.readouterr().err.splitlines()
    assert json.loads(line)["event"] == "message.deferred"


def test_a_person_gets_words(capsys):
    try:
        logs.configure("warning", "console")
        structlog.get_logger().warning("link.down", link="queue")
        structlog.get_logger().info("not shown")
    finally:
        structlog.reset_defaults()
        logging.basicConfig(force=True)
    said = capsys.readouterr().err
    assert "link.down" in said
    assert "not shown" not in said
