"""Cases of what was said: `quotes/known/` were looked at while the splitter was written, `quotes/held-out/` were not.

Those in `quotes/outside/` were written by somebody who had seen neither the splitter nor its table of markers.

A case is a mail's text cut into sections by lines like `=== new`: `new` is the writer's, `context` is quoted and must
stay because of new words under it, `quote` and `signature` must go. In a case with an `html` section the page is what
came; the others say what is to be left of it.
"""

from dataclasses import dataclass
from pathlib import Path

from normalizers.html import page_to_text, parse_page
from normalizers.mail.quotes.pages import mark_quotes
from normalizers.mail.said import Said, said
from normalizers.text import clean_text

FOLDER = Path(__file__).parent / "quotes"


@dataclass(frozen=True)
class Case:
    path: Path
    sections: tuple[tuple[str, list[str]], ...]

    @property
    def client(self) -> str:
        return self.path.stem

    def lines(self, *kinds: str) -> list[str]:
        return [line for kind, lines in self.sections if kind in kinds for line in lines]

    @property
    def words(self) -> str:
        """What the splitter is given."""
        if page := "\n".join(self.lines("html")):
            return clean_text(page_to_text(page, parse_page(page), mark_quotes))
        return clean_text("\n".join(self.lines("new", "context", "quote", "signature")))

    @property
    def result(self) -> Said:
        return said(self.words)

    @property
    def is_exact(self) -> bool:
        return tidy(self.result.text.split("\n")) == tidy(self.lines("new", "context"))


@dataclass(frozen=True)
class Figures:
    """Of a set of cases, in shares of lines and of cases."""

    cases: int
    kept: float
    leaked: float
    exact: float

    def __str__(self) -> str:
        shares = f"{self.kept:.1%} of the new lines kept, {self.leaked:.1%} of the quoted lines left"
        return f"{self.cases} cases: {shares}, {self.exact:.1%} of the mails split exactly"


def cases(folder: str) -> list[Case]:
    return [_read(path) for path in sorted((FOLDER / folder).glob("*.txt"))]


def figures(some: list[Case]) -> Figures:
    new = kept = old = leaked = 0
    for case in some:
        left = set(tidy(case.result.text.split("\n")))
        wanted = set(tidy(case.lines("new", "context")))
        unwanted = set(tidy(case.lines("quote", "signature"))) - wanted
        if case.lines("html"):
            unwanted = set(tidy(case.words.split("\n"))) - wanted
        ours = set(tidy(case.lines("new")))
        new, kept = new + len(ours), kept + len(ours & left)
        old, leaked = old + len(unwanted), leaked + len(unwanted & left)
    exact = sum(case.is_exact for case in some) / len(some)
    return Figures(cases=len(some), kept=kept / new, leaked=leaked / old, exact=exact)


def tidy(lines: list[str]) -> list[str]:
    """Lines with words, without white space at their ends."""
    return [clean_text(line).strip() for line in lines if line.strip()]


def _read(path: Path) -> Case:
    sections: list[tuple[str, list[str]]] = []
    for line in path.read_text(encoding="utf-8").removesuffix("\n").split("\n"):
        if line.startswith("=== "):
            sections.append((line[4:], []))
        else:
            sections[-1][1].append(line)
    return Case(path=path, sections=tuple(sections))
