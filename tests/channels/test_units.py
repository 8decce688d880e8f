from datetime import timedelta

import pytest
from pydantic import TypeAdapter, ValidationError

from channels.units import Duration, Size, size, spell, spell_size


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        *(("500ms", 0.5), ("90s", 90), ("15m", 900), ("1h", 3600), ("7d", 604800), ("2w", 1209600)),
        *(("1.5H", 5400), ("15 m", 900), ("0", 0), (0, 0), (timedelta(seconds=3), 3)),
    ],
)
def test_durations(written, seconds):
    assert TypeAdapter(Duration).validate_python(written) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("written", "size"),
    [
        *(("256mb", 256_000_000), ("1GB", 10**9), ("1MiB", 2**20), ("16KiB", 16384), ("1.5kb", 1500)),
        *(("1TiB", 2**40), ("512", 512), ("512 b", 512), (512, 512), (0, 0)),
    ],
)
def test_sizes(written, size):
    assert TypeAdapter(Size).validate_python(written) == size


@pytest.mark.parametrize("wrong", ["", "soon", "-5s", "5x", "1h30m", "٣s", "9" * 400, True, None, [], float("nan"), -1])
@pytest.mark.parametrize("kind", [Duration, Size])
def test_anything_else_is_refused_in_words_that_do_not_quote_it(kind, wrong):
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(wrong)
    message = caught.value.errors()[0]["msg"]
    assert "such as" in message
    assert not isinstance(wrong, str) or not wrong or wrong not in message


@pytest.mark.parametrize("bare", [7, "90", 0.25, "1.5", "00", False])
def test_a_number_without_its_unit_is_no_duration(bare):
    with pytest.raises(ValidationError, match="with its unit, such as 500ms"):
        TypeAdapter(Duration).validate_python(bare)


def test_a_duration_beyond_any_calendar_is_refused():
    with pytest.raises(ValidationError, match="longer than any calendar"):
        TypeAdapter(Duration).validate_python("999999999999999w")


@pytest.mark.parametrize("written", ["500ms", "90s", "15m", "1h", "7d", "0ms", "36h"])
def test_a_duration_is_spelled_as_it_was_written(written):
    duration = TypeAdapter(Duration)
    assert spell(duration.validate_python(written)) == written
    assert duration.dump_python(duration.validate_python(written), mode="json") == written


@pytest.mark.parametrize("written", ["1MiB", "1KiB", "64MB", "1GB", "3GiB", "0", "1000", "1537"])
def test_a_size_is_spelled_as_it_was_written(written):
    assert spell_size(size(written)) == written
