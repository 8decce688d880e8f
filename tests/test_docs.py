"""What the documents say is true: links lead somewhere, commands exist, and the guide's channel keeps the promises."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import click
import pytest

from channels.testing import AdapterContract
from gateway.cli import cli

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "channels").glob("*/README.md")])
GUIDE = ROOT / "docs" / "adding-a-channel.md"

FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]+)[^)]*\)")
HEADING_LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)#([^)\s]+)\)")
COMMAND = re.compile(r"python -m gateway ([\w-]+)")
WHOLE_FILE = re.compile(r"^`([\w./-]+\.\w+)`[^\n]*\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_link_leads_somewhere(document):
    prose = FENCED.sub("", document.read_text(encoding="utf-8"))
    targets = [unquote(target) for target in LINK.findall(prose)]
    assert not [target for target in targets if not (document.parent / target).exists()]


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_link_to_a_heading_finds_it(document):
    for target, anchor in HEADING_LINK.findall(FENCED.sub("", document.read_text(encoding="utf-8"))):
        page = (document.parent / target if target else document).read_text(encoding="utf-8")
        headings = re.findall(r"^#+ (.+)$", FENCED.sub("", page), re.MULTILINE)
        assert anchor in [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_command_exists(document):
    commands = set(COMMAND.findall(document.read_text(encoding="utf-8")))
    assert commands <= set(cli.list_commands(click.Context(cli)))


def test_the_documents_name_links_and_commands():
    text = "\n".join(document.read_text(encoding="utf-8") for document in DOCUMENTS)
    assert len(LINK.findall(text)) > 10
    assert {"simulate", "tail", "check"} <= set(COMMAND.findall(text))


def files_of_the_guide():
    """Its code blocks that are whole files, by path."""
    return dict(WHOLE_FILE.findall(GUIDE.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A copy of the tree with the channel of the guide built in, as a reader of the guide would have it."""
    house = tmp_path_factory.mktemp("house")
    for room in ("gateway", "channels", "normalizers"):
        shutil.copytree(ROOT / room, house / room, ignore=shutil.ignore_patterns("__pycache__"))
    for path, content in files_of_the_guide().items():
        file = house / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
    registry = house / "channels" / "registry.py"
    source = registry.read_text(encoding="utf-8")
    registry.write_text(source.replace("BUILT_IN = (", 'BUILT_IN = ("note", ', 1), encoding="utf-8")
    contracts = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (house / "pyproject.toml").write_text(contracts.replace("email | ", "email | note | "), encoding="utf-8")
    return house


def run(house, tool, *arguments):
    """Run a tool of the virtual environment in the copy; what it said, and that it was content."""
    done = subprocess.run(
        [Path(sys.executable).with_name(tool), *arguments],
        cwd=house, env={**os.environ, "NOTE_SECRET": "a-secret"}, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_guide_writes_every_file_of_a_channel():
    adapter = {f"channels/note/{name}.py" for name in ("__init__", "settings", "adapter", "simulate")}
    beside = {"channels/note/README.md", "channels/note/samples/1-hello.json"}
    assert set(files_of_the_guide()) == {"normalizers/note.py", "tests/channels/test_note.py"} | adapter | beside


def test_the_channel_of_the_guide_keeps_every_promise(house):
    said = run(house, "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/channels/test_note.py")
    promises = [name for name in dir(AdapterContract) if name.startswith("test_")]
    passed = re.search(r"^(\d+) passed in", said, re.MULTILINE)
    assert passed, said
    assert int(passed[1]) >= len(promises)


def test_the_channel_of_the_guide_is_written_by_the_rules_of_the_house(house):
    modules = [path for path in files_of_the_guide() if path.endswith(".py")]
    run(house, "ruff", "check", "--no-cache", *modules)
    run(house, "ruff", "format", "--no-cache", "--check", *modules)
    run(house, "lint-imports", "--no-cache")


def test_the_channel_of_the_guide_is_switched_on_as_it_says(house):
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (house / "gateway.yaml").write_text(block, encoding="utf-8")
    assert "1 inbox: notes" in run(house, "python", "-m", "gateway", "check", "--config", "gateway.yaml")
    listed = run(house, "python", "-m", "gateway", "channels").splitlines()
    assert "note Notes of our own programs, POSTed as signed JSON." in [" ".join(line.split()) for line in listed]
