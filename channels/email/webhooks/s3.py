"""One GET of an object of S3, signed (Signature Version 4): the AWS SDK is 90 MB for this.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from channels.email.webhooks.settings import BucketSettings

_NOTHING = hashlib.sha256(b"").hexdigest()
_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True)
class Request:
    """What to send; the URL is encoded already."""

    url: str
    headers: Mapping[str, str]


def get(settings: BucketSettings, key: str, now: float) -> Request:
    """The signed request for one object of the bucket; valid for 15 minutes."""
    base, path = _place(settings, key)
    day_and_time = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {"host": urlsplit(base).netloc, "x-amz-content-sha256": _NOTHING, "x-amz-date": day_and_time}
    if settings.session_token is not None:
        headers["x-amz-security-token"] = settings.session_token.get_secret_value()
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    canonical = f"GET\n{path}\n\n{lines}\n{names}\n{_NOTHING}"
    scope = f"{day_and_time[:8]}/{settings.region}/s3/aws4_request"
    to_sign = f"{_ALGORITHM}\n{day_and_time}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signing_key = f"AWS4{settings.secret_access_key.get_secret_value()}".encode()
    for part in scope.split("/"):
        signing_key = hmac.digest(signing_key, part.encode(), "sha256")
    signature = hmac.digest(signing_key, to_sign.encode(), "sha256").hex()
    headers["Authorization"] = (
        f"{_ALGORITHM} Credential={settings.access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    del headers["host"]
    return Request(base + path, headers)


def _place(settings: BucketSettings, key: str) -> tuple[str, str]:
    path = "/" + quote(key, safe="/-_.~", errors="surrogatepass")
    if settings.endpoint is not None:
        return settings.endpoint, f"/{settings.bucket}{path}"
    domain = f"s3.{settings.region}.amazonaws.com" + (".cn" if settings.region.startswith("cn-") else "")
    if "." in settings.bucket:  # no certificate fits such a host
        return f"https://{domain}", f"/{settings.bucket}{path}"
    return f"https://{settings.bucket}.{domain}", path
