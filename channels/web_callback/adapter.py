"""The front door of a page that asks to be phoned back."""

from collections.abc import Callable
from datetime import UTC, datetime

from channels.api import Host
from channels.identity import Identities, without_token
from channels.submissions import SubmissionAdapter
from channels.web_callback.settings import WebCallbackSettings
from channels.web_callback.views import CallbackViews
from normalizers.web_callback import CallbackPayload


def _now() -> datetime:
    return datetime.now(UTC)


class WebCallbackAdapter(SubmissionAdapter[CallbackPayload]):
    """One inbox of callback requests; what it shares with every other form is `channels.submissions`."""

    def __init__(
        self, settings: WebCallbackSettings, host: Host[CallbackPayload], clock: Callable[[], datetime] = _now
    ) -> None:
        super().__init__(host, CallbackViews(host.inbox, settings, clock), self._payload, max_body=settings.max_body)
        self._clock, self._region = clock, settings.default_region
        self._identities = Identities(settings.identity)

    def _payload(self, *, body: bytes, media_type: str, submission_id: str, keyed: bool) -> CallbackPayload:
        now = self._clock()
        return CallbackPayload(
            body=without_token(body, media_type),
            media_type=media_type,
            submission_id=submission_id,
            keyed=keyed,
            submitted_at=now,
            default_region=self._region,
            identity=self._identities.of(body, media_type, now),
        )
