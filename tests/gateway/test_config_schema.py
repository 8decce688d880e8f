from pathlib import Path
from typing import Any, Literal

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped, unused-ignore]
from ruamel.yaml import YAML

from channels.api import ChannelSettings
from channels.planned import PLANNED
from channels.units import Duration, Size
from gateway.settings import json_schema

CONFIG = Path(__file__).parents[2] / "config"


class DoorSettings(ChannelSettings):
    type: Literal["door"]
    width: int
    wait: Duration
    load: Size = 5


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return json_schema({"door": DoorSettings, **PLANNED})


@pytest.fixture(scope="module")
def accepts(schema):
    return Draft202012Validator(schema).is_valid


def test_the_schema_is_a_schema(schema):
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"http": None, "channels": None},
        {"http": {"port": 80, "max_header": "1MiB"}},
        {"http": {"port": "${PORT:-80}"}},
        {"embedded": {"fsync": "${FSYNC}"}},
        {"queue": {"dedupe_window": "7d"}},
        {"channels": {"front": {"type": "door", "width": 3, "wait": "500ms"}}},
        {"channels": {"front": {"type": "door", "width": "${WIDTH}", "wait": 0, "enabled": "${ON}"}}},
        {"channels": {"partner": {"type": "webhook", "anything": 1}}},
        {"rules": [{"when": {"to": "a@*", "from": ["b"]}, "then": {"tags": ["c"]}}]},
    ],
)
def test_an_editor_accepts(accepts, data):
    assert accepts(data)


@pytest.mark.parametrize(
    "data",
    [
        {"htp": {}},
        {"http": {"prot": 80}},
        {"http": {"port": "eighty"}},
        {"http": {"max_header": "12 parsecs"}},
        {"embedded": {"fsync": "sometimes"}},
        {"channels": {"Front": {"type": "webhook"}}},
        {"channels": {"front": {"type": "dor"}}},
        {"channels": {"front": {}}},
        {"channels": {"front": {"type": "door", "wait": "5m"}}},
        {"channels": {"front": {"type": "door", "width": 3, "wait": "500ms", "emabled": True}}},
        {"directory": [{"type": "file"}]},
    ],
)
def test_an_editor_marks(accepts, data):
    assert not accepts(data)


def test_help_and_defaults_reach_the_editor(schema):
    queue = schema["$defs"]["Queue"]["properties"]
    assert queue["dedupe_window"]["default"] == "7d"
    assert queue["partitions"]["description"] == "More than 1 spreads conversations over a Redis Cluster."


def test_the_shipped_configuration_fits_the_schema_of_every_known_channel():
    data = YAML(typ="safe", pure=True).load(CONFIG / "gateway.yaml")
    errors = Draft202012Validator(json_schema()).iter_errors(data)
    assert [error.message for error in errors] == []
