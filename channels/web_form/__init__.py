"""The contact form: a page for people, JSON for programs."""

from channels.api import Channel
from channels.web_form.adapter import WebFormAdapter
from channels.web_form.settings import WebFormSettings
from channels.web_form.simulate import simulate
from normalizers.web_form import FormPayload, normalize

_HEAVY_JSON = 256 * 1024
_HEAVY_FORM = 16 * 1024


def _heavy(payload: FormPayload) -> bool:
    # Percent-decoding is pure Python: 200 ms for a MiB where JSON takes 4.
    return len(payload.body) > (_HEAVY_JSON if payload.media_type == "application/json" else _HEAVY_FORM)


CHANNEL = Channel(
    name="web_form",
    settings=WebFormSettings,
    payload=FormPayload,
    normalize=normalize,
    adapter=WebFormAdapter,
    simulate=simulate,
    heavy=_heavy,
)
