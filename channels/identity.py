"""Signed identity: a short-lived JWT by which a customer's own site vouches for who fills in a form."""

import codecs
import re
from datetime import datetime
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from channels.identity_keys import IdentityKeys, all_keys
from normalizers.identities import FIELD, LONGEST, RefusedIdentity, SignedIdentity, VerifiedIdentity
from normalizers.text import clean_line, find_email

_LONGEST_CLAIM = 200
_IN_FORM = re.compile(rb"(?:^|&)" + FIELD.encode() + rb"=([^&]*)")
_EACH_IN_FORM = re.compile(rb"(" + FIELD.encode().replace(b"_", b"(?:_|%5[Ff])") + rb"=)([^&]*)")
_EACH_IN_JSON = re.compile(
    rb'("' + FIELD.encode().replace(b"_", rb"(?:_|\\u005[Ff])") + rb'"\s*:\s*")([^"\\]*(?:\\.[^"\\]*)*)', re.DOTALL
)
_MOST_CUT = 100
"""More fields than this no form has."""


class _InJson(msgspec.Struct):
    identity_token: str | None = None


class ForgedIdentity(Exception):
    """The token proves nothing; `reason` is one word, fit for evidence."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Identities:
    """Reads the tokens of one inbox; without keys, none."""

    def __init__(self, settings: IdentityKeys | None) -> None:
        self._settings = settings
        self._keys = tuple(all_keys(settings)) if settings else ()

    def of(self, body: bytes, media_type: str, now: datetime) -> SignedIdentity | None:
        """What the token in a body says; None where there is none, or nobody's signature counts here."""
        if self._settings is None:
            return None
        token = (token_in(body, media_type) or "").strip()
        if not token:
            return None
        try:
            return self.read(token, now)
        except ForgedIdentity as forged:
            return RefusedIdentity(reason=forged.reason)

    def read(self, token: str, now: datetime) -> VerifiedIdentity:
        """Raises ForgedIdentity, whatever it is given."""
        if self._settings is None or len(token) > LONGEST:
            raise ForgedIdentity("malformed")
        try:
            claims = self._signed_claims(token)
            _check_times(claims, self._settings, now)
            return _identity(claims)
        except ForgedIdentity:
            raise
        except Exception:  # a stranger chose every byte: whatever it makes a library raise, it proves nothing
            raise ForgedIdentity("malformed") from None

    def _signed_claims(self, token: str) -> dict[str, Any]:
        from joserfc import jws, jwt
        from joserfc.errors import BadSignatureError

        header = jws.extract_compact(token.encode("ascii")).headers()
        algorithm, kid = header.get("alg"), header.get("kid")
        fitting = [key for key in self._keys if key.algorithm == algorithm]
        if not fitting:
            raise ForgedIdentity("algorithm")
        for key in fitting:
            if kid is not None and key.kid is not None and key.kid != kid:
                continue
            try:
                return jwt.decode(token, key.key, algorithms=[key.algorithm]).claims
            except BadSignatureError:
                continue
        raise ForgedIdentity("signature")


def token_in(body: bytes, media_type: str) -> str | None:
    """The identity token of an undecoded POST; None where there is none that can be one."""
    if media_type == "application/json":
        try:
            return msgspec.json.decode(body.removeprefix(codecs.BOM_UTF8), type=_InJson).identity_token
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None  # what is wrong with it, the normalizer says
    found = _IN_FORM.search(body)
    return unquote_to_bytes(found[1].replace(b"+", b" ")).decode(errors="replace") if found else None


def without_token(body: bytes, media_type: str) -> bytes:
    """The same body with a word in place of the token, malformed or not: nobody has to keep a credential.

    What a retry with a fresh token says is the same as what its first attempt said.
    """
    pattern = _EACH_IN_JSON if media_type == "application/json" else _EACH_IN_FORM
    return pattern.sub(_cut, body, count=_MOST_CUT)


def _cut(found: re.Match[bytes]) -> bytes:
    if found.re is _EACH_IN_FORM and found.string[found.start() - 1 : found.start()] not in (b"", b"&"):
        return found[0]  # the end of another name; a pattern that looks behind takes ten times as long
    return found[1] + b"cut" if unquote_to_bytes(found[2].replace(b"+", b" ")).strip() else found[0]


def _check_times(claims: dict[str, Any], settings: IdentityKeys, now: datetime) -> None:
    from joserfc.errors import ExpiredTokenError, InvalidClaimError, MissingClaimError
    from joserfc.jwt import JWTClaimsRegistry

    leeway, moment = settings.leeway.total_seconds(), now.timestamp()
    registry = JWTClaimsRegistry(
        now=int(moment),
        leeway=int(leeway),
        exp={"essential": True},
        aud={"essential": True, "values": [settings.audience]},
    )
    try:
        registry.validate(claims)
    except ExpiredTokenError:
        raise ForgedIdentity("expired") from None
    except (InvalidClaimError, MissingClaimError) as error:
        raise ForgedIdentity({"aud": "audience", "exp": "lifetime"}.get(error.claim, "claims")) from None
    issued = claims.get("iat", moment + leeway)
    if claims["exp"] - issued > settings.max_age.total_seconds():
        raise ForgedIdentity("lifetime")


def _identity(claims: dict[str, Any]) -> VerifiedIdentity:
    customer_id, email, name = (_line(claims, field) for field in ("customer_id", "email", "name"))
    address = find_email(email) if email and claims.get("email_verified", True) is True else None
    if customer_id is None and address is None:
        raise ForgedIdentity("nobody")
    return VerifiedIdentity(customer_id=customer_id, email=address, name=name)


def _line(claims: dict[str, Any], field: str) -> str | None:
    value = claims.get(field)
    if value is None:
        return None
    if not isinstance(value, str):
        raise ForgedIdentity("claims")
    line = clean_line(value, _LONGEST_CLAIM + 1)
    if len(line) > _LONGEST_CLAIM:  # cut short, it would be somebody else's
        raise ForgedIdentity("claims")
    return line or None
