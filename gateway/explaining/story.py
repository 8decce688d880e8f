"""An explanation as `explain` tells it to a person: who, proof, tier, rules, promise, names."""

from collections.abc import Iterator, Sequence
from zoneinfo import ZoneInfo

from gateway.explaining import Explanation
from gateway.explaining.again import Changed, in_words
from gateway.settings import Settings
from gateway.tagging.tier import Ground

_GROUNDS = {
    Ground.AWAY: "the directory did not answer and knows nothing from before: the default",
    Ground.NOBODY: "the directory names no one customer: the default",
    Ground.RETIRED: "the directory says {claimed}, which is not in tiers.order: the default",
    Ground.CAPPED: "the directory says {claimed}, which needs {needed}; {proof} is less: the default",
    Ground.STALE: "the directory is away and said {claimed} last, which needs {needed}: given",
    Ground.KNOWN: "the directory says {claimed}, which needs {needed}: given",
}


def story(explained: Explanation, settings: Settings, stream: str) -> Iterator[str]:
    """Line by line, without what would steer a terminal."""
    told = (*_who(explained), *_proof(explained), *_rules(explained), *_promise(explained, settings))
    for line in (*told, *_names(explained, stream), *_now(explained.changed)):
        yield "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in line)


def _part(name: str, *lines: str) -> Iterator[str]:
    """The first line beside its name, the others below."""
    for number, line in enumerate(lines):
        yield f"{'' if number else name:<10} {line}"


def _who(explained: Explanation) -> Iterator[str]:
    data, lookup = explained.envelope.data, explained.lookup
    addresses = in_words([f"{one.kind} {one.value}" for one in data.requester.addresses])
    yield from _part("who", f"{data.requester.name or 'no name'}: {addresses}")
    if data.submitter:
        typed = in_words([f"{one.kind} {one.value}" for one in data.submitter.addresses])
        yield from _part("", f"typed by {data.submitter.name or 'no name'}: {typed}")
    yield from _part("", f"asked for: {in_words([f'{one.kind} {one.value}' for one in explained.asked_for])}")
    for heard in explained.heard:
        matched, customer = heard.lookup.matched, heard.lookup.customer
        by = f" by {matched.kind} {matched.value}" if matched else ""
        record = f", customer {customer.customer_id}" if customer else ""
        where = f" ({', '.join(heard.places)})" if heard.places else ""
        yield from _part("", f"{heard.source}: {heard.lookup.status}{by}{record}{where}")
    if not explained.heard:
        yield from _part("", "no source was asked: there is no address it could go by")
    if (customer := lookup.customer) is not None:
        related = "".join(f", {one.system} {one.type} {one.id}" for one in customer.related)
        said = f"customer {customer.customer_id}, {customer.organization or 'no organization'}, tier {customer.tier}"
        yield from _part("", f"{said}{related}; {lookup.source} as of {in_words(lookup.as_of)}")
    yield from _part("", *(f"warning {one.code}: {one.detail}" for one in data.warnings))


def _proof(explained: Explanation) -> Iterator[str]:
    decision, needed = explained.decision, explained.needed
    evidence = in_words(explained.envelope.data.requester.evidence)
    yield from _part("proof", f"{decision.proof}, evidence: {evidence}")
    if decision.proof is not explained.vouched:
        yield from _part("", f"the channel says {explained.vouched}, but the directory links that account to nobody")
    ground = _GROUNDS[decision.ground].format(claimed=decision.claimed, needed=needed, proof=decision.proof)
    unproven = ", and it rests on less than platform: tier_unproven" if decision.unproven else ""
    yield from _part("tier", f"{decision.value}, {decision.status}: {ground}{unproven}")


def _rules(explained: Explanation) -> Iterator[str]:
    data = explained.envelope.data
    yield from _part("facts", "; ".join(f"{name} {value}" for name, value in explained.facts.items()))
    yield from _part("", f"the language is said by {explained.language_by}")
    lines = [
        f"rule {rule.name} fits: {'; '.join(rule.adds)} ({rule.place})"
        if rule.refused is None
        else f"rule {rule.name} does not: {rule.refused} ({rule.place})"
        for rule in explained.rules
    ]
    yield from _part("rules", *(lines or ["there are none"]))
    yield from _part("", f"priority {data.priority}, brand {data.brand or 'none'}")
    yield from _part("tags", in_words(data.tags))


def _promise(explained: Explanation, settings: Settings) -> Iterator[str]:
    data = explained.envelope.data
    if not explained.clock:
        yield from _part("promise", "none: nobody waits for an answer to this")
        return
    lines = [
        f"policy {policy.name} fits: {'; '.join(policy.adds)} ({policy.place})"
        if policy.refused is None
        else f"policy {policy.name} does not: {policy.refused} ({policy.place})"
        for policy in explained.policies
    ]
    yield from _part("promise", *(lines or ["there are no policies"]))
    if (sla := data.sla) is None:
        yield from _part("", "none: no policy fits")
        return
    calendar = settings.sla.calendars[sla.calendar]
    days = (f"{day} {_spans(spans)}" for day, spans in (calendar.hours or {}).items())
    dates = (f"{day} {_spans(spans)}" for day, spans in calendar.dates.items())
    holidays = (f"but on holidays of {calendar.holidays}",) if calendar.holidays else ()
    hours = "; ".join((*(days if calendar.hours is not None else ("at all hours",)), *holidays, *dates))
    yield from _part("", f"calendar {sla.calendar}, {calendar.timezone}: {hours}")
    there = sla.clock_start.astimezone(ZoneInfo(calendar.timezone))
    outside = "outside hours" if sla.outside_hours else "within hours"
    yield from _part("", f"the clock starts {in_words(sla.clock_start)}, there {there:%a %Y-%m-%d %H:%M}: {outside}")
    for name, due in (("first reply", sla.first_reply_due_at), ("callback", sla.callback_due_at)):
        if due is not None:
            local = due.astimezone(there.tzinfo)
            yield from _part("", f"{name} due {in_words(due)}, there {local:%a %Y-%m-%d %H:%M}")


def _spans(spans: Sequence[str]) -> str:
    return ", ".join(spans) or "closed"


def _names(explained: Explanation, stream: str) -> Iterator[str]:
    envelope = explained.envelope
    yield from _part("key", envelope.data.idempotency_key)
    yield from _part("", f"makes the id {envelope.id} and the reference {envelope.data.reference}")
    yield from _part("thread", explained.conversation)
    yield from _part("", f"makes the partition {explained.partition}; with the tier, the stream {stream}")


def _now(changed: Sequence[Changed] | None) -> Iterator[str]:
    if changed is None:
        return
    lines = [f"{one.field}: was {one.then}, would be {one.now}" for one in changed]
    yield from _part("changed", *(lines or ["nothing: it would be tagged the same now"]))
    yield from _part("", "by the proof that counted then: what the channel said of the account is not in an envelope")
