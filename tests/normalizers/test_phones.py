import pytest

from normalizers.phones import e164


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("010-1234-5678", "+821012345678"),
        ("01012345678", "+821012345678"),
        ("010.1234.5678", "+821012345678"),
        (" 010 1234 5678 ", "+821012345678"),
        ("(010) 1234–5678", "+821012345678"),
        ("011-234-5678", "+82112345678"),
        ("02-312-3456", "+8223123456"),
        ("02)3123-4567", "+82231234567"),
        ("031-234-5678", "+82312345678"),
        ("070-7123-4567", "+827071234567"),
        ("080-123-4567", "+82801234567"),
        ("1588-1234", "+8215881234"),
        ("1644 5678", "+8216445678"),
        ("+82 10-1234-5678", "+821012345678"),
        ("+82 010-1234-5678", "+821012345678"),
        ("0082 10 1234 5678", None),  # 00 dials abroad from most of the world, from Korea it is 001 or 002
        ("001 1 650 253 0000", "+16502530000"),
    ],
)
def test_as_koreans_write_them(typed, number):
    assert e164(typed, "KR") == number


@pytest.mark.parametrize(
    "typed",
    [
        "０１０－１２３４－５６７８",
        "０１０１２３４５６７８",
        "٠١٠١٢٣٤٥٦٧٨",
        "۰۱۰-۱۲۳۴-۵۶۷۸",
        "010ー1234ー5678",
        "010\u200b1234\u00a05678",
    ],
)
def test_digits_and_dashes_of_any_script(typed):
    assert e164(typed, "KR") == "+821012345678"


@pytest.mark.parametrize(
    ("typed", "region", "number"),
    [
        ("(650) 253-0000", "US", "+16502530000"),
        ("020 7946 0018", "GB", "+442079460018"),
        ("03-1234-5678", "JP", "+81312345678"),
        ("+1 650 253 0000", "KR", "+16502530000"),
        ("+821012345678", None, "+821012345678"),
        ("tel:+82-10-1234-5678", None, "+821012345678"),
    ],
)
def test_a_region_is_for_numbers_without_a_country(typed, region, number):
    assert e164(typed, region) == number


@pytest.mark.parametrize("region", [None, "ZZ", "", "kr", "KOR"])
def test_a_number_without_a_country_or_region_is_none(region):
    assert e164("010-1234-5678", region) is None


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        "공일공-1234-5678",
        "전화번호 없음",
        "hello",
        "-",
        "+",
        "+82",
        "+999 1234 5678",
        "010-1234",
        "010-1234-56789",
        "000-0000-0000",
        "999-9999-9999",
        "customer@acme.example",
        "\ud800",
        "\x00",
        "１",
    ],
)
def test_what_is_no_number_is_none(typed):
    assert e164(typed, "KR") is None


@pytest.mark.parametrize("short", ["112", "114", "119", "1330", "40404"])
def test_short_codes_are_no_numbers_to_call_back(short):
    assert e164(short, "KR") is None
    assert e164(f"+82{short}", None) is None


@pytest.mark.parametrize("filler", ["1", " ", "+", "(", "-", "０", "\u0301"])
def test_very_long_input_is_none_without_being_read(filler):
    assert e164(f"010-1234-5678{filler * 1_000_000}", "KR") is None


def test_a_canonical_number_stays_as_it_is():
    for number in ("+821012345678", "+8215881234", "+442079460018"):
        assert e164(number, None) == e164(number, "US") == number
