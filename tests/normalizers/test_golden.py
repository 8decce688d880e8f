"""Golden files: `cases/<channel>/<case>.in.<ext>` must become `<case>.out.json`. `pytest --golden` rewrites them."""

import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import pytest

from normalizers.api_inbox import ApiPayload
from normalizers.chat import SlackPayload
from normalizers.email import MailPayload
from normalizers.message import Incomplete, Malformed, Message
from normalizers.phone import PhonePayload
from normalizers.twitter import TwitterPayload
from normalizers.web_callback import CallbackPayload
from normalizers.web_form import FormPayload

CASES = Path(__file__).parent / "cases"
INPUTS = sorted(CASES.glob("*/*.in.*"))


def mail(content: bytes) -> MailPayload:
    return MailPayload(content=content, recipients=("support@example.com",))


def form(media_type: str) -> Callable[[bytes], FormPayload]:
    return lambda body: FormPayload(body=body, media_type=media_type, submission_id="case")


def callback(media_type: str) -> Callable[[bytes], CallbackPayload]:
    now = datetime(2026, 11, 20, 3, tzinfo=UTC)
    return lambda body: CallbackPayload(
        body=body, media_type=media_type, submission_id="case", submitted_at=now, default_region="KR"
    )


PAYLOADS: dict[tuple[str, str], Callable[[bytes], Any]] = {
    ("api_inbox", ".json"): lambda body: ApiPayload(client="portal", body=body, submission_id="key:case", keyed=True),
    ("chat", ".json"): lambda body: SlackPayload(body=body),
    ("email", ".eml"): mail,
    ("phone", ".json"): lambda body: msgspec.json.decode(body, type=PhonePayload),
    ("twitter", ".json"): lambda body: TwitterPayload(body=body, own_user_ids=("1480000000000000001",)),
    ("web_callback", ".json"): callback("application/json"),
    ("web_callback", ".form"): callback("application/x-www-form-urlencoded"),
    ("web_form", ".json"): form("application/json"),
    ("web_form", ".form"): form("application/x-www-form-urlencoded"),
}
"""How the bytes of a case become its channel's payload: by channel and file suffix."""


@pytest.mark.parametrize("given", INPUTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_becomes_its_golden_file(given: Path, request: pytest.FixtureRequest) -> None:
    result = shown(normalized(given))
    golden = golden_of(given)
    if request.config.getoption("--golden"):
        golden.write_text(json.dumps(result, ensure_ascii=False, indent=2) + "\n", encoding="utf-8", newline="\n")
    assert golden.exists(), f"no {golden.name}: write it with --golden and read what it says"
    assert result == json.loads(golden.read_text(encoding="utf-8"))


@pytest.mark.parametrize("given", INPUTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_says_the_same_twice(given: Path) -> None:
    assert normalized(given) == normalized(given)


def test_every_golden_file_has_its_input() -> None:
    assert set(CASES.glob("*/*.out.json")) == {golden_of(given) for given in INPUTS}


def test_no_two_inputs_share_a_golden_file() -> None:
    goldens = [golden_of(given) for given in INPUTS]
    assert len(goldens) == len(set(goldens))


def golden_of(given: Path) -> Path:
    return given.with_name(given.name.partition(".in.")[0] + ".out.json")


def normalized(given: Path) -> Sequence[Message] | dict[str, Any]:
    """The messages, or the refusal by its name."""
    channel = given.parent.name
    payload = PAYLOADS[channel, given.suffix](given.read_bytes())
    normalize: Callable[[Any], Sequence[Message]] = import_module(f"normalizers.{channel}").normalize
    try:
        return list(normalize(payload))
    except Incomplete as refusal:
        return {"incomplete": refusal.problems}
    except Malformed as refusal:
        return {"malformed": refusal.problems}


def shown(value: Any) -> Any:
    """As JSON a human reviews: fields at their default left out, file contents by size and digest."""
    match value:
        case msgspec.Struct():
            fields = msgspec.structs.fields(value)
            pairs = [(field, getattr(value, field.name)) for field in fields]
            return {field.name: shown(item) for field, item in pairs if field.required or item != default_of(field)}
        case dict():
            return {key: shown(item) for key, item in value.items()}
        case tuple() | list():
            return [shown(item) for item in value]
        case bytes():
            return {"size": len(value), "sha256": hashlib.sha256(value).hexdigest()}
        case datetime():
            return value.isoformat()
        case Enum():
            return value.value
        case _:
            return value


def default_of(field: msgspec.structs.FieldInfo) -> Any:
    return field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
