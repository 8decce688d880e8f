"""Forms as bytes: both kinds, wherever they are cut, and whatever is wrong with them."""

from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.email.line_ends import PIECE
from channels.email.webhooks.forms import parse_form
from channels.email.webhooks.provider import Fields, TurnedAway
from channels.email.webhooks.rehearsal import multipart

URL_ENCODED = "application/x-www-form-urlencoded"


def values(form: Fields) -> dict[str, bytes]:
    return {name: form.data(name) for name in form}


@given(st.text("ab%=+&4 \n\r\t_.", max_size=60))
def test_url_encoded_bytes_are_read_as_the_standard_library_does(text: str):
    expected = [unquote_to_bytes(pair.partition("=")[2].replace("+", " ")) for pair in f"x={text}".split("&")]
    assert parse_form(URL_ENCODED, f"x={text}".encode()).data("x") == expected[0]


@given(st.dictionaries(st.from_regex(r"\A[a-z][a-z-]{0,10}\Z"), st.binary(max_size=200), max_size=5))
def test_bytes_come_out_as_they_went_in(fields: dict[str, bytes]):
    found = parse_form(*multipart([(name.encode(), value) for name, value in fields.items()])) if fields else None
    assert found is None or values(found) == fields
    body = "&".join(f"{name}={''.join(f'%{byte:02x}' for byte in value)}" for name, value in fields.items())
    assert {k: v for k, v in values(parse_form(URL_ENCODED, body.encode())).items() if k} == fields


@pytest.mark.parametrize("off", range(-40, 5, 3))
def test_a_boundary_across_two_steps_of_the_search_is_found(off: int):
    value = b"x" * (PIECE + off) + b"\r\n--not the boundary"
    content_type, body = multipart([(b"email", value), (b"after", b"1")])
    form = parse_form(content_type, body)
    assert values(form) == {"email": value, "after": b"1"}


@pytest.mark.parametrize("off", range(6))
@pytest.mark.parametrize("tail", [b"%41%42%43", b"%", b"%4", b"%%41", b"+%2B"])
def test_an_escape_across_two_steps_is_one(off: int, tail: bytes):
    plain = b"x" * (PIECE - off)
    expected = unquote_to_bytes(tail.replace(b"+", b" ") + b"yy")
    assert values(parse_form(URL_ENCODED, b"a=" + plain + tail + b"yy")) == {"a": plain + expected}


def test_of_several_values_the_first_counts():
    assert values(parse_form(URL_ENCODED, b"a=1&a=2&b")) == {"a": b"1", "b": b""}
    assert values(parse_form(*multipart([(b"a", b"1"), (b"a", b"2")]))) == {"a": b"1"}


@pytest.mark.parametrize(
    "content_type", ['multipart/form-data; boundary="x y"', 'Multipart/Form-Data; charset=utf-8; BOUNDARY="x y"']
)
def test_boundaries_may_be_quoted_and_preceded(content_type: str):
    body = (
        b'preamble\r\n--x y\r\ncontent-disposition: FORM-DATA; name="a"; filename="b"\r\n\r\nc\r\n--x y--\r\nepilogue'
    )
    assert values(parse_form(content_type, body)) == {"a": b"c"}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("", b""),
        ("application/json", b"{}"),
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"--x"),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\n"),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb'),
        ("multipart/form-data; boundary=x", b"--x\r\n" + b"a" * 20_000 + b"\r\n\r\n\r\n--x--"),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * 1001),
        (URL_ENCODED, b"a=1&" * 1001),
    ],
)
def test_what_is_no_form_is_said_to_be_none(content_type: str, body: bytes):
    with pytest.raises(TurnedAway):
        parse_form(content_type, body)
