"""A make-driven C project: libraries compiled by setup, a formatter, tests."""

import hashlib

from tests.examples.example import FEATURE, PACKAGE, Change, Recipe

CONFIGURATION = """\
prompt = "agent"

[[gates]]
name = "format"
command = "make format"
fix = true

[[gates]]
name = "build"
command = "make build"

[[gates]]
name = "test"
command = "make test"

[[gates]]
name = "lint"
command = "make lint"

[environment]
setup = "make deps"
key = ["vendor/**", "Makefile", "scripts/check-packages"]
provides = ["deps"]
"""

TASKS = {
    FEATURE: """\
---
allow: [src/**, tests/**]
---

# Count words

`count_text` also counts words: what stands between spaces.

- [ ] a text without words has none
- [ ] several spaces separate like one
""",
    PACKAGE: """\
---
allow: [src/**, tests/**, vendor/**, vendor/packages.txt]
---

# Count letters

`count_text` also counts ASCII letters, by a library `ascii` in `vendor/`.
""",
}

_WORDS = """\
static size_t words(const char *text)
{
    size_t found = 0;
    int within = 0;
    for (; *text; text++) {
        int space = *text == ' ' || *text == '\\n' || *text == '\\t';
        found += !space && !within;
        within = !space;
    }
    return found;
}

struct count count_text("""

_TEST = """\
#undef NDEBUG
#include <assert.h>

#include "count.h"

int main(void)
{{
{asserts}    return 0;
}}
"""

FEATURE_CHANGE = Change(
    FEATURE,
    edits=(
        ("src/count.h", "    size_t characters;\n", "    size_t characters;\n    size_t words;\n"),
        ("src/count.c", "struct count count_text(", _WORDS),
        ("src/count.c", "{utf8_length(text)", "{utf8_length(text), words(text)"),
    ),
    files={
        "tests/test_words.c": _TEST.format(
            asserts='    assert(count_text(" \\n").words == 0);\n'
            + '    assert(count_text(" a  bc d").words == 3);\n'
        )
    },
    check="make test lint BUILD=/tmp/build",
)

UNFORMATTED = FEATURE_CHANGE.with_file(
    "tests/test_spaces.c",
    _TEST.format(asserts='\tassert(count_text("  ").words == 0);   \n'),
)
"""The same, with a file that the formatter changes."""

_HEADER = """\
#ifndef ASCII_H
#define ASCII_H

/* Whether it is one of A to Z or a to z. */
int ascii_is_letter(char character);

#endif
"""
_SOURCE = """\
#include "ascii.h"

int ascii_is_letter(char character)
{
    return (character >= 'A' && character <= 'Z') || (character >= 'a' && character <= 'z');
}
"""
_SUM = hashlib.sha256((_SOURCE + _HEADER).encode()).hexdigest()

_LETTERS = """\
static size_t letters(const char *text)
{
    size_t found = 0;
    for (; *text; text++)
        found += ascii_is_letter(*text) != 0;
    return found;
}

struct count count_text("""

PACKAGE_CHANGE = Change(
    PACKAGE,
    edits=(
        ("vendor/packages.txt", "utf8 1.0.0", f"ascii 1.0.0 {_SUM}\nutf8 1.0.0"),
        (
            "src/count.h",
            "    size_t characters;\n",
            "    size_t characters;\n    size_t letters;\n",
        ),
        ("src/count.c", '#include "utf8.h"\n', '#include "ascii.h"\n#include "utf8.h"\n'),
        ("src/count.c", "struct count count_text(", _LETTERS),
        ("src/count.c", "{utf8_length(text)", "{utf8_length(text), letters(text)"),
    ),
    files={
        "vendor/ascii/ascii.h": _HEADER,
        "vendor/ascii/ascii.c": _SOURCE,
        "tests/test_letters.c": _TEST.format(
            asserts='    assert(count_text("a1 Z").letters == 2);\n'
        ),
    },
    check="sh scripts/check-packages",
)

MAKE = Recipe(
    name="make",
    configuration=CONFIGURATION,
    files={},
    tasks=TASKS,
    feature=FEATURE_CHANGE,
    package=PACKAGE_CHANGE,
    broken=("src/count.c", "utf8_length(text)}", "utf8_length(text) + 1}"),
)
