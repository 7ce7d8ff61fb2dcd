"""Registries: which hosts a package manager reaches, by the repository's files or by the tool."""

import re
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from agentflow.frozen import record
from agentflow.init.files import MAX_LOCK, Files
from agentflow.init.host import Host
from agentflow.init.proposal import inside

MAX_HOSTS = 12
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
_URL = r"(?:sparse\+|registry\+)?(https?://[^\s\"'<>,)}\]]+)"

PATTERNS: dict[str, tuple[tuple[str, re.Pattern[str]], ...]] = {
    "npm": (
        (".npmrc", re.compile(rf"^[^#;\n]*registry[ \t]*=[ \t]*{_URL}", re.MULTILINE)),
        (".yarnrc", re.compile(rf"^[^#\n]*registry\"?[ \t]+\"?{_URL}", re.MULTILINE)),
        (".yarnrc.yml", re.compile(rf"npmRegistryServer:[ \t]*[\"']?{_URL}")),
        ("package-lock.json", re.compile(rf'"resolved":[ \t]*"{_URL}')),
        ("npm-shrinkwrap.json", re.compile(rf'"resolved":[ \t]*"{_URL}')),
        ("yarn.lock", re.compile(rf'^[ \t]+resolved "{_URL}', re.MULTILINE)),
        ("pnpm-lock.yaml", re.compile(rf"\btarball: {_URL}")),
    ),
    "python": (
        ("pip.conf", re.compile(rf"^[ \t]*(?:extra-)?index-url[ \t]*=[ \t]*{_URL}", re.MULTILINE)),
        ("uv.toml", re.compile(rf"^[ \t]*(?:default-)?(?:index-)?url[ \t]*=[ \t]*\"{_URL}", re.MULTILINE)),
        ("uv.lock", re.compile(rf'\b(?:registry|url) = "{_URL}')),
        ("poetry.lock", re.compile(rf'^url = "{_URL}', re.MULTILINE)),
        ("pdm.lock", re.compile(rf'\burl = "{_URL}')),
        ("Pipfile.lock", re.compile(rf'"url":[ \t]*"{_URL}')),
        ("pyproject.toml", re.compile(
            rf"^[ \t]*(?:index-url|url|default-index)[ \t]*=[ \t]*\"{_URL}", re.MULTILINE)),
    ),
    "cargo": (
        (".cargo/config.toml", re.compile(rf"^[ \t]*(?:registry|index)[ \t]*=[ \t]*\"{_URL}", re.MULTILINE)),
        (".cargo/config", re.compile(rf"^[ \t]*(?:registry|index)[ \t]*=[ \t]*\"{_URL}", re.MULTILINE)),
        ("Cargo.lock", re.compile(rf'^source = "(?=sparse\+){_URL}', re.MULTILINE)),
    ),
    "go": (),
}  # fmt: skip
"""For each ecosystem the files that name a registry, and how."""
REQUIREMENTS = re.compile(
    rf"^[ \t]*(?:-i|--index-url|--extra-index-url|--find-links|-f)[ \t=]+{_URL}", re.MULTILINE
)
"""Options of requirements files."""


@record
class Question:
    """How a tool is asked for its registry."""

    command: tuple[str, ...]
    variable: str
    """The variable that overrules its settings."""
    bare: Mapping[str, str]
    """Variables that take the user's settings away from it."""


QUESTIONS: dict[str, Question] = {
    "npm": Question(
        ("npm", "config", "get", "registry"),
        "npm_config_registry",
        {"npm_config_userconfig": "/nonexistent/u", "npm_config_globalconfig": "/nonexistent/g"},
    ),
    "python": Question(
        ("python3", "-m", "pip", "config", "get", "global.index-url"),
        "PIP_INDEX_URL",
        {"PIP_CONFIG_FILE": "/dev/null"},
    ),
    "go": Question(("go", "env", "GOPROXY"), "GOPROXY", {"GOENV": "off"}),
}
"""For each ecosystem what its tool is asked."""


@record
class Reach:
    """What installing needs of the network."""

    hosts: tuple[str, ...]
    unfamiliar: tuple[str, ...]
    """Those that only the repository's files name, and no tool of this machine."""
    variables: dict[str, str]
    """They tell the tool inside a sandbox, which does not see the user's settings."""


def reach(ecosystem: str, files: Files, folder: str, host: Host, *requirements: str) -> Reach:
    """What installing in a folder needs. `requirements` are further files for pip.

    The repository's files say it, else the tool; where the user set another one, both.
    """
    named = _named(ecosystem, files, folder, requirements)
    configured, variables = _asked(ecosystem, host)
    both = tuple(dict.fromkeys((*named, *configured)))
    unfamiliar = tuple(each for each in named if each not in configured)
    return Reach(both if variables else named or configured, unfamiliar, variables)


def _named(
    ecosystem: str, files: Files, folder: str, requirements: Iterable[str]
) -> tuple[str, ...]:
    found: list[str] = []
    for name, pattern in PATTERNS[ecosystem]:
        for base in dict.fromkeys((folder, "")):
            found += pattern.findall(files.text(inside(base, name), MAX_LOCK))
    for path in requirements:
        found += REQUIREMENTS.findall(files.text(path))
    return known_hosts(found)


def _asked(ecosystem: str, host: Host) -> tuple[tuple[str, ...], dict[str, str]]:
    """What the tool on this machine is set to; no variable if that is its own setting, or holds
    credentials."""
    question = QUESTIONS.get(ecosystem)
    if question is None or not host.has(question.command[0]):
        return (), {}
    answer = host.environment.get(question.variable, "") or host.ask(*question.command)
    urls = [part for part in re.split(r"[,|]", answer) if part.startswith(("http://", "https://"))]
    if not urls or "@" in answer or not answer.isprintable() or " " in answer:
        return known_hosts(urls), {}
    own = host.ask(*question.command, changed={question.variable: "", **question.bare})
    return known_hosts(urls), {} if answer == own else {question.variable: answer}


def known_hosts(urls: Iterable[str]) -> tuple[str, ...]:
    """The distinct hosts of URLs, with a port that is neither 80 nor 443; odd ones left out."""
    found: dict[str, None] = {}
    for url in urls:
        try:
            parts = urlsplit(url)
            name, port = (parts.hostname or "").rstrip("."), parts.port
        except ValueError:
            continue
        if _HOST.fullmatch(name) and len(found) < MAX_HOSTS:
            found[name if port in {None, 80, 443} else f"{name}:{port}"] = None
    return tuple(found)
