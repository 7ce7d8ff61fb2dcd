"""Looks at a change that answer a box of a checklist: what was added, and what was not."""

import re
from collections.abc import Iterable, Mapping

from agentflow.frozen import record
from agentflow.gates.added import Added
from agentflow.gates.runners import is_test
from agentflow.globs import matches

MAX_LINE = 2000
"""Characters of a line that are looked at."""
MAX_BOX = 400
"""Characters of a box that are looked at; the patterns take quadratic time."""
_NO = r"\b(?:no|without) (?:(?:new|explicit|leftover|remaining|stray|use of|added) )*"

_TYPESCRIPT = "**/*.{ts,tsx,mts,cts}"
_SCRIPTS = "**/*.{js,jsx,ts,tsx,mjs,cjs,mts,cts,vue,svelte}"
_PYTHON = "**/*.{py,pyi}"
_CODE = (
    "**/*.{py,pyi,js,jsx,ts,tsx,mjs,cjs,mts,cts,vue,svelte,go,rs,rb,php,java,kt,kts,scala,cs,"
    "swift,c,h,cc,cpp,hpp,ex,exs,sql,sh,bash,css,scss,html,dart,lua,pl}"
)


@record
class Look:
    """One question that added lines answer."""

    name: str
    asked: re.Pattern[str]
    """Found in the words of a box, in lower case and without signs, if it asks this."""
    absent: Mapping[str, re.Pattern[str]]
    """For files by glob, tests aside, what no added line may hold. Empty: the look is for tests."""


@record
class Seen:
    """What a look saw."""

    met: bool
    where: tuple[str, ...] = ()
    """The lines because of which it is not met, as `path:line`."""


LOOKS: tuple[Look, ...] = (
    Look(
        "tests in the diff",
        re.compile(
            r"^(?!.*\b(?:no|not|without|pass|passes|passing|green|fail|fails|coverage|seconds|manual)"
            r"\b)(?:.*\b(?:unit|integration|regression|e2e|new|add|added|write|written|cover|covers"
            r"|covered|include|includes|included|has|have|all|every|each)\b.*\btests\b"
            r"|.*\b(?:tests|test (?:cases?|files?)) (?:\w+ ){0,2}(?:for|cover|covers|added|written"
            r"|exist|included)\b)"
        ),
        {},
    ),
    Look(
        "no new any",
        re.compile(_NO + r"any(?: types?\b| casts?\b| or\b|$)"),
        {
            _TYPESCRIPT: re.compile(
                r"(?::\s{0,4}|\bas\s{1,4}|<\s{0,4}|[,|]\s{0,4})any\b(?=\s*(?:[;,)=\]}>|&\[{]|$))"
            )
        },
    ),
    Look(
        "no new ignore comments",
        re.compile(r"\b(?:no|without) .*\b(?:tsignore|tsexpecterror|tsnocheck|type ignore)"),
        {
            _SCRIPTS: re.compile(r"@ts-(?:ignore|nocheck|expect-error)"),
            _PYTHON: re.compile(r"#\s{0,4}(?:type|pyright):\s{0,4}ignore"),
        },
    ),
    Look(
        "no TODO added",
        re.compile(_NO + r"(?:todos?|fixmes?)\b"),
        {_CODE: re.compile(r"\b(?:TODO|FIXME|XXX)\b")},
    ),
    Look(
        "no debugging output added",
        re.compile(
            _NO + r"(?:console (?:logs?|output|statements?)|prints|print (?:calls?|statements?)"
            r"|debugger|debug(?:ging)? (?:logs?|output|code|statements?|prints?))\b"
        ),
        {
            _SCRIPTS: re.compile(r"\bconsole\.(?:log|debug|trace)\s?\(|^\s*debugger\b"),
            _PYTHON: re.compile(r"^\s*print\(|\bbreakpoint\(\)|\bpdb\.set_trace\("),
            "**/*.rb": re.compile(r"\bbinding\.(?:pry|irb)\b"),
            "**/*.php": re.compile(r"\bvar_dump\("),
        },
    ),
)


def asked_looks(words: str) -> tuple[Look, ...]:
    """The looks that a box asks for, by its words in lower case between single blanks."""
    return tuple(look for look in LOOKS if look.asked.search(words[:MAX_BOX]))


def see(looks: Iterable[Look], change: Iterable[Added]) -> dict[str, Seen]:
    """What each look sees in the added lines, by its name."""
    tests = False
    found: dict[str, list[str]] = {look.name: [] for look in looks}
    wanted = [(look.name, glob, sign) for look in looks for glob, sign in look.absent.items()]
    for added in change:
        tests = tests or _adds_tests(added)
        for name, glob, sign in wanted:
            if matches(glob, added.path) and not is_test(added.path):
                found[name] += [
                    f"{added.path}:{number}"
                    for number, line in added.lines
                    if sign.search(_code(line) if name == "no new any" else line[:MAX_LINE])
                ]
    return {
        look.name: Seen(not found[look.name], tuple(found[look.name])) if look.absent
        else Seen(tests)
        for look in looks
    }  # fmt: skip


def _adds_tests(added: Added) -> bool:
    """Whether a test gained a line, or a Rust file a test of its own."""
    inline = added.path.endswith(".rs") and any("#[test]" in line for _, line in added.lines)
    return inline or (is_test(added.path) and bool(added.lines))


def _code(line: str) -> str:
    """A line of TypeScript without texts and without the comment at its end."""
    plain = re.sub(r"'[^'\n]{0,500}'|\"[^\"\n]{0,500}\"|`[^`\n]{0,500}`", '""', line[:MAX_LINE])
    return re.sub(r"//.*|^\s*\*.*|/\*.*", "", plain)
