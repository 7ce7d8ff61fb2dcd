"""The long form, guided by coverage: `python -m tests.fuzz.guided NAME [libFuzzer's options]`.

Needs atheris, which the project does not depend on: `.venv/bin/pip install atheris`. Ends with an
error and the input that failed, or after `-max_total_time=SECONDS`.
"""

import importlib
import sys
from typing import Any

TESTS = {
    "policies": "tests.fuzz.test_policies:test_mounts_are_of_the_tree_and_only_of_what_is_named",
    "globs": "tests.test_boundaries:test_nothing_that_is_accepted_escapes",
    "paths": "tests.test_boundaries:test_a_match_is_what_the_brute_force_reference_says",
    "frames": "tests.fuzz.test_frames:test_a_line_is_an_answer_or_refused",
    "requests": "tests.fuzz.test_proxies:test_a_second_reader_reads_the_same_host",
    "hosts": "tests.sandbox.test_hosts:test_a_host_is_canonical_or_refused",
    "hellos": "tests.fuzz.test_proxies:test_openssl_reads_no_other_name",
}
"""Those that start no process: policy, the globs of boundaries and import, a toolbox's answers, proxy."""


def main(name: str, *options: str) -> None:
    """Give a generated test whatever bytes reach more of its code."""
    atheris: Any = importlib.import_module("atheris")
    module, _, test = TESTS[name].partition(":")
    with atheris.instrument_imports(include=["agentflow"]):
        found: Any = getattr(importlib.import_module(module), test)
    atheris.Setup([sys.argv[0], *options], found.hypothesis.fuzz_one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
