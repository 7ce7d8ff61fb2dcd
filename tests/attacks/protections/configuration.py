"""What a repository may say and ask for."""

from tests.attacks.mutation import one, tested

MUTATIONS = (
    one(
        "markers in git are not ours", "admission.py",
        'if plan.repository.tracks(path) or (marker.parent / ".git").exists():', "if False:", "TP-06",
    ),
    one(
        "a repository sets what it may", "settings.py",
        "        if own or key != name:\n", "        if False:\n", "TP-04",
    ),
    one(
        "foreign pull requests refused", "plan.py",
        "    check_event(world.environment, allowed=settings.allow_foreign_head)\n", "", "TP-09",
    ),
    one(
        "aliases in YAML refused", "frontmatter.py", "if self.check_event(yaml.AliasEvent):", "if False:", "TP-03",
    ),
    one(
        "templates rendered under limits", "prompts/template_child.py", "    limit()\n    try:", "    try:", "TP-02",
    ),
    one(
        "what widens a repository's reach needs the user's trust", "settings.py",
        "    trust.check(widening(table), CONFIG)\n", "", "TP-04",
    ),
    tested(
        "trust is of exactly the granted words", "trust.py",
        "return not wanted or wanted == self.text or", "return not wanted or bool(self.text) or",
        "tests/test_trust.py", "tests/run/test_hooks.py", "-k", "only_the_same_words or exactly_its_words",
    ),
)  # fmt: skip
