"""The section of the object store."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic import field_validator as check

from channels.units import Form
from gateway.settings.sections import Below, Section, Text, WebUrl

SCHEMES = ("file", "s3", "gs", "az")


def _url(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in SCHEMES or not rest:
        raise ValueError(f"must begin with {', '.join(f'{name}://' for name in SCHEMES)} and a place")
    if scheme != "file" and set(rest) & set("@?#"):
        # Every envelope shows it.
        raise ValueError("must be a bucket and a prefix alone: put keys and the like under options")
    return url


class Reader(Section):
    """A program that may download what is kept."""

    name: Text
    """As the log calls it."""
    token_sha256: Annotated[str, Form(r"[0-9a-f]{64}", "the 64 hex digits of a SHA-256, lower case")]
    """Of the bearer token it sends."""


class Objects(Section):
    """Where raw originals and attachments are kept."""

    url: Annotated[str, AfterValidator(_url)] = "file://var/objects"
    """file://relative/dir, file:///absolute/dir, s3://bucket/prefix, gs://bucket/prefix, az://container/prefix"""
    endpoint: WebUrl | None = None
    """Of a store that speaks S3 and is not Amazon's, such as http://minio:9000."""
    region: Text | None = None
    options: Annotated[Mapping[str, str], Field(repr=False)] = {}
    """Anything else the store has to know, as obstore calls it: access_key_id, secret_access_key, account_name …
    What is not said here is taken from the variables its vendor names: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY …"""
    readers: tuple[Reader, ...] = ()
    """Who may GET /objects/…; nobody, and there is no such address."""

    @property
    def access(self) -> Mapping[str, str]:
        """What is said of the bucket beside its URL."""
        given = {"endpoint": self.endpoint, "region": self.region}
        return {name: value for name, value in given.items() if value} | dict(self.options)

    @check("readers")
    @classmethod
    def _each_once(cls, readers: tuple[Reader, ...]) -> tuple[Reader, ...]:
        for place, reader in enumerate(readers):
            if any(reader.name == other.name for other in readers[:place]):
                raise Below(f"the reader {reader.name!r} stands twice", place, "name")
        return readers
