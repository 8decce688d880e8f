"""HTTP basic authentication, as providers take it from the address they post to."""

from base64 import b64encode
from collections.abc import Mapping, Sequence

from pydantic import SecretStr

from channels.verify import matches

AUTHORIZATION = "Authorization"


def authorization(credential: SecretStr) -> dict[str, str]:
    """The header of a request with this credential."""
    return {AUTHORIZATION: f"Basic {_encoded(credential)}"}


def is_authorized(headers: Mapping[str, str], credentials: Sequence[SecretStr]) -> bool:
    """Whether the request carries one of the credentials."""
    scheme, _, given = headers.get(AUTHORIZATION, "").partition(" ")
    return matches(given.strip() if scheme.lower() == "basic" else "", map(_encoded, credentials))


def _encoded(credential: SecretStr) -> str:
    return b64encode(credential.get_secret_value().encode()).decode()
