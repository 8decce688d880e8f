"""Authentication-Results of a server in front, and of those who only say they are."""

import pytest

from channels.email.authentication.results import of_server, parse

OURS = "mx.example.com"


@pytest.mark.parametrize(
    ("said", "results"),
    [
        ("; none", []),
        (" 1; spf=pass smtp.helo=a.example", ["spf=pass smtp.helo=a.example"]),
        (" 2; spf=pass smtp.helo=a.example", []),
        ("; dkim = Pass (2048-bit) header . d = a.example", ["dkim=pass header.d=a.example"]),
        ("; dkim/1=pass header.d=a.example", ["dkim=pass header.d=a.example"]),
        ('; spf=fail reason="a; dmarc=pass (x" smtp.helo=h', ["spf=fail reason=a; dmarc=pass (x smtp.helo=h"]),
        ("; spf=fail (why; dkim=pass (a\\)) x) smtp.helo=h", ["spf=fail smtp.helo=h"]),
        ('; spf=none smtp.mailfrom="a b; dmarc=pass"@e.example', ["spf=none smtp.mailfrom=a b; dmarc=pass@e.example"]),
        (
            '; spf=none (of x" at) smtp.helo=h; dmarc=fail (") header.from=a.example',
            ["spf=none smtp.helo=h", "dmarc=fail header.from=a.example"],
        ),
        ("; dkim=pass header.d=one.example header.d=two.example", ["dkim=pass header.d=one.example"]),
        ("; what is this; spf=pass", ["spf=pass"]),
        ("; spf=pass and more", []),
        ('; spf=pass smtp.mailfrom="open', []),
        ("; spf=pass (open; dkim=pass", ["spf=pass"]),
        ("", []),
        ("; " + "x=y; " * 5000, []),
    ],
)
def test_the_grammar_is_kept_to(said, results):
    found = [
        " ".join([f"{one.method}={one.value}", *(f"{name}={value}" for name, value in one.properties.items())])
        for one in parse(f"mx.example.com{said}")
    ]
    assert [sorted(one.split(" ")) for one in found] == [sorted(one.split(" ")) for one in results]


GMAIL = (
    "mx.example.com; dkim=pass header.i=@acme.example header.s=k1 header.b=Zx; dkim=none; "
    "spf=pass (mx.example.com: domain of minsu@acme.example designates 192.0.2.1 as permitted sender) "
    "smtp.mailfrom=minsu@acme.example; dmarc=fail (p=REJECT sp=NONE dis=NONE) header.from=acme.example"
)


def test_what_large_hosts_write_is_understood():
    found = of_server([GMAIL], OURS)
    assert found is not None
    assert [(one.result, one.domain, one.selector) for one in found.dkim] == [
        ("pass", "acme.example", "k1"),
        ("none", None, None),
    ]
    assert found.spf is not None
    assert found.dmarc is not None
    assert (found.spf.result, found.spf.domain) == ("pass", "acme.example")
    assert (found.dmarc.result, found.dmarc.domain, found.dmarc.policy) == ("fail", "acme.example", "reject")
    assert found.source == OURS


@pytest.mark.parametrize("spelling", ["MX.Example.COM;", '"mx.example.com" ;', "(by) mx.example.com (us) 1;"])
def test_its_id_is_known_however_it_is_spelt(spelling):
    found = of_server([f"{spelling} dmarc=pass header.from=acme.example"], OURS)
    assert found is not None
    assert found.dmarc is not None
    assert found.dmarc.result == "pass"


def test_only_the_topmost_header_of_that_server_counts():
    forged = "mx.example.com; dmarc=pass header.from=bank.example"
    true = "mx.example.com; dmarc=fail (p=reject) header.from=bank.example"
    found = of_server(["filter.internal.example; x-spam=no", true, forged], OURS)
    assert found is not None
    assert found.dmarc is not None
    assert found.dmarc.result == "fail"


@pytest.mark.parametrize(
    "header",
    ["mx.example.com.evil.example; dmarc=pass", "evil.example; mx.example.com; dmarc=pass", "; dmarc=pass", ""],
)
def test_what_others_say_counts_for_nothing(header):
    assert of_server([header], OURS) is None


def test_two_verdicts_are_none():
    found = of_server(["mx.example.com; dmarc=pass header.from=a.example; dmarc=fail header.from=a.example"], OURS)
    assert found is not None
    assert found.dmarc is None


@pytest.mark.parametrize("word", ["hardfail", "bestguesspass", "PASS", "", "passed", "permerror"])
def test_words_of_its_own_are_no_pass(word):
    found = of_server(
        [f"mx.example.com; spf={word} smtp.mailfrom=acme.example; dkim={word} header.d=acme.example"], OURS
    )
    assert found is not None
    said = [found.spf.result if found.spf else None, *(one.result for one in found.dkim)]
    assert ("pass" in said) is (word == "PASS")
