"""The long form, guided by coverage: `python -m tests.fuzz.guided NAME [libFuzzer's options]`.

Needs atheris, which the project does not depend on: `.venv/bin/pip install atheris`. Ends with an
error and the input that failed, or after `-max_total_time=SECONDS`.
"""

import importlib
import sys
from typing import Any


def main(name: str, *options: str) -> None:
    """Give a generated test whatever bytes reach more of its code."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["agentflow"]):
        policies: Any = importlib.import_module("tests.fuzz.test_policies")
        proxies: Any = importlib.import_module("tests.fuzz.test_proxies")
    test = {
        "policies": policies.test_mounts_are_of_the_tree_and_only_of_what_is_named,
        "requests": proxies.test_a_second_reader_reads_the_same_host,
        "hellos": proxies.test_openssl_reads_no_other_name,
    }[name]
    atheris.Setup([sys.argv[0], *options], test.hypothesis.fuzz_one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
