import pytest

from normalizers.charsets import codec_for, decode, decode_header

BEYOND_EUC_KR = "뷁 쀍 똠방각하"


@pytest.mark.parametrize(
    "label",
    ["euc-kr", "EUC_KR", "ks_c_5601-1987", "KSC5601", "windows-949", "x-windows-949", "uhc", '"euc-kr"', "cseuckr"],
)
def test_every_korean_label_is_windows_949(label: str) -> None:
    assert decode(BEYOND_EUC_KR.encode("cp949"), label) == BEYOND_EUC_KR


@pytest.mark.parametrize(
    ("label", "codec"),
    [("gb2312", "gb18030"), ("iso-8859-1", "cp1252"), ("utf8mb4", "utf-8"), ("Shift_JIS", "cp932"), ("punycode", None)],
)
def test_labels_mean_what_senders_mean(label: str, codec: str | None) -> None:
    assert codec_for(label) == codec


def test_every_codec_of_the_table_exists() -> None:
    from normalizers import charsets

    for codec in set(charsets._CODECS.values()):
        assert "".encode(codec) is not None


@pytest.mark.parametrize("label", ["", "us-ascii", "utf-8", "iso-2022-kr", "nobody-knows"])
def test_iso_2022_kr_is_known_by_its_escape(label: str) -> None:
    assert decode("배송 조회".encode("iso2022_kr"), label) == "배송 조회"


@pytest.mark.parametrize("label", ["", "us-ascii", "unknown-8bit"])
@pytest.mark.parametrize("codec", ["utf-8", "cp949"])
def test_without_an_honest_label_the_bytes_decide(label: str, codec: str) -> None:
    assert decode(BEYOND_EUC_KR.encode(codec), label) == BEYOND_EUC_KR


def test_a_wrong_utf_8_label_is_seen_through() -> None:
    assert decode(BEYOND_EUC_KR.encode("cp949"), "utf-8") == BEYOND_EUC_KR


def test_a_damaged_byte_costs_one_character() -> None:
    assert decode("가나다".encode("cp949") + b"\xff!", "euc-kr") == "가나다\ufffd!"


def test_statistics_come_last() -> None:
    russian = "Здравствуйте, не могу войти в личный кабинет. Помогите, пожалуйста! " * 4
    assert decode(russian.encode("koi8-r") + b"\xff ", "").startswith("Здравствуйте")


def test_wide_charsets_are_not_taken_for_ascii() -> None:
    assert decode("hello".encode("utf-16"), "utf-16") == "hello"
    assert decode(b"+1QDVANUA-", "utf-7")


def test_headers_without_a_label() -> None:
    assert decode_header("결제".encode()) == "결제"
    assert decode_header(BEYOND_EUC_KR.encode("cp949")) == BEYOND_EUC_KR
    assert decode_header("배송".encode("iso2022_kr")) == "배송"
    assert decode_header(b"caf\xe9 ") == "café "


@pytest.mark.parametrize("codec", ["utf-8", "cp949"])
def test_a_latin_1_label_is_seen_through(codec: str) -> None:
    assert decode("결제 오류".encode(codec), "iso-8859-1") == "결제 오류"


@pytest.mark.parametrize("text", ["Ärger über Öl, ÄÖÜ äöüß", "déjà vu, naïve façade", "«¿Qué?» 20°–30°", "Žš €"])
def test_a_latin_1_label_is_believed_of_latin_letters(text: str) -> None:
    assert decode(text.encode("cp1252"), "iso-8859-1") == text
