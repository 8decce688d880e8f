"""The keys of a signed identity: secrets shared with a customer's own site, or its public keys."""

import warnings
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Annotated, Any, NamedTuple

import msgspec
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from channels.units import Duration, Name, spell
from channels.verify import Secret

_LEAST_SECRET = 32
"""Bytes (RFC 7518 section 3.2)."""
_LEAST_RSA = 2048
_CURVE = "P-256"


class Key(NamedTuple):
    """Good for its own algorithm only: no token can choose another for it."""

    algorithm: str
    kid: str | None
    key: Any


def _long_enough(secret: Secret) -> Secret:
    text = secret.get_secret_value()
    if len(text.encode()) < _LEAST_SECRET:
        raise ValueError(f"must have at least {_LEAST_SECRET} bytes, chosen at random")
    if "-----BEGIN" in text or text.lstrip().startswith("{"):
        raise ValueError("is a key file: public keys belong to public_keys, and are no secret")
    return secret


def _readable(text: str) -> str:
    list(public_keys(text))
    return text


def _at_most(limit: timedelta) -> Callable[[timedelta], timedelta]:
    def check(value: timedelta) -> timedelta:
        if value > limit:
            raise ValueError(f"must be at most {spell(limit)}")
        return value

    return check


class IdentityKeys(BaseModel):
    """Whose signatures count; several of each while they are rotated, newest first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    secrets: tuple[Annotated[Secret, AfterValidator(_long_enough)], ...] = ()
    """Shared with the site, of HS256; at least 32 bytes."""
    public_keys: tuple[Annotated[str, AfterValidator(_readable)], ...] = ()
    """PEM, JWK or JWKS: RSA keys are for RS256, P-256 keys for ES256."""
    audience: Name
    """Must be the token's `aud`, or one of them: a token for something else is none for this inbox."""
    max_age: Annotated[Duration, Field(gt=timedelta(0)), AfterValidator(_at_most(timedelta(days=1)))] = timedelta(
        hours=1
    )
    """Longest time from a token's signature to its end."""
    leeway: Annotated[Duration, AfterValidator(_at_most(timedelta(minutes=5)))] = timedelta(minutes=1)
    """How far the site's clock may be off."""

    @model_validator(mode="after")
    def _signs(self) -> "IdentityKeys":
        if not self.secrets and not self.public_keys:
            raise ValueError("must have secrets or public_keys: nobody could sign")
        return self


def public_keys(text: str) -> Iterator[Key]:
    """Of a PEM, a JWK or a JWKS. Raises ValueError in words for what is no public RSA or P-256 key."""
    from joserfc.errors import JoseError, SecurityWarning

    try:
        with warnings.catch_warnings(action="ignore", category=SecurityWarning):  # of keys that are refused below
            found = list(_imported(text))
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        raise ValueError("is no PEM, JWK or JWKS of public RSA or P-256 keys") from None
    if not found:
        raise ValueError("holds no key")
    for key in found:
        if key.is_private:
            raise ValueError("is a private key: the gateway needs its public half alone")
        is_rsa = key.key_type == "RSA"
        if key.public_key.key_size < _LEAST_RSA if is_rsa else key.curve_name != _CURVE:
            raise ValueError(f"must be RSA of at least {_LEAST_RSA} bits, or {_CURVE}")
        yield Key("RS256" if is_rsa else "ES256", key.kid, key)


def _imported(text: str) -> Iterator[Any]:
    from joserfc.errors import InvalidKeyTypeError
    from joserfc.jwk import ECKey, RSAKey

    if text.lstrip().startswith("{"):
        document = msgspec.json.decode(text)
        for one in document.get("keys", [document]):
            yield (RSAKey if one["kty"] == "RSA" else ECKey).import_key(one)
        return
    try:
        yield RSAKey.import_key(text)
    except InvalidKeyTypeError:
        yield ECKey.import_key(text)


def all_keys(settings: IdentityKeys) -> Iterator[Key]:
    """Ready to verify with."""
    from joserfc.jwk import OctKey

    for secret in settings.secrets:
        yield Key("HS256", None, OctKey.import_key(secret.get_secret_value()))
    for text in settings.public_keys:
        yield from public_keys(text)
