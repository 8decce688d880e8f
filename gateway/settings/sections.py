"""The sections of the configuration that the gateway reads itself; every text under a field is its help."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationInfo
from pydantic import field_validator as check

from channels.units import Duration, Form, Size
from gateway.directory.options import Limits
from normalizers.message import Proof

QUEUE_SCHEMES = ("redis", "rediss", "unix", "redis+cluster", "redis+sentinel", "rediss+cluster", "rediss+sentinel")
EVERYWHERE = ("*", "0.0.0.0", "::", "[::]")
_RESERVED = ("dead", "seen", "stats", "media", "probe", "cursors")


class Below(ValueError):
    """Something wrong in a value, at `path` below it."""

    def __init__(self, what: str, *path: str | int) -> None:
        super().__init__(what)
        self.path = path


def _queue_url(url: str) -> str:
    if url == "embedded":
        return url
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in QUEUE_SCHEMES:
        known = ", ".join(f"{name}://" for name in QUEUE_SCHEMES)
        raise ValueError(f"must be embedded, or a URL that begins with {known}")
    if not rest:
        raise ValueError(f"nothing follows {scheme}://")
    from gateway.queue.connection.addresses import parse  # 0.1 s of the client, for those who have such a URL

    parse(url)
    return url


def web_url(url: str) -> str:
    """An http(s) URL without a trailing slash. Raises ValueError without quoting it."""
    wrong = "must be a URL such as https://support.example.com"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1) > 0
    except ValueError:
        raise ValueError(wrong) from None
    if not usable or parts.query or parts.fragment or any(letter.isspace() for letter in url):
        raise ValueError(wrong)
    return url.rstrip("/")


def _tier_name(name: str) -> str:
    if name in _RESERVED:
        raise ValueError(f"the queue keeps a key of its own named {name!r}: choose another word")
    return name


def _no_flag(value: object) -> object:
    """pydantic would take true for 1."""
    if isinstance(value, bool):
        raise ValueError("must be a whole number")
    return value


Port = Annotated[int, Field(ge=0, le=65535), BeforeValidator(_no_flag)]
Text = Annotated[str, StringConstraints(min_length=1)]
WebUrl = Annotated[str, AfterValidator(web_url)]
Positive = Annotated[Duration, Field(gt=timedelta(0))]
TierName = Annotated[
    str, Form(r"[a-z][a-z0-9_]{0,39}", "a-z, 0-9 and _, at most 40, a letter first"), AfterValidator(_tier_name)
]


class Section(BaseModel):
    """A part of the file: unknown keys are errors, nothing changes after the start."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Http(Section):
    """Where the gateway listens for the web."""

    host: Text = "127.0.0.1"
    """Address to listen on; 0.0.0.0 is every interface."""
    port: Port = 8080
    """0 takes a free one."""
    public_url: WebUrl = Field(default="", validate_default=True)
    """The same door as the world sees it, for links and signatures; empty is http://host:port."""
    max_header: Annotated[Size, Field(ge=1024)] = 16 * 2**10
    """Largest header line."""

    @check("public_url", mode="before")
    @classmethod
    def _as_it_listens(cls, url: object, info: ValidationInfo) -> object:
        host = info.data.get("host", "127.0.0.1")
        here = "127.0.0.1" if host in EVERYWHERE else f"[{host}]" if ":" in host else host
        return url if url != "" else f"http://{here}:{info.data.get('port', 8080)}"


class Queue(Section):
    """The Redis that the core system reads."""

    url: Annotated[str, AfterValidator(_queue_url), Field(repr=False)] = "embedded"
    """embedded · redis:// rediss:// unix:// · redis+cluster:// · redis+sentinel://host1,host2/mymaster"""
    prefix: Annotated[str, Form(r"[A-Za-z0-9_.-]{1,64}", "letters, digits, dots, _ and -, at most 64")] = "tickets"
    """Every key begins with it: {tickets}:premium."""
    partitions: Annotated[int, Field(ge=1, le=1024), BeforeValidator(_no_flag)] = 1
    """More than 1 spreads conversations over a Redis Cluster."""
    dedupe_window: Positive = timedelta(days=7)
    """How long the same message from a vendor is recognised as a repeat."""
    timeout: Annotated[Positive, Field(le=timedelta(seconds=30))] = timedelta(seconds=1)
    """How long a write may take before the spool takes over; vendors wait three seconds and more."""
    wait_replicas: Annotated[int, Field(ge=0, le=16), BeforeValidator(_no_flag)] = 0
    """Replicas that must have a write before anybody hears yes (WAIT)."""
    wait_fsync: bool = False
    """Whether the server, and those replicas, must have fsynced it too (WAITAOF: Redis 7.2, Valkey 8 and newer)."""
    trim: Positive = timedelta(seconds=10)
    """How often what every consumer group has acknowledged is deleted."""
    stream_bound: Annotated[int, Field(ge=1), BeforeValidator(_no_flag)] = 1_000_000
    """Entries on one stream over which the gateway raises its voice; nothing is dropped."""
    keep_dead: Positive = timedelta(days=30)
    """How long dead letters are kept."""
    keep_stats: Annotated[Positive, Field(ge=timedelta(hours=1))] = timedelta(days=35)
    """How long the counts behind `stats --since` are kept."""


class Embedded(Section):
    """The Valkey server the gateway starts itself where queue.url is embedded."""

    port: Annotated[Port, Field(ge=1)] = 6390
    """Loopback only."""
    dir: Path = Path("var/valkey")
    fsync: Literal["always", "everysec"] = "always"
    """everysec is faster and may lose a second in a power cut."""
    max_memory: Annotated[Size, Field(ge=2**20)] = 256 * 10**6


class Spool(Section):
    """Where messages wait on disk while Redis is away."""

    dir: Path = Path("var/spool")
    """On a disk of this machine: a network filesystem cannot promise what a spool promises."""
    max_bytes: Annotated[Size, Field(ge=2**20)] = 10**9
    """Of all processes together; over that senders are told to come again."""
    min_free: Annotated[Size, Field(ge=0)] = 64 * 10**6
    """Room that is left to others on the disk."""


class Normalizing(Section):
    """The processes that read what is large or odd, so that nothing else waits for it."""

    workers: Annotated[int, Field(ge=1, le=64), BeforeValidator(_no_flag)] = 2
    """Of each gateway process; more where many large mails come at once and there are cores for them."""
    timeout: Positive = timedelta(seconds=10)
    """For one mail; what takes longer is published unread, and buried."""
    memory: Annotated[Size, Field(ge=2**28)] = 2**30
    """Address space of one of them."""


class Tiers(Section):
    """The streams of the queue, best first, and what a requester has to prove for each."""

    order: Annotated[tuple[TierName, ...], Field(min_length=1)] = ("premium", "business", "free")
    default: str = Field(default="free", validate_default=True)
    """The tier of everybody the directory does not know."""
    minimum_proof: Mapping[str, Proof] = Field(default={}, validate_default=True)
    """Weakest proof a tier accepts; each tier above the default needs `claimed` where nothing is said."""

    @check("order")
    @classmethod
    def _each_once(cls, order: tuple[str, ...]) -> tuple[str, ...]:
        for place, name in enumerate(order):
            if name in order[:place]:
                raise Below(f"the tier {name!r} stands twice", place)
        return order

    @check("default")
    @classmethod
    def _default_is_a_tier(cls, default: str, info: ValidationInfo) -> str:
        order = info.data.get("order")
        if order and default not in order:
            raise ValueError(f"must be one of tiers.order: {', '.join(order)}")
        return default

    @check("minimum_proof")
    @classmethod
    def _of_known_tiers(cls, given: Mapping[str, Proof], info: ValidationInfo) -> Mapping[str, Proof]:
        order, default = info.data.get("order"), info.data.get("default")
        if not order or default is None:
            return given
        for name, proof in given.items():
            if proof is Proof.SUSPECT:
                raise Below("cannot be suspect: that is evidence against the sender", name)
            if name not in order:
                raise Below(f"is not a tier; tiers.order has {', '.join(order)}", name)
        return dict.fromkeys(order[: order.index(default)], Proof.CLAIMED) | dict(given)


class Lookup(Section):
    """How long a message waits to hear who is asking, and how old the answer may be."""

    budget: Positive = timedelta(milliseconds=500)
    """For all sources together; then the last known is used, or the default tier."""
    fresh: Positive = timedelta(minutes=15)
    """How long an answer is not asked for again."""
    stale: Positive = timedelta(hours=24)
    """How old an answer may be that is used because its source fails."""
    negative: Positive = timedelta(seconds=60)
    """How long somebody whom a source does not know is not asked for again."""
    entries: Annotated[int, Field(ge=1), BeforeValidator(_no_flag)] = 50_000
    """Customers, and as many strangers, remembered of each source."""

    def limits(self) -> Limits:
        """For the directory."""
        return Limits(
            budget=self.budget.total_seconds(),
            fresh=self.fresh.total_seconds(),
            stale=self.stale.total_seconds(),
            negative=self.negative.total_seconds(),
            entries=self.entries,
        )


class Logs(Section):
    """What the gateway says on stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "json"] = "auto"
    """auto is coloured lines on a terminal and JSON elsewhere."""
