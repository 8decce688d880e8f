import json
import logging

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
