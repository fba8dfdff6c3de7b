"""Refuse words and phrases that have a better name in this project; ``make check`` runs this file.

Markdown, and the docstrings, comments and messages of Python files are checked. Code is not: identifiers, flags, paths,
JSON keys (a string without a space is one) and everything in backticks keep their names. CONTRIBUTING.md has the
rules that no regular expression can check.
"""

from __future__ import annotations

import io
import re
import sys
import token
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from places import ROOT

ROOTS = (
    *("README.md", "CONTRIBUTING.md", "SECURITY.md", ".github", "docs", "mhpdata", "mhpmodels", "tools", "examples"),
    *("benchmarks", "tests", "setup.py", "noxfile.py"),
)
"""Files to check, and folders whose Markdown and Python files are checked."""
EXCEPT = ("tests/support/words.py", "tests/whole/test_words.py", "benchmarks/results")
"""What holds the refused words themselves, and results of runs, which stay as they were printed."""

CODE = "\0"
"""Replaces code, so that no phrase matches across it."""
DOCSTRING, STRING = "\1", "\2"
"""Mark the start of a docstring and of any other string."""
GAP = rf"[\s{DOCSTRING}{STRING}]+"
"""Matches the gap between two words, even if the second one is in the next string."""


class Refused(NamedTuple):
    """A regular expression, in which a space matches any white space, and the words to use instead."""

    pattern: str
    say: str


PER = (
    r"(image|second|minute|hour|day|epoch|step|class|thread|core|rank|node|worker|process|batch|record|shard|row|pixel"
    r"|GPU)"
)
COUNTED = r"(ms|s|seconds|minutes|hours|[Oo]nce|[Tt]wice|times|images|samples|records|files|lines|bytes|[KMG]i?B|steps)"

WORDS = [
    Refused(r"\b[Pp]hoto(s|graph|graphs)?\b", "image"),
    Refused(r"\b[Pp]ictures?\b", "image; of what mhp draws: figure, sheet, overlay"),
    Refused(r"\b([Gg]o|[Gg]oes|[Gg]oing|[Ww]ent|[Gg]one) on\b", "resume, continue"),
    Refused(r"\b([Aa]new|[Aa]fresh)\b", "again; from scratch; new"),
    Refused(r"\b[Bb]ehind\b", "after, past"),
    Refused(r"\bno more memory\b", "out of memory"),
    Refused(r"\bnothing (of|with|by) (this|that|the) name\b", "missing, not found"),
    Refused(r"\b(can|cannot|could|could not|not|is|are|to) be had\b", "missing, not found, available"),
    Refused(r"\bof another make\b", "unsupported"),
    Refused(r"\b[Ww]eakness(es)?\b", "vulnerability"),
    Refused(r"\b[Cc]ontested\b", "overlapping (pixels); conflicting (labels)"),
    Refused(r"\bannotators? (draws?|drew|drawn)\b", "annotation, mask, label map"),
    Refused(r"\b([Oo]ld|former) (recipe|way)\b|\brecipe of (old|2020)\b|\bof old\b", "GluonCV recipe"),
    Refused(r"\b(is|are|was|were|be) not finite\b", "non-finite"),
    Refused(r"\b[Ee]nlarg(e|es|ed|ing|ement)\b", "resize, upsample"),
    Refused(r"\bcop(y|ies|ied) ahead\b", "prefetch"),
    Refused(r"\bcomes? (more often|several times)\b", "is oversampled"),
    Refused(r"\b(what|which) chance does\b", "random draws, augmentation"),
    Refused(r"\b[Ww]ho(m)?ever\b", "the caller, worker, thread, rank or node"),
    Refused(r"\bat the most\b", "at most; peak memory"),
    Refused(r"\b(was|were|is|are|been) not tried\b|\bnever tried\b", "not yet tested; known limitation"),
    Refused(r"\b[Ww]ho owns\b", "which person each pixel belongs to"),
    Refused(r"\b[Tt]he law:", "the rule, the invariant, or the property itself (stateless)"),
    Refused(r"\b[Aa] good download\b", "a complete download"),
    Refused(r"\bthe same say\b", "equal weight"),
    Refused(r"\bfor so long\b|\bso many times\b", "the number and its unit"),
    Refused(r"\bkeeps nobody from\b", "never fails, does not prevent"),
    Refused(r"\b[Mm]end(s|ed|ing)?\b", "fix, repair"),
    Refused(rf"\b{COUNTED}( of [\w-]+)? an? {PER}\b", "per (per image, per epoch, one per core)"),
    Refused(rf"{DOCSTRING}\s*(Of|As|What|Where|Whoever|So many|How many|For whoever)\b", "an imperative verb"),
    Refused(rf"{STRING}(Of|Whoever|So many|How many)\b", "the thing itself (Number of epochs.)"),
]

COMMANDS = [
    Refused(r"\bpip install (-U |--upgrade )?['\"]?(mhp|mhpkit)\b", "pip install . (from the checkout)"),
]
"""Patterns that are refused in code and backticks, too."""

NOT_PROSE = [
    re.compile(r"(`+)[^`].*?\1", re.DOTALL),
    re.compile(r"<!--.*?-->", re.DOTALL),
    re.compile(r"<?\bhttps?://[^\s>)]+"),
    re.compile(r"\]\([^)\s]+\)"),  # the target of a link
    re.compile(r"(?<![\w-])--?[A-Za-z][\w-]*"),  # flags
    re.compile(r"\w*_\w+|\w+(?:\.\w+)+|[\w.-]*/[\w./-]*"),  # identifiers, file names and paths
]


class Finding(NamedTuple):
    """A refused text: its line (from 1), the text, and the words to use instead."""

    line: int
    found: str
    say: str


def without_code(prose: str) -> str:
    """Return the text, of the same length, with CODE for flags, paths, identifiers and everything in backticks."""
    for pattern in NOT_PROSE:
        prose = pattern.sub(lambda match: hidden(match[0]), prose)
    return prose


def hidden(text: str) -> str:
    """Return one CODE mark per character; line ends stay."""
    return re.sub(r"[^\n]", CODE, text)


def prose_of_markdown(text: str) -> str:
    """Return the prose of a page, each character at its offset; blocks of code keep only their comments."""
    lines, fenced = [], False
    for line in text.splitlines(keepends=True):
        if line.lstrip().startswith("```"):
            fenced = not fenced
            lines.append(hidden(line))
        elif fenced:
            code, mark, comment = line.partition("# ")
            lines.append(hidden(code + mark) + comment if mark else hidden(line))
        else:
            lines.append(re.sub(r"^\s*>", lambda match: " " * len(match[0]), line))
    return without_code("".join(lines))


def prose_of_python(source: str) -> str:
    """Return the prose of a module, each character at its offset: comments, docstrings, strings with a space."""
    rows = [[" "] * len(line) for line in source.splitlines()]
    for kind, text, (row, column), _, _ in tokenize.generate_tokens(io.StringIO(source).readline):
        for offset, line in enumerate(prose_of_token(kind, text).split("\n")):
            start = column if offset == 0 else 0
            if line:
                rows[row - 1 + offset][start : start + len(line)] = line
    return without_code("\n".join("".join(row) for row in rows))


def prose_of_token(kind: int, text: str) -> str:
    """Return the prose of one token, each character at its offset; code becomes CODE, white space remains empty."""
    name = token.tok_name[kind]
    if name == "COMMENT":
        return text.replace("#", " ", 1)
    if name in ("NEWLINE", "NL", "INDENT", "DEDENT", "ENDMARKER"):
        return ""
    if name == "FSTRING_MIDDLE":
        return blank_escapes(text)
    if name in ("FSTRING_START", "FSTRING_END"):
        return " " * len(text)
    if name == "STRING":
        return prose_of_string(text)
    return hidden(text)


def prose_of_string(text: str) -> str:
    """Return the prose of a string as written, without prefix and quotes; a single word is a key, a name or a path."""
    match = re.fullmatch(r"(\w*)(\"\"\"|'''|\"|')(.*)\2", text, re.DOTALL)
    assert match is not None, text
    prefix, quotes, content = match.groups()
    if not content.strip() or (" " not in content and len(quotes) == 1):
        return hidden(text)
    if "f" in prefix.lower():
        content = re.sub(r"\{[^{}]*(\{[^{}]*\}[^{}]*)*\}", lambda value: hidden(value[0]), content)
    begin = DOCSTRING if len(quotes) == 3 else STRING
    return (
        " " * len(prefix) + (begin if len(quotes) == 1 else "  " + begin) + blank_escapes(content) + " " * len(quotes)
    )


def blank_escapes(text: str) -> str:
    """Return the text with spaces for the escapes of white space."""
    return re.sub(r"\\[nrt]", "  ", text)


def findings(path: Path) -> list[Finding]:
    """Return the refused texts of a Markdown or Python file, by line."""
    text = path.read_text(encoding="utf-8")
    prose = prose_of_python(text) if path.suffix == ".py" else prose_of_markdown(text)
    found = [*matches(WORDS, prose), *matches(COMMANDS, text)]
    return sorted(found)


def matches(words: list[Refused], text: str) -> Iterator[Finding]:
    """Yield a finding for each match of a pattern in a text."""
    for word in words:
        for match in re.finditer(word.pattern.replace(" ", GAP), text):
            found = " ".join(re.split(GAP, match[0])).strip()
            yield Finding(text.count("\n", 0, match.start()) + 1, found, word.say)


def checked(roots: tuple[str, ...] = ROOTS, base: Path = ROOT) -> list[Path]:
    """Return the files to check; raise FileNotFoundError for a root that does not exist."""
    paths = []
    for root in roots:
        path = base / root
        if not path.exists():
            raise FileNotFoundError(f"{root} is in ROOTS and does not exist")
        paths += [path] if path.is_file() else [*path.rglob("*.md"), *path.rglob("*.py")]
    spared = [base / name for name in EXCEPT]
    return sorted(path for path in paths if not any(path == one or one in path.parents for one in spared))


def main() -> int:
    """Print each finding as file:line, the text and the words to use instead; return 1 if there is any."""
    count = 0
    for path in checked():
        for line, found, say in findings(path):
            print(f"{path.relative_to(ROOT)}:{line}: {found!r}; say: {say}")
            count += 1
    if count:
        print(f"{count} words to replace. Rewrite the sentence, do not just swap the word (CONTRIBUTING.md, Words).")
    return int(count > 0)


if __name__ == "__main__":
    sys.exit(main())
