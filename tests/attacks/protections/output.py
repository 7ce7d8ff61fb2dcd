"""Text that is shown and sent."""

from tests.attacks.mutation import one

MUTATIONS = (
    one(
        "values of secrets taken out", "redaction.py",
        "    return lambda text: pattern.sub(MARK, text)\n", "    return lambda text: text\n",
        "EN-08", "EN-09",
    ),
    one(
        "neutral text: escapes and characters", "neutral.py",
        '    return _ESCAPES.sub("", text).replace("\\r\\n", "\\n").translate(_SHOWN)\n',
        "    return text\n", "OU-01", "OU-03", "OU-06",
    ),
    one(
        "neutral text: commands to a CI system", "neutral.py",
        "    return _COMMANDS.sub(lambda found: f\"{found[1] or ''}{found[0][-1]} \", visible(text))\n",
        "    return visible(text)\n", "OU-02",
    ),
    one(
        "commands of the CI system stopped around a run", "cli/execution.py",
        "    with commands_stopped(world.environment), telemetry(world.environment) as sent:\n",
        "    with telemetry(world.environment) as sent:\n", "OU-02",
    ),
    one(
        "markup escaped on pages", "pages/environment.py", "autoescape=True", "autoescape=False", "OU-04",
    ),
    one(
        "characters and escapes made visible on pages", "pages/environment.py",
        "return visible(value) if type(value) is str else value", "return value", "OU-04",
    ),
    one(
        "console library's markup off", "sinks/printer.py", "text = Text.assemble(*spans)",
        'text = Text.from_markup("".join(s if isinstance(s, str) else s[0] for s in spans))', "OU-06",
    ),
)  # fmt: skip
