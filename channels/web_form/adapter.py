"""The front door of a contact form."""

from pathlib import Path

from channels.api import Host
from channels.form_views import FormViews
from channels.submissions import SubmissionAdapter
from channels.web_form.settings import WebFormSettings
from normalizers.web_form import LIMITS, FormPayload


class WebFormAdapter(SubmissionAdapter[FormPayload]):
    """One contact form; what it shares with every other form is `channels.submissions`."""

    def __init__(self, settings: WebFormSettings, host: Host[FormPayload]) -> None:
        views = FormViews(host.inbox, Path(__file__).parent, settings.languages, LIMITS)
        super().__init__(host, views, FormPayload, max_body=settings.max_body)
