"""`stats --since`: the counts of some hours as the report a support lead reads in the morning."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from redis import Redis

from gateway.cli import Exit, stats
from gateway.queue.tally import HOUR, Kept, hour_of
from gateway.reporting.report import Report, report, span
from tests.support import free_port

NOW = datetime(2026, 11, 23, 8, 20, tzinfo=UTC)
EIGHT = datetime(2026, 11, 23, 8, tzinfo=UTC)
DAY, KEEP = timedelta(days=1), timedelta(days=35)


def made(before, hours, *, since: datetime | None = EIGHT - 30 * DAY, keep=KEEP, now=NOW) -> Report:
    """The report of these hours, the last of which is not over; `before` has one less."""
    asked = span(now, (len(hours) - 1) * HOUR)
    kept = Kept(hours=[*before, *hours], since=since)
    return report(kept, asked, now, keep=keep, channels=["email", "phone"], tiers=["premium", "free"])


@pytest.mark.parametrize(
    ("now", "since", "first", "count"),
    [
        (NOW, DAY, EIGHT - DAY, 25),
        (NOW, timedelta(minutes=15), EIGHT, 1),
        (NOW, timedelta(minutes=21), EIGHT - HOUR, 2),
        (NOW, timedelta(0), EIGHT, 1),
        (EIGHT, DAY, EIGHT - DAY, 25),
    ],
)
def test_the_hours_are_rounded_outwards(now, since, first, count):
    asked = span(now, since)
    assert (asked.hours[0], len(asked.hours), asked.hours[-1]) == (first, count, EIGHT)


def test_as_many_hours_as_are_over_stand_before():
    asked = span(NOW, DAY)
    assert asked.before == tuple(EIGHT - 2 * DAY + n * HOUR for n in range(24))
    assert asked.before[-1] + HOUR == asked.hours[0]
    assert span(NOW, timedelta(minutes=15)).before == ()


def test_channels_tiers_and_what_they_rest_on():
    told = made(
        [{}],
        [
            {"accepted|email|premium|known": 5, "unproven|email|premium": 2, "accepted|email|free|capped": 1},
            {"accepted|chat|premium|stale": 1, "accepted|email|free|failed": 3, "flush|abc": 99, "spooled": 4},
        ],
    )
    assert told.tickets == 10
    assert [(mix.channel, mix.tickets, mix.share, mix.unproven) for mix in told.channels] == [
        ("email", 9, 0.9, 2),
        ("phone", 0, 0.0, 0),
        ("chat", 1, 0.1, 0),
    ]
    assert [(mix.tier, mix.tickets, mix.unproven, mix.capped, mix.stale, mix.failed) for mix in told.tiers] == [
        ("premium", 6, 2, 0, 1, 0),
        ("free", 4, 0, 1, 0, 3),
    ]
    assert told.spooled.count == 4


def test_what_did_not_become_a_ticket_is_told_by_reason_the_most_frequent_first():
    told = made(
        [{}],
        [
            {"refused|email|loop": 2, "refused|phone|forged": 3, "refused|email|forged": 1, "duplicate|email": 7},
            {"rejected|email|incomplete": 1, "dead|email|malformed": 1, "dead||unpublishable": 2, "deferred|phone": 1},
        ],
    )
    assert [*told.refused.reasons.items()] == [("forged", 4), ("loop", 2)]
    assert [*told.dead_letters.reasons.items()] == [("unpublishable", 2), ("malformed", 1)]
    assert (told.duplicates.count, told.rejected.count, told.refused.count) == (7, 1, 6)
    assert (told.dead_letters.count, told.deferred.count, told.tickets) == (3, 1, 0)
    email, phone = told.channels
    assert (email.duplicates, email.refused, email.rejected, email.dead_letters) == (7, 3, 1, 1)
    assert (phone.refused, phone.deferred, phone.share) == (3, 1, None)


def test_only_hours_that_are_over_are_compared():
    told = made([{"accepted|email|free|default": 10}], [{"accepted|email|free|default": 12}, {"duplicate|email": 1}])
    assert told.compared is not None
    assert (told.compared.before, told.compared.begin, told.compared.end) == (EIGHT - 2 * HOUR, EIGHT - HOUR, EIGHT)
    assert (told.change, told.channels[0].change, told.tiers[1].change) == (0.2, 0.2, 0.2)
    assert told.channels[1].change is None, "nothing before: no per cent of it"
    assert told.duplicates.change is None


@pytest.mark.parametrize(
    ("since", "keep"),
    [
        (None, KEEP),
        (EIGHT - 2 * HOUR, KEEP),  # counting began within the first hour before
        (EIGHT - HOUR, KEEP),
        (EIGHT - 30 * DAY, HOUR),
    ],
    ids=["never counted", "not from its beginning", "not at all", "forgotten"],
)
def test_hours_that_were_not_counted_whole_are_not_compared(since, keep):
    told = made(
        [{"accepted|email|free|default": 10}], [{"accepted|email|free|default": 12}, {}], since=since, keep=keep
    )
    assert (told.compared, told.change, told.channels[0].change) == (None, None, None)
    assert told.tickets == 12


@pytest.fixture
def server(valkey_url):
    with Redis.from_url(valkey_url, decode_responses=True) as client:
        client.flushall()
        yield client


@pytest.fixture
def configured(tmp_path, valkey_url):
    """Write a configuration; its path."""

    def write(url=valkey_url):
        file = tmp_path / "gateway.yaml"
        file.write_text(
            f'queue: {{url: "{url}", keep_stats: 3d}}\nspool: {{dir: "{tmp_path}/spool"}}\n'
            "channels: {contact: {type: web_form}, off: {type: web_callback, enabled: false}}\n"
        )
        return str(file)

    return write


def run(*arguments):
    return CliRunner(env={"COLUMNS": "200"}).invoke(stats.command, [*arguments])


def count(server, hours_ago, **counts):
    hour = hour_of(datetime.now(UTC)) - hours_ago * HOUR
    for field, by in counts.items():
        server.hincrby(f"{{tickets}}:stats:{hour:%Y%m%d%H}", field.replace("_", "|"), by)


def a_day(server):
    """Hours in the middle of the days: what is counted stays where it is while the test runs."""
    server.hset("{tickets}:stats", "counted_since", "2026010100")
    count(server, 30, accepted_email_premium_known=10, rejected_email_incomplete=2)
    count(server, 12, accepted_email_premium_known=9, accepted_email_free_capped=1, unproven_email_premium=4)
    count(server, 11, accepted_chat_free_default=1_990, rejected_email_incomplete=1, rejected_email_conflict=2)
    count(server, 70, accepted_email_free_default=1_000_000)


def test_the_report_comes_before_the_depths(server, configured):
    a_day(server)
    done = run("--since", "24h", "--config", configured())
    assert done.exit_code == Exit.OK
    lines = [" ".join(line.split()) for line in done.output.splitlines()]
    assert lines[0].startswith("from 20")
    assert lines[1].startswith("± compares the hours up to 20")
    headings = "unproven duplicates rejected refused dead letters deferred"
    assert lines[3] == f"channel tickets share ± {headings}"
    assert lines[4:8] == [
        "web_form 0 0.0% 0 0 0 0 0 0",
        "chat 1,990 99.5% 0 0 0 0 0 0",
        "email 10 0.5% +0% 4 0 3 0 0 0",
        "all 2,000 +19900%",
    ]
    assert lines[9:13] == [
        "tier tickets share ± unproven capped stale failed",
        "premium 9 0.4% -10% 4 0 0 0",
        "business 0 0.0% 0 0 0 0",
        "free 1,991 99.6% 0 1 0 0",
    ]
    assert "rejected 3 +50% conflict 2, incomplete 1" in lines
    assert any(line.startswith("tier entries group pending") for line in lines[15:])


def test_the_report_as_json(server, configured):
    a_day(server)
    done = run("--since", "1d", "--json", "--config", configured())
    told = json.loads(done.stdout)
    assert told["queue"]["dead_letters"] == 0
    came = told["report"]
    assert (came["tickets"], came["change"], came["counted_since"]) == (2_000, 199.0, "2026-01-01T00:00:00Z")
    assert came["begin"].endswith(":00:00Z")
    assert came["rejected"] == {"count": 3, "change": 0.5, "reasons": {"conflict": 2, "incomplete": 1}}
    assert came["spooled"] == {"count": 0, "change": None, "reasons": {}}
    assert [(mix["tier"], mix["tickets"], mix["unproven"]) for mix in came["tiers"]] == [
        ("premium", 9, 4),
        ("business", 0, 0),
        ("free", 1_991, 0),
    ]


def test_without_since_nothing_is_said_of_it(server, configured):
    a_day(server)
    assert json.loads(run("--json", "--config", configured()).stdout)["report"] is None
    assert "channel" not in run("--config", configured()).stdout


def test_nothing_counted_yet(server, configured):
    done = run("--since", "15m", "--config", configured())
    assert done.exit_code == Exit.OK
    assert "nothing was counted yet" in done.stdout
    assert "± compares" not in done.stdout


def test_counting_that_began_later_is_said(server, configured):
    count(server, 2, accepted_email_premium_known=10)
    began = hour_of(datetime.now(UTC)) - 2 * HOUR
    server.hset("{tickets}:stats", "counted_since", f"{began:%Y%m%d%H}")
    assert f"counted since {began:%Y-%m-%d %H:%M} UTC" in run("--since", "1d", "--config", configured()).stdout


@pytest.mark.parametrize(
    ("since", "said"),
    [("4d", "counts are kept for 3d (queue.keep_stats)"), ("soon", "must be a duration with its unit, such as")],
)
def test_a_span_that_cannot_be_told_is_refused(configured, since, said):
    done = run("--since", since, "--config", configured())
    assert done.exit_code == Exit.USAGE
    assert said in done.output


def test_redis_away(configured):
    done = run("--since", "24h", "--json", "--config", configured(f"redis://127.0.0.1:{free_port()}"))
    assert done.exit_code == Exit.DEPENDENCY
    assert json.loads(done.stdout)["report"] is None
