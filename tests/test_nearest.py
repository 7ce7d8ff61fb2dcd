"""The nearest known name."""

from agentflow.nearest import nearest


def test_names_the_nearest_one_or_nothing() -> None:
    known = ["allow", "deny", "timeout"]
    assert nearest("alow", known) == "; did you mean 'allow'?"
    assert nearest("tiemout", iter(known)) == "; did you mean 'timeout'?"
    assert nearest("zzz", known) == ""
    assert nearest("", known) == ""
    assert nearest("allow", []) == ""
