from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from gateway.settings.file import ConfigError, read


@pytest.fixture
def data(tmp_path):
    """The values of a YAML text; faults of single values are raised too."""

    def parse(text: str, **environ: str) -> Any:
        path = tmp_path / "gateway.yaml"
        path.write_bytes(dedent(text).encode())
        source, values = read(path, environ)
        if source.problems:
            raise ConfigError(source.problems)
        return values

    return parse


@pytest.fixture
def errors(data, tmp_path):
    """What is wrong with a YAML text, as `line:column: …`."""

    def parse(text: str, **environ: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            data(text, **environ)
        return [str(error).removeprefix(f"{tmp_path}/gateway.yaml").lstrip(":") for error in caught.value.errors]

    return parse


def test_scalars_follow_the_core_schema_of_yaml_1_2(data):
    text = """
        words: [NO, yes, on, 1_000, 12:30, 2026-01-01, "7", 'true', !!str 0212]
        values: [7, -7, 0o17, 0x1F, 1.5, true, False, null, ~, ]
        none:
    """
    assert data(text) == {
        "words": ["NO", "yes", "on", "1_000", "12:30", "2026-01-01", "7", "true", "0212"],
        "values": [7, -7, 15, 31, 1.5, True, False, None, None],
        "none": None,
    }


def test_a_yaml_1_1_line_does_not_turn_words_into_booleans(data):
    assert data("%YAML 1.1\n---\ncountry: NO") == {"country": "NO"}


def test_an_empty_file_has_no_sections(data):
    assert data("# nothing\n") == {}


def test_keys_are_text_as_written(data):
    assert data("{no: 1, 0212: 2}") == {"no": 1, "0212": 2}


def test_a_byte_order_mark_is_not_part_of_the_first_key(data):
    assert data("\ufeffhttp: 1") == {"http": 1}


def test_windows_line_ends_keep_their_positions(errors):
    assert errors('a: 1\r\nb: "${GONE}"\r\n')[0].startswith("2:5: b: the environment variable GONE")


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("${HOST}", "mail.example"),
        ("${HOST:-other}", "mail.example"),
        ("${GONE:-}", ""),
        ("${EMPTY:-default}", "default"),
        ("${EMPTY}", ""),
        ("smtp://${HOST}:${PORT:-25}/", "smtp://mail.example:25/"),
        ("$${HOST} and $HOST", "${HOST} and $HOST"),
        ("${NESTED}", "${HOST}"),
    ],
)
def test_variables_are_replaced(data, written, value):
    environ = {"HOST": "mail.example", "EMPTY": "", "NESTED": "${HOST}"}
    assert data(f'key: "{written}"', **environ) == {"key": value}


def test_variables_are_replaced_in_plain_and_block_texts(data):
    text = """
        plain: ${HOST}
        block: |
          to ${HOST}
    """
    assert data(text, HOST="here") == {"plain": "here", "block": "to here\n"}


def test_a_replaced_value_is_text_whatever_it_looks_like(data):
    assert data("key: ${PIN}", PIN="0212345678") == {"key": "0212345678"}


def test_a_secret_file_is_read_without_its_last_line_end(data, tmp_path):
    secret = tmp_path / "token"
    secret.write_bytes(b"s3cret\r\n")
    assert data(f'token: "Bearer ${{file:{secret}}}"') == {"token": "Bearer s3cret"}


def test_each_reference_that_brings_nothing_is_pointed_at(errors, tmp_path):
    text = f"""\
        http:
          host: "a-${{GONE}}-b-${{ALSO_GONE}}"
          port: ${{file:{tmp_path}/none}}
        list: [x, "${{bad name}}"]
        pipe: ${{file:/dev/zero}}
        """
    assert errors(text) == [
        "2:12: http.host: the environment variable GONE is not set (a default is written ${GONE:-…})",
        "2:22: http.host: the environment variable ALSO_GONE is not set (a default is written ${ALSO_GONE:-…})",
        f"3:9: http.port: the secret file '{tmp_path}/none' was not found",
        "4:12: list.1: a variable is written ${NAME} or ${NAME:-default}; write $${ for a literal ${",
        "5:7: pipe: the secret file '/dev/zero' is not a regular file",
    ]


def test_secret_files_are_bounded_and_utf_8(errors, tmp_path):
    (tmp_path / "big").write_bytes(b"x" * 70_000)
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    text = f'a: "${{file:{tmp_path}/big}}"\nb: "${{file:{tmp_path}/latin}}"'
    assert [error.rpartition("' ")[2] for error in errors(text)] == [
        "is larger than 64 KiB",
        "is not UTF-8 text",
    ]


def test_every_repeated_key_is_named(errors):
    text = """\
        http: {port: 1, host: a, port: 2}
        queue: 1
        http: 2
        """
    assert errors(text) == [
        "1:26: http.port: this key stands twice, first in line 1",
        "3:1: http: this key stands twice, first in line 1",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1", "1:6: is not valid YAML: expected ',' or ']', but got '<stream end>'"),
        ("a:\n\tb: 1", "2:1: is not valid YAML: indent with spaces, not with a tab"),
        ("a: b: c", "1:5: is not valid YAML: mapping values are not allowed here"),
        ("a: {b: ${C}}", "(put a value that holds ${…} in quotes here)"),
        ("a: *s3cret", "1:4: a value that begins with * is a YAML alias: put it in quotes"),
        ("a: !s3cret!x 1", "1:4: a value that begins with ! is a YAML tag: put it in quotes"),
        ("a: !s3cret 1", "1:4: a: YAML tags (!name) have no meaning here: put a text in quotes"),
        ("a: &s3cret 1\nb: *s3crets", "a value that begins with *"),
        ("x: &m {y: 1}\nz: {<<: *m}", "2:5: z.<<: YAML 1.2 has no merge key: repeat the keys"),
        ("? [a]\n: b", "1:3: a key must be a plain word"),
        ("--- 1\n--- 2", "2:1: is not valid YAML here: the settings are one document (---)"),
        ("- a", "1:1: must be a mapping of sections (http:, queue:, channels: …)"),
        ("a: b\nc: x\x00", "2:5: holds a control character"),
        ("[\n" * 3000, "1:1: is nested too deeply"),
    ],
)
def test_broken_yaml_is_one_line_without_a_value(errors, text, said):
    found = errors(text)
    assert len(found) == 1
    assert said in found[0]
    assert "s3cret" not in found[0]


def test_alias_bombs_are_refused_quickly(errors):
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    assert errors("\n".join(lines))[0].endswith("has more than 100 YAML aliases")
    assert errors("a: &a [*a]")[0].endswith("has more than 100 YAML aliases")


def test_a_few_aliases_are_fine(data):
    assert data("a: &a [1]\nb: *a\nc: *a") == {"a": [1], "b": [1], "c": [1]}


def test_huge_numbers_are_text(data):
    assert data(f"a: {'9' * 5000}\nb: 1e99999") == {"a": "9" * 5000, "b": "1e99999"}


def test_files_that_cannot_be_read_say_why(tmp_path):
    latin, huge = tmp_path / "latin.yaml", tmp_path / "huge.yaml"
    latin.write_bytes(b"a: 1\nb: caf\xe9")
    huge.write_bytes(b"#" * (2**20 + 1))
    said = {}
    for path in (tmp_path / "none.yaml", tmp_path, latin, huge):
        with pytest.raises(ConfigError) as caught:
            read(path, {})
        said[path.name] = str(caught.value)
    assert said == {
        "none.yaml": f"{tmp_path}/none.yaml: not found",
        tmp_path.name: f"{tmp_path}: cannot be read: Is a directory",
        "latin.yaml": f"{latin}:2:1: is not UTF-8 text",
        "huge.yaml": f"{huge}: is larger than 1 MiB",
    }


def test_every_key_and_item_can_be_located(tmp_path):
    path = Path(tmp_path, "gateway.yaml")
    path.write_text("http:\n  port: 1\ntiers: [a, b]\n", encoding="utf-8")
    source, _ = read(path, {})
    assert source.locate(("http", "port")) == (2, 3)
    assert source.locate(("http", "port"), "value") == (2, 9)
    assert source.locate(("tiers", 1)) == (3, 12)
    assert source.locate(("http", "host"), "value") == (1, 1), "the section that could hold it"
    assert source.locate(("logs",)) == (1, 1)
    assert ("http", "port") in source
    assert ("http", "host") not in source
