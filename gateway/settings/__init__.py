"""The settings of a gateway, read from a file that is right or refused with everything that is wrong with it."""

import re
from collections.abc import Callable, Container, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from pydantic import PrivateAttr, SerializeAsAny, ValidationError

from channels.api import ChannelSettings
from channels.planned import PLANNED
from gateway.settings import development, listeners
from gateway.settings import rules as tagging_rules
from gateway.settings.directory import DirectorySource
from gateway.settings.file import ConfigError, ConfigProblem, KeyPath, Source, read
from gateway.settings.objects import Objects
from gateway.settings.policies import Rule, Sla
from gateway.settings.sections import Embedded, Http, Logs, Lookup, Normalizing, Queue, Section, Spool, Tiers
from gateway.settings.words import explain

__all__ = ["ConfigError", "ConfigProblem", "Settings", "json_schema", "load", "not_in_use"]

SettingsOf: TypeAlias = Callable[[str], type[ChannelSettings]]
"""The settings class of a channel type; raises LookupError in an operator's words."""

INBOX_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")


class Settings(Section):
    """Everything the file says; a section that is absent has its defaults."""

    http: Http = Http()
    queue: Queue = Queue()
    embedded: Embedded = Embedded()
    spool: Spool = Spool()
    objects: Objects = Objects()
    normalizing: Normalizing = Normalizing()
    tiers: Tiers = Tiers()
    directory: tuple[DirectorySource, ...] = ()
    """Asked in this order."""
    lookup: Lookup = Lookup()
    rules: tuple[Rule, ...] = ()
    sla: Sla = Sla()
    channels: Mapping[str, SerializeAsAny[ChannelSettings]] = {}
    """The inboxes, by name."""
    logs: Logs = Logs()

    _source: Source = PrivateAttr(default_factory=Source)

    @property
    def source(self) -> Source:
        """Where each key stands in the file."""
        return self._source


def load(path: Path, *, environ: Mapping[str, str], channel_settings: SettingsOf | None = None) -> Settings:
    """Raises ConfigError with everything that is wrong; reads the file and its secret files, and no more."""
    if channel_settings is None:
        from channels.registry import settings_class

        channel_settings = settings_class
    source, data = read(path, environ)
    problems = list(source.problems)
    # A section whose lines are all commented out is null: as good as absent.
    sections = {name: value for name, value in data.items() if value is not None or name not in Settings.model_fields}
    inboxes = dict(_inboxes(sections.pop("channels", {}), source, channel_settings, problems))
    wrong: set[str | int] = set()
    try:
        settings = Settings.model_validate({**sections, "channels": inboxes})
    except ValidationError as error:
        problems += explain(error, source=source, model=Settings, data=data)
        wrong = {fault["loc"][0] for fault in error.errors()}
        sound = {name: value for name, value in sections.items() if name not in wrong}
        settings = Settings.model_validate({**sound, "channels": inboxes})
    settings._source = source
    problems += listeners.clashes(settings, unknown=wrong)
    if any(problem.key.startswith("channels.") for problem in problems):
        wrong.add("channels")
    problems += tagging_rules.faults(settings, unknown=wrong)
    problems += _known_secrets(settings)
    if problems:
        raise ConfigError(problems)
    return settings.model_copy(update={"channels": listeners.shared(settings)})


def not_in_use(settings: Settings, *, planned: Container[str] = PLANNED) -> tuple[ConfigProblem, ...]:
    """What the file asks for and no part of this version does yet, and a file without inboxes; in file order."""
    source = settings.source
    later: list[KeyPath] = [("channels", name) for name, inbox in settings.channels.items() if inbox.type in planned]
    notes = [source.problem(path, "accepted, not in use yet") for path in later]
    if not any(inbox.enabled and inbox.type not in planned for inbox in settings.channels.values()):
        notes.append(source.problem(("channels",), "no inbox is switched on: nothing can arrive"))
    return tuple(sorted(notes, key=lambda note: note.position or (0, 0)))


def json_schema(channels: Mapping[str, type[ChannelSettings]] | None = None) -> dict[str, Any]:
    """JSON Schema 2020-12 of the file; `channels` maps type to settings, every known type by default."""
    from gateway.settings.schema import file_schema

    if channels is None:
        from channels.registry import names, settings_class

        channels = {name: settings_class(name) for name in (*names(), *PLANNED)}
    return file_schema(Settings, channels, f"^{INBOX_NAME.pattern}$")


def _inboxes(
    section: object, source: Source, settings_of: SettingsOf, problems: list[ConfigProblem]
) -> Iterator[tuple[str, ChannelSettings]]:
    """The inboxes that are right; what is wrong with the others goes to `problems`."""
    if not isinstance(section, dict):
        problems.append(source.problem(("channels",), "must be a mapping of inboxes", "value"))
        return
    for name, body in section.items():
        here = ("channels", name)
        if not INBOX_NAME.fullmatch(name):
            what = "the name of an inbox begins with a-z and has at most 40 of a-z, 0-9, _ and -"
            problems.append(source.problem(here, what))
        if not isinstance(body, dict):
            problems.append(source.problem(here, "must be a mapping with at least a type", "value"))
            continue
        type_name = body.get("type")
        if (*here, "type") in source.broken:
            continue
        if not isinstance(type_name, str):
            what = "must be text" if "type" in body else "is required, and missing"
            problems.append(source.problem((*here, "type"), what, "value"))
            continue
        try:
            model = settings_of(type_name)
            yield name, model.model_validate(body)
        except LookupError as error:
            problems.append(source.problem((*here, "type"), str(error.args[0]), "value"))
        except ValidationError as error:
            problems += explain(error, source=source, model=model, data=body, under=here)


def _known_secrets(settings: Settings) -> Iterator[ConfigProblem]:
    """A signature by a secret that stands in a public repository proves nothing."""
    public = urlsplit(settings.http.public_url).hostname or ""  # a tunnel or proxy listens there for us
    if development.is_loopback(settings.http.host) and development.is_loopback(public):
        return
    for name, inbox in settings.channels.items():
        if inbox.enabled:
            for path in development.find(inbox, ("channels", name)):
                what = (
                    "is a development secret that everybody knows, and http.host or http.public_url reaches beyond "
                    "this machine: set your own secret, or switch the inbox off"
                )
                yield settings.source.problem(path, what, "value")
