import base64
import hashlib
import hmac

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from channels.verify import OptionalSecret, Secrets, fresh, hmac_sha256_base64, hmac_sha256_hex, matches, signed

NOW = 1_700_000_000


class Settings(BaseModel):
    secrets: Secrets
    token: OptionalSecret = None


def independent(secret: str, message: bytes) -> bytes:
    return hmac.new(secret.encode(), message, hashlib.sha256).digest()


def test_the_vector_of_rfc_4231():
    # Section 4.3, test case 2.
    signature = hmac_sha256_hex(SecretStr("Jefe"), b"what do ya want for nothing?")
    assert signature == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"


def test_slack_signs_version_time_and_body():
    secret, body = "signing-secret-of-tests", '{"type":"event_callback","text":"환불"}'.encode()
    base = b"v0:%d:%b" % (NOW, body)
    header = "v0=" + independent(secret, base).hex()

    def sign(secret: SecretStr, message: bytes) -> str:
        return f"v0={hmac_sha256_hex(secret, message)}"

    assert signed(header, base, (SecretStr(secret),), sign)
    assert not signed(header, base + b" ", (SecretStr(secret),), sign)
    assert not signed(header, base.replace(b"v0:1", b"v0:2"), (SecretStr(secret),), sign)
    assert not signed(header.removeprefix("v0="), base, (SecretStr(secret),), sign)


def test_the_challenge_of_x():
    response = hmac_sha256_base64(SecretStr("consumer-secret"), b"challenge_string")
    assert response == "S/mG8E9n5SjoGuCqHguvP8K8uuu5ogCPF0dOpIdyZlk="


@pytest.mark.parametrize("secret", ["s", "비밀", "s" * 200])
@pytest.mark.parametrize("message", [b"", b"\x00\xff", "환불 요청".encode()])
def test_both_spellings_are_of_one_digest(secret, message):
    digest = independent(secret, message)
    assert hmac_sha256_hex(SecretStr(secret), message) == digest.hex()
    assert hmac_sha256_base64(SecretStr(secret), message) == base64.b64encode(digest).decode()


def test_every_secret_verifies_while_they_are_rotated():
    new, old, foreign = (SecretStr(name) for name in ("new", "old", "foreign"))
    for secret, good in ((new, True), (old, True), (foreign, False)):
        header = hmac_sha256_hex(secret, b"body")
        assert signed(header, b"body", (new, old), hmac_sha256_hex) is good
    assert not signed(hmac_sha256_hex(new, b"body"), b"body", (), hmac_sha256_hex)


@pytest.mark.parametrize(
    "given", ["", "right ", "Right", "righ", "rightright", "맞음", "\udcff", "\ud800right", "\x00"]
)
def test_what_is_not_the_same_does_not_match(given):
    assert not matches(given, ("right", "오른쪽"))


def test_what_is_the_same_matches_wherever_it_stands():
    assert matches("right", ("wrong", "right"))
    assert matches("right", ("right", "wrong"))
    assert matches("오른쪽", ("right", "오른쪽"))
    assert not matches("right", ())


def test_a_match_does_not_end_the_comparison():
    compared = []

    def expected():
        for one in ("right", "wrong"):
            compared.append(one)
            yield one

    assert matches("right", expected())
    assert compared == ["right", "wrong"]


@pytest.mark.parametrize(
    ("timestamp", "good"),
    [
        (str(NOW), True),
        (str(NOW - 300), True),
        (str(NOW - 301), False),
        (str(NOW + 300), True),
        (str(NOW + 301), False),
        (f"000{NOW - 10}"[-12:], True),
        ("0", False),
    ],
)
def test_fresh_is_within_the_window_either_way(timestamp, good):
    assert fresh(timestamp, 300, now=lambda: NOW) is good


def test_a_fraction_of_a_second_past_the_window_is_stale():
    assert fresh(str(NOW), 300, now=lambda: NOW + 300.0)
    assert not fresh(str(NOW), 300, now=lambda: NOW + 300.001)


@pytest.mark.parametrize(
    "timestamp",
    ["", "now", f"{NOW}.0", f"+{NOW}", f" {NOW}", f"{NOW}\n", "1_700_000_000", "１７００００００００", "²", "9" * 5000],
)
def test_a_time_that_is_no_plain_number_is_stale(timestamp):
    assert not fresh(timestamp, 1e12, now=lambda: NOW)


def test_secrets_are_not_empty_and_not_shown():
    settings = Settings.model_validate({"secrets": ["new-secret", "old-secret"], "token": "token-secret"})
    assert [secret.get_secret_value() for secret in settings.secrets] == ["new-secret", "old-secret"]
    assert "-secret" not in f"{settings!r} {settings.model_dump()} {settings.model_dump_json()}"


@pytest.mark.parametrize("secrets", [[], [""], ["good", ""], None])
def test_an_empty_secret_is_refused(secrets):
    with pytest.raises(ValidationError):
        Settings.model_validate({"secrets": secrets})


def test_an_optional_secret_may_be_left_empty():
    assert Settings.model_validate({"secrets": ["s"], "token": ""}).token is None
