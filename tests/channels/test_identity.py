"""Signed identity: what counts as a signature, and what each attempt to forge one becomes."""

import base64
import hashlib
import hmac
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as pace
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey
from pydantic import ValidationError

from channels.identity import ForgedIdentity, Identities, token_in, without_token
from channels.identity_keys import IdentityKeys
from normalizers.identities import LONGEST, RefusedIdentity, VerifiedIdentity

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
AT = int(NOW.timestamp())
SECRET, OLD_SECRET = "s3cret" * 6, "0ld-s3cret" * 4
RSA, OTHER_RSA, EC = RSAKey.generate_key(2048), RSAKey.generate_key(2048), ECKey.generate_key("P-256")
OTHER_EC = ECKey.generate_key("P-256")
RSA_PEM, EC_PEM = (key.as_pem(private=False).decode() for key in (RSA, EC))
CLAIMS = {"aud": "contact", "exp": AT + 300, "customer_id": "C-1", "email": "Minsu@ACME.example", "name": "김민수"}


def keys(**settings: Any) -> IdentityKeys:
    return IdentityKeys.model_validate({"audience": "contact", **settings})


KEYS = keys(secrets=[SECRET, OLD_SECRET], public_keys=[RSA_PEM, EC_PEM])
ALL = Identities(KEYS)


def signed(key: Any = SECRET, algorithm: str = "HS256", header: dict[str, Any] | None = None, **claims: Any) -> str:
    """A token; a claim that is None is left out."""
    key = OctKey.import_key(key) if isinstance(key, str) else key
    kept = {name: value for name, value in {**CLAIMS, **claims}.items() if value is not None}
    return jwt.encode({"alg": algorithm, **(header or {})}, kept, key, algorithms=[algorithm])


def by_hand(secret: str, claims: str) -> str:
    """Of HS256, with claims and secrets that a library would not take."""
    unsigned = pieces({"alg": "HS256"}, None).split(".")[0] + "." + base64url(claims.encode())
    return f"{unsigned}.{base64url(hmac.digest(secret.encode(), unsigned.encode(), hashlib.sha256))}"


def base64url(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).decode().rstrip("=")


def pieces(header: Any, claims: Any, signature: bytes = b"") -> str:
    """By hand, as no library would write it."""
    parts = [json.dumps(part).encode() for part in (header, claims)]
    return ".".join(base64url(part) for part in (*parts, signature))


def reason(token: str, reader: Identities = ALL) -> str:
    with pytest.raises(ForgedIdentity) as caught:
        reader.read(token, NOW)
    return caught.value.reason


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(SECRET, "HS256"), (OLD_SECRET, "HS256"), (RSA, "RS256"), (EC, "ES256")],
    ids=["secret", "old secret", "RSA", "EC"],
)
def test_each_key_vouches_by_its_own_algorithm(key, algorithm):
    expected = VerifiedIdentity(customer_id="C-1", email="minsu@acme.example", name="김민수")
    assert ALL.read(signed(key, algorithm), NOW) == expected


def test_keys_are_rotated_by_jwks_and_kid():
    new, old = (RSAKey.generate_key(2048, parameters={"kid": kid}) for kid in ("new", "old"))
    jwks = json.dumps({"keys": [key.as_dict(private=False) for key in (new, old)]})
    reader = Identities(keys(public_keys=[jwks]))
    for key in (new, old):
        assert reader.read(signed(key, "RS256", {"kid": key.kid}), NOW).customer_id == "C-1"
        assert reader.read(signed(key, "RS256"), NOW).customer_id == "C-1"
    assert reason(signed(new, "RS256", {"kid": "old"}), reader) == "signature"


@pytest.mark.parametrize(
    ("token", "why"),
    [
        (signed("another secret of 32 bytes or more"), "signature"),
        (signed(OTHER_RSA, "RS256"), "signature"),
        (signed(SECRET, "HS256")[:-4] + "AAAA", "signature"),
        (pieces({"alg": "none"}, CLAIMS), "algorithm"),
        (pieces({"alg": "None"}, CLAIMS), "algorithm"),
        (pieces({}, CLAIMS), "malformed"),
        (pieces({"alg": ["HS256"]}, CLAIMS), "algorithm"),
        (signed(SECRET, "HS512"), "algorithm"),
        (signed(RSA, "PS256"), "algorithm"),
        (pieces({"alg": "HS256"}, CLAIMS), "signature"),
        (pieces({"alg": "HS256", "crit": ["x"], "x": 1}, CLAIMS), "malformed"),
        (signed(OTHER_EC, "ES256", {"jwk": OTHER_EC.as_dict(private=False)}), "signature"),
        (signed(OTHER_RSA, "RS256", {"jku": "https://evil.example/keys"}), "signature"),
        (signed(exp=AT - 61), "expired"),
        (signed(exp=None), "lifetime"),
        (signed(exp="soon"), "lifetime"),
        (signed(exp=AT + 3661), "lifetime"),
        (signed(exp=AT + 600, iat=AT - 3001), "lifetime"),
        (signed(iat=AT + 61), "claims"),
        (signed(nbf=AT + 61), "claims"),
        (signed(aud=None), "audience"),
        (signed(aud="other"), "audience"),
        (signed(aud=["other", "another"]), "audience"),
        (signed(customer_id=None, email=None), "nobody"),
        (signed(customer_id="", email="not an address"), "nobody"),
        (signed(customer_id=None, email_verified=False), "nobody"),
        (signed(customer_id=42), "claims"),
        (signed(customer_id="C" * 201), "claims"),
        (signed(name=["x"]), "claims"),
        (signed(name="n" * LONGEST), "malformed"),
        ("", "malformed"),
        ("a.b.c", "malformed"),
        ("a.b.c.d.e", "malformed"),
        ("토큰", "malformed"),
        (pieces({"alg": "HS256"}, CLAIMS).rpartition(".")[0], "malformed"),
        (pieces(["alg"], CLAIMS), "malformed"),
    ],
)
def test_what_is_no_proof_has_a_word_for_it(token, why):
    assert reason(token) == why


def test_nan_and_infinity_never_last_forever():
    for never in ("NaN", "Infinity", "1e999"):
        claims = json.dumps({**CLAIMS, "exp": 0}).replace('"exp": 0', f'"exp": {never}')
        assert reason(by_hand(SECRET, claims)) == "lifetime"


def test_a_public_key_is_never_taken_for_a_secret():
    """The oldest trick: sign with the public key as the secret of HS256."""
    only_public = Identities(keys(public_keys=[RSA_PEM]))
    for reader, why in ((only_public, "algorithm"), (ALL, "signature")):
        for guess in (RSA_PEM, RSA_PEM.strip()):
            assert reason(by_hand(guess, json.dumps(CLAIMS)), reader) == why


@given(st.one_of(st.text(max_size=300), st.binary(max_size=200).map(lambda raw: pieces({"alg": "HS256"}, {}, raw))))
@pace(max_examples=100, deadline=None, derandomize=True)
def test_whatever_is_sent_is_refused_and_never_an_error_of_ours(token):
    reason(token)


def test_nesting_is_refused_too():
    deep = base64.urlsafe_b64encode(b"[" * 2900).decode()
    assert reason(f"{deep}.e30.AA") == "malformed"


def test_a_clock_a_little_off_is_forgiven():
    for token in (signed(exp=AT - 59), signed(iat=AT + 59), signed(nbf=AT + 59), signed(exp=AT + 3600)):
        assert ALL.read(token, NOW).customer_id == "C-1"


def test_one_of_several_audiences_is_enough():
    assert ALL.read(signed(aud=["other", "contact"]), NOW).customer_id == "C-1"


def test_an_address_nobody_verified_is_left_out():
    assert ALL.read(signed(email_verified=False), NOW) == VerifiedIdentity(customer_id="C-1", name="김민수")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"secrets": [""]}, "at least 1 item"),
        ({"secrets": ["short"]}, "at least 32 bytes"),
        ({"secrets": [RSA_PEM]}, "is a key file"),
        ({}, "nobody could sign"),
        ({"secrets": []}, "nobody could sign"),
        ({"secrets": [SECRET], "audience": ""}, "at least 1 character"),
        ({"secrets": [SECRET], "max_age": "2d"}, "must be at most 1d"),
        ({"secrets": [SECRET], "leeway": "1h"}, "must be at most 5m"),
        ({"public_keys": [""]}, "is no PEM, JWK or JWKS"),
        ({"public_keys": ["-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"]}, "is no PEM, JWK or JWKS"),
        ({"public_keys": ['{"keys": []}']}, "holds no key"),
        ({"public_keys": ['{"keys": [1]}']}, "is no PEM, JWK or JWKS"),
        ({"public_keys": ['{"kty": "oct", "k": "AAAA"}']}, "is no PEM, JWK or JWKS"),
        ({"public_keys": [RSA.as_pem(private=True).decode()]}, "is a private key"),
        ({"public_keys": [json.dumps(EC.as_dict(private=True))]}, "is a private key"),
        ({"public_keys": [RSA_PEM[:-40]]}, "is no PEM, JWK or JWKS"),
        ({"public_keys": [ECKey.generate_key("P-384").as_pem(private=False).decode()]}, "must be RSA of at least 2048"),
    ],
)
def test_keys_that_prove_nothing_refuse_to_start(settings, said):
    with pytest.raises(ValidationError) as caught:
        keys(**settings)
    assert said in str(caught.value)


def test_a_small_rsa_key_refuses_to_start():
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    small = rsa.generate_private_key(65537, 1024).public_key()  # joserfc makes none so small
    pem = small.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    with pytest.raises(ValidationError, match="RSA of at least 2048 bits"):
        keys(public_keys=[pem])


def test_no_secret_is_shown():
    assert SECRET not in repr(KEYS)


@pytest.mark.parametrize(
    ("body", "media_type", "token"),
    [
        (b'{"identity_token": "a.b.c", "x": {"identity_token": "no"}}', "application/json", "a.b.c"),
        (b'\xef\xbb\xbf{"identity\\u005ftoken": "a.b.c"}', "application/json", "a.b.c"),
        (b'{"identity_token": 5}', "application/json", None),
        (b'{"identity_token": null}', "application/json", None),
        (b"{}", "application/json", None),
        (b"[]", "application/json", None),
        (b'{"a"', "application/json", None),
        (b"[" * 100_000, "application/json", None),
        (b"name=x&identity_token=a.b-c_d&topic=y", "application/x-www-form-urlencoded", "a.b-c_d"),
        (b"identity_token=a%2Eb%2Ec", "application/x-www-form-urlencoded", "a.b.c"),
        (b"identity_token=+&x=1", "application/x-www-form-urlencoded", " "),
        (b"my_identity_token=a", "application/x-www-form-urlencoded", None),
    ],
)
def test_a_token_is_found_in_an_undecoded_body(body, media_type, token):
    assert token_in(body, media_type) == token


@pytest.mark.parametrize(
    ("body", "media_type", "kept"),
    [
        (b'{"identity_token" : "a.b.c", "name": "x"}', JSON, b'{"identity_token" : "cut", "name": "x"}'),
        (b'{"identity\\u005ftoken": "a.b.c"}', JSON, b'{"identity\\u005ftoken": "cut"}'),
        (b'{"identity_token": "a\\"b\\\\", "x": 1}', JSON, b'{"identity_token": "cut", "x": 1}'),
        (b'{"x": {"identity_token": "a.b.c"}}', JSON, b'{"x": {"identity_token": "cut"}}'),
        (b'{"identity_token": "a.b.c", "x": [', JSON, b'{"identity_token": "cut", "x": ['),
        (b'{"identity_token": "a.b', JSON, b'{"identity_token": "cut'),
        (b'{"message": "my \\"identity_token\\": \\"x\\""}', JSON, b'{"message": "my \\"identity_token\\": \\"x\\""}'),
        (b'{"identity_token": " "}', JSON, b'{"identity_token": " "}'),
        (b'{"identity_token": null}', JSON, b'{"identity_token": null}'),
        (b"name=x&identity_token=a.b.c&topic=y", FORM, b"name=x&identity_token=cut&topic=y"),
        (b"identity%5Ftoken=a%2Eb&identity_token=c", FORM, b"identity%5Ftoken=cut&identity_token=cut"),
        (b"identity_token=+%20&x=1", FORM, b"identity_token=+%20&x=1"),
        (b"my_identity_token=a", FORM, b"my_identity_token=a"),
    ],
)
def test_a_token_is_cut_out_of_a_body_and_nothing_else(body, media_type, kept):
    assert without_token(body, media_type) == kept


def test_a_body_is_proof_evidence_against_or_neither():
    def body(token: str) -> bytes:
        return json.dumps({"identity_token": token}).encode()

    assert isinstance(ALL.of(body(signed()), "application/json", NOW), VerifiedIdentity)
    assert ALL.of(body("a.b.c"), "application/json", NOW) == RefusedIdentity(reason="malformed")
    assert ALL.of(body(""), "application/json", NOW) is None
    assert Identities(None).of(body(signed()), "application/json", NOW) is None


def test_it_expires_by_the_clock_it_is_given():
    assert ALL.read(signed(), NOW + timedelta(seconds=359)).customer_id == "C-1"
    with pytest.raises(ForgedIdentity, match="expired"):
        ALL.read(signed(), NOW + timedelta(seconds=360))


def test_the_example_of_the_documents_signs_what_the_gateway_takes():
    document = (Path(__file__).parents[2] / "docs" / "rules-and-sla.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```python\n(.*?)^```$", document, re.MULTILINE | re.DOTALL)
    scope: dict[str, Any] = {}
    exec(example, scope)
    token = scope["identity_token"](SECRET, "C-1", "minsu@acme.example", "김민수")
    reader = Identities(keys(secrets=[SECRET], audience="callback"))
    expected = VerifiedIdentity(customer_id="C-1", email="minsu@acme.example", name="김민수")
    assert reader.read(token, datetime.now(UTC)) == expected
