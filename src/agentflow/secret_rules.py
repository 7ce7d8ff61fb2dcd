"""What secrets look like: the formats that issuers publish for their keys and tokens.

`detect-secrets` 1.5.0 was looked at and not taken: its last release is of 2024, it brings `requests`
and settings that are global to the process. Over 1,484 public Markdown files (16.5 million
characters, no real secret) it took 65 s for 27 findings; these rules take 2 s and find nothing.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from agentflow.frozen import record

_PLACEHOLDER = re.compile(
    r"example|placeholder|change[-_]?me|your|insert|dummy|sample|redacted|x{4}|\*{3}|\.{3}|…"
    r"|[<>]|\$[({A-Z]|\{\{|%[({s]|0{6}|12345|abcde|(?:secret|token|password)[-_]?here",
    re.IGNORECASE,
)
_WEAK = frozenset({
    "admin", "dev", "development", "guest", "local", "minioadmin", "mypassword", "mysql", "pass",
    "passwd", "password", "postgres", "pw", "pwd", "rabbitmq", "redis", "root", "secret", "test",
    "testing", "user",
})  # fmt: skip
"""Passwords of URLs in every tutorial."""


@record
class Rule:
    """One kind of secret."""

    name: str
    cues: tuple[str, ...]
    """One of them stands in every text that holds such a secret; empty if there is no such word."""
    pattern: re.Pattern[str]
    """Its group `value` is the secret; without one, the whole match is."""
    certain: bool = True
    """Whether it is a secret in a test or a document too. Elsewhere each rule counts."""
    accept: Callable[[re.Match[str]], bool] = lambda found: True
    """What must hold besides."""
    max_line: int = 0
    """Characters; longer lines (minified code, data) are not searched. 0 means any."""


def entropy(text: str) -> float:
    """Shannon's entropy in bits per character."""
    counts, total = Counter(text).values(), len(text)
    return -sum(n / total * math.log2(n / total) for n in counts) if total else 0.0


def _is_random(found: re.Match[str]) -> bool:
    return entropy(value_of(found)) >= 3.0


def _is_foreign(found: re.Match[str]) -> bool:
    """Whether a URL's password is worth something: not one of a service on the same machine."""
    word = value_of(found).lower()
    return word not in _WEAK and word != found["user"].lower() and "." in found["host"]


def _is_assigned(found: re.Match[str]) -> bool:
    value = value_of(found)
    mixed = re.search(r"\d.*\d", value) and re.search(r"[A-Za-z]", value)
    return bool(mixed) and entropy(value) >= 3.6 and "://" not in value and "(" not in value


def value_of(found: re.Match[str]) -> str:
    """The secret in a match."""
    return found["value"] if "value" in found.re.groupindex else found[0]


_NAME = r"(?:secret|passwd|password|token|api_?key|access_?key|private_?key|credential)"

RULES: tuple[Rule, ...] = (
    Rule("private key", ("PRIVATE KEY-----",), re.compile(
        r"-----BEGIN (?:[A-Z]{2,10} ){0,2}PRIVATE KEY-----(?P<value>(?:\\[nr]|[\s\"'+,]){0,8}"
        r"(?:[A-Za-z0-9-]{1,20}: [^\n]{0,80}\n\s{0,8}){0,3}[A-Za-z0-9+/=]{40,80})")),
    Rule("AWS access key", ("AKIA", "ASIA"), re.compile(
        r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Za-z0-9])"), accept=_is_random),
    Rule("AWS secret key", ("aws", "AWS"), re.compile(
        r"(?:aws|AWS)[\w.-]{0,30}[\"']?\s{0,3}[:=]\s{0,3}[\"']?(?P<value>[A-Za-z0-9/+]{40})"
        r"(?![A-Za-z0-9/+=])"), accept=_is_random),
    Rule("GitHub token", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"), re.compile(
        r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{60,255})"),
        accept=_is_random),
    Rule("GitLab token", ("glpat-",), re.compile(r"\bglpat-[\w-]{20,64}"), accept=_is_random),
    Rule("Slack token", ("xox",), re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{20,255}"),
         accept=_is_random),
    Rule("Slack webhook", ("hooks.slack.com",), re.compile(
        r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/]{30,100}"),
        accept=_is_random),
    Rule("Stripe key", ("k_live_", "whsec_"), re.compile(
        r"\b(?:[rs]k_live_[A-Za-z0-9]{16,255}|whsec_[A-Za-z0-9]{24,64})"), accept=_is_random),
    Rule("Google API key", ("AIza",), re.compile(r"\bAIza[\w-]{35}(?![\w-])"), accept=_is_random),
    Rule("Google client secret", ("GOCSPX-",), re.compile(r"\bGOCSPX-[\w-]{28}"),
         accept=_is_random),
    Rule("Anthropic key", ("sk-ant-",), re.compile(r"\bsk-ant-[a-z0-9]{3,10}-[\w-]{24,255}"),
         accept=_is_random),
    Rule("OpenAI key", ("sk-",), re.compile(
        r"\bsk-(?:(?:proj|svcacct|admin)-[\w-]{40,255}|[A-Za-z0-9]{48}(?![\w-])"
        r"|[\w-]{20,74}T3BlbkFJ[\w-]{20,74})"), accept=_is_random),
    Rule("npm token", ("npm_",), re.compile(r"\bnpm_[A-Za-z0-9]{36}(?!\w)"), accept=_is_random),
    Rule("PyPI token", ("pypi-",), re.compile(r"\bpypi-AgE[\w-]{50,255}"), accept=_is_random),
    Rule("Hugging Face token", ("hf_",), re.compile(r"\bhf_[A-Za-z]{34}(?!\w)"),
         accept=_is_random),
    Rule("SendGrid key", ("SG.",), re.compile(r"\bSG\.[\w-]{22}\.[\w-]{43}"), accept=_is_random),
    Rule("Azure storage key", ("AccountKey=",), re.compile(
        r"AccountKey=(?P<value>[A-Za-z0-9+/]{86}==)"), accept=_is_random),
    Rule("JSON Web Token", ("eyJ",), re.compile(
        r"(?<![\w-])eyJ[\w-]{10,4000}\.eyJ[\w-]{10,4000}\.[\w-]{20,4000}"), certain=False,
        accept=_is_random),
    Rule("password in a URL", ("://",), re.compile(
        r"://(?P<user>[^\s:@/'\"`<>{}$]{0,100}):(?P<value>[^\s:@/'\"`<>{}$]{3,200})"
        r"@(?P<host>[\w.-]{1,200})"), certain=False, accept=_is_foreign),
    Rule("assigned secret", (), re.compile(
        rf"{_NAME}\w{{0,20}}[\"']?\s{{0,4}}(?:=>|:=|[:=])\s{{0,4}}(?P<quote>[\"'`])"
        r"(?P<value>[^\"'`\s]{16,200})(?P=quote)", re.IGNORECASE),
        certain=False, accept=_is_assigned, max_line=1000),
    Rule("assigned secret", ("SECRET", "TOKEN", "PASSWORD", "KEY"), re.compile(
        r"^\s{0,8}(?:export )?[A-Z0-9_]{0,40}(?:SECRET|TOKEN|PASSWORD|_KEY)[A-Z0-9_]{0,20}="
        r"(?P<value>[^\s\"'#`]{16,200})\s{0,8}$", re.MULTILINE),
        certain=False, accept=_is_assigned, max_line=1000),
)  # fmt: skip
"""Sources: the issuers' documents on their formats (GitHub, GitLab, AWS IAM, Slack, Stripe, …)."""


CERTAIN = tuple(rule for rule in RULES if rule.certain)
"""The formats that are a secret wherever they stand."""


def findings(text: str, rules: Sequence[Rule] = RULES) -> Iterator[tuple[Rule, int, str]]:
    """Every secret in lines of text: its rule, where it begins, and itself.

    What two rules find is told by the first, which is the more exact one. The patterns bound each repetition, so that the time grows with the length of the text only.
    """
    known: dict[str, str] = {}
    for rule in rules:
        if rule.cues and not any(cue in text for cue in rule.cues):
            continue
        for found in rule.pattern.finditer(_without_long_lines(text, rule.max_line)):
            value = value_of(found)
            accepted = not _PLACEHOLDER.search(value) and rule.accept(found)
            if accepted and known.setdefault(value, rule.name) == rule.name:
                yield rule, found.start(), value


def _without_long_lines(text: str, longest: int) -> str:
    """The text with longer lines blanked: positions stay."""
    if not longest or len(text) <= longest:
        return text
    return re.sub(rf"[^\n]{{{longest},}}", lambda line: " " * len(line[0]), text)
