"""The report for a terminal."""

from collections.abc import Iterator
from datetime import datetime

from rich.table import Table

from gateway.reporting.report import Beside, Report


def shown(report: Report) -> Iterator[Table | str]:
    """Lines and tables, from the top."""
    yield from _head(report)
    yield ""
    yield _channels(report)
    yield ""
    yield _tiers(report)
    yield ""
    yield _beside(report)
    yield ""


def _head(report: Report) -> Iterator[str]:
    yield f"from {_hour(report.begin)} to {_hour(report.end)} UTC"
    if report.counted_since is None:
        yield "nothing was counted yet"
    elif report.counted_since > report.begin:
        yield f"counted since {_hour(report.counted_since)} UTC"
    if compared := report.compared:
        yield f"± compares the hours up to {_hour(compared.end)} with as many from {_hour(compared.before)} on"


def _channels(report: Report) -> Table:
    others = ("unproven", "duplicates", "rejected", "refused", "dead letters", "deferred")
    table = _table("channel", "tickets", "share", "±", *others)
    for mix in report.channels:
        first = (mix.channel, f"{mix.tickets:,}", _share(mix.share), _change(mix.change))
        turned_away = (mix.rejected, mix.refused, mix.dead_letters, mix.deferred)
        table.add_row(*first, *(f"{count:,}" for count in (mix.unproven, mix.duplicates, *turned_away)))
    table.add_row("all", f"{report.tickets:,}", "", _change(report.change))
    return table


def _tiers(report: Report) -> Table:
    table = _table("tier", "tickets", "share", "±", "unproven", "capped", "stale", "failed")
    for mix in report.tiers:
        first = (mix.tier, f"{mix.tickets:,}", _share(mix.share), _change(mix.change))
        table.add_row(*first, *(f"{count:,}" for count in (mix.unproven, mix.capped, mix.stale, mix.failed)))
    return table


def _beside(report: Report) -> Table:
    rows = {
        "duplicates": report.duplicates,
        "rejected": report.rejected,
        "refused": report.refused,
        "dead letters": report.dead_letters,
        "deferred": report.deferred,
        "spooled": report.spooled,
    }
    table = _table("besides", "", "±", "")
    table.columns[-1].justify = "left"
    for what, beside in rows.items():
        table.add_row(what, f"{beside.count:,}", _change(beside.change), _reasons(beside))
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(first, box=None, pad_edge=False)
    for heading in others:
        table.add_column(heading, justify="right")
    return table


def _reasons(beside: Beside) -> str:
    return ", ".join(f"{reason} {count:,}" for reason, count in beside.reasons.items())


def _hour(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M}"


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def _change(change: float | None) -> str:
    return "" if change is None else f"{change:+.0%}"
