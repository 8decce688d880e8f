"""The pages of a callback request: what the form offers, and the promise after it."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import phonenumbers

from channels.api import Receipt
from channels.form_views import FormViews, Typed
from channels.pages import Texts
from channels.web_callback import promises
from channels.web_callback.settings import WebCallbackSettings
from normalizers.web_callback import LIMITS, find_zone

_YES = "yes"


class CallbackViews(FormViews):
    """Pages in the language of each request, promises by the clock of the caller's own time zone."""

    def __init__(self, inbox: str, settings: WebCallbackSettings, clock: Callable[[], datetime]) -> None:
        super().__init__(inbox, Path(__file__).parent, settings.languages, LIMITS)
        self._region, self._zone, self._clock = settings.default_region, settings.default_timezone, clock

    def form_values(self, typed: Typed | None, texts: Texts) -> Mapping[str, object]:
        """The countries and zones to choose from, with the one chosen; a browser may know its zone better."""
        country = (typed or {}).get("country") or self._region
        zone = (typed or {}).get("timezone") or self._zone
        countries = [(code, _with_prefix(code, name)) for code, name in _offered(texts["countries"], country)]
        zones = [(name, f"{place} – {name}" if place else name) for name, place in _offered(texts["zones"], zone)]
        return {"countries": countries, "country": country, "zones": zones, "zone": zone, "guess": typed is None}

    def sent_tokens(self, receipt: Receipt, body: bytes) -> Mapping[str, str]:
        """The promise and the caller's zone, or that it is the same request again."""
        for first in receipt.references[:1]:
            if first.duplicate:
                return {"again": _YES}
            if first.reply_by:
                zone = find_zone(self.as_typed(body).get("timezone", "").strip())
                return {"by": promises.token(first.reply_by), "zone": zone.key if zone else self._zone}
        return {}

    def sent_values(self, query: Mapping[str, str], texts: Texts) -> Mapping[str, object]:
        """The promise in words, where the query holds one."""
        by, zone = promises.from_token(query.get("by", "")), find_zone(query.get("zone", "")) or ZoneInfo(self._zone)
        promise = promises.in_words(by, zone, self._clock(), texts["promise"]) if by else None
        return {"promise": promise, "again": query.get("again") == _YES}


def _offered(names: Mapping[str, str], chosen: str) -> list[tuple[str, str]]:
    """In the order of the texts; what was chosen is offered even where they do not know it."""
    return [*([] if chosen in names else [(chosen, "")]), *names.items()]


def _with_prefix(code: str, name: str) -> str:
    prefix = phonenumbers.country_code_for_region(code)
    return f"{name or code} +{prefix}" if prefix else name or code
