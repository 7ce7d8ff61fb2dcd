import itertools
import random

from agentflow.globs import matches
from agentflow.overlaps import overlap

NAMES = ["a", "b", "ab", "ba", "aa", "bb"]
PATHS = ["/".join(names) for n in range(1, 5) for names in itertools.product(NAMES, repeat=n)]
PIECES = ["a", "b", "*", "**", "?", "a*", "*b", "{a,b}", "?b", "{a*,bb}"]


def test_two_globs_overlap_if_and_only_if_some_path_matches_both() -> None:
    # Two names and two `**` at most: a shortest common path has four names of two letters.
    rng = random.Random(7)
    globs = sorted({
        "/".join(rng.choices(PIECES, k=rng.randint(1, 2))) + rng.choice(["", "", "/"])
        for _ in range(90)
    })
    covered = {glob: {path for path in PATHS if matches(glob, path)} for glob in globs}
    answers = set[bool]()
    for one, other in itertools.product(globs, repeat=2):
        expected = bool(covered[one] & covered[other])
        answers.add(expected)
        assert overlap(one, other) is expected, (one, other)
    assert answers == {True, False}


def test_a_common_beginning_is_no_overlap() -> None:
    assert not overlap("src/*.py", "src/*.ts")
    assert not overlap("src/app", "src/application/**")
    assert overlap("src/**/test_*.py", "src/api/**")
