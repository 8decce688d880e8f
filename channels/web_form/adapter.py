"""The front door of a contact form."""

from datetime import UTC, datetime
from pathlib import Path

from channels.api import Host
from channels.form_views import FormViews
from channels.identity import Identities, without_token
from channels.submissions import SubmissionAdapter
from channels.web_form.settings import WebFormSettings
from normalizers.web_form import LIMITS, FormPayload


class WebFormAdapter(SubmissionAdapter[FormPayload]):
    """One contact form; what it shares with every other form is `channels.submissions`."""

    def __init__(self, settings: WebFormSettings, host: Host[FormPayload]) -> None:
        views = FormViews(host.inbox, Path(__file__).parent, settings.languages, LIMITS)
        self._identities = Identities(settings.identity)
        super().__init__(host, views, self._payload, max_body=settings.max_body)

    def _payload(self, *, body: bytes, media_type: str, submission_id: str, keyed: bool) -> FormPayload:
        identity = self._identities.of(body, media_type, datetime.now(UTC))
        return FormPayload(
            body=without_token(body, media_type),
            media_type=media_type,
            submission_id=submission_id,
            keyed=keyed,
            identity=identity,
        )
