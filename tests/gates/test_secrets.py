"""The secrets gate: what each rule finds, where it stays silent, and that no value is told.

The samples are made here of random letters: no line of this file holds one in whole.
"""

import random
import string
from collections.abc import Sequence

import pytest

from agentflow.gates.secrets import MAX_FINDINGS, SecretsGate, fingerprint
from agentflow.results import Evidence
from agentflow.secret_rules import RULES, findings
from tests.growth import check_growth, repeated
from tests.workspace.place import Work

_RANDOM = random.Random(7)


def letters(length: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    """Random letters, which look random."""
    return "".join(_RANDOM.choices(alphabet, k=length))


UPPER = string.ascii_uppercase + "234567"
JWT = ".".join((f"eyJ{letters(20)}", f"eyJ{letters(40)}", letters(43)))
AWS = f"AKIA{letters(16, UPPER)}"
GITHUB = f"ghp_{letters(36)}"
SAMPLES: dict[str, str] = {
    "private key": f"-----BEGIN RSA PRIVATE KEY-----\n{letters(64)}\n{letters(64)}\n",
    "private key in JSON": f'"key": "-----BEGIN PRIVATE KEY-----\\n{letters(64)}\\n",',
    "private key, encrypted": "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
    f"DEK-Info: AES-128-CBC,{letters(32)}\n\n{letters(64)}\n",
    "private key of OpenSSH": f"-----BEGIN OPENSSH PRIVATE KEY-----\n{letters(70)}\n",
    "AWS access key": f"key = {AWS}",
    "AWS secret key": f'aws_secret_access_key = "{letters(40)}"',
    "GitHub token": GITHUB,
    "GitHub token, fine-grained": f"github_pat_{letters(82)}",
    "GitLab token": f"glpat-{letters(20)}",
    "Slack token": f"xoxb-{letters(12, string.digits)}-{letters(24)}",
    "Slack webhook": f"https://hooks.slack.com/services/T{letters(8)}/B{letters(8)}/{letters(24)}",
    "Stripe key": f"sk_live_{letters(24)}",
    "Google API key": f"AIza{letters(35)}",
    "Google client secret": f"GOCSPX-{letters(28)}",
    "Anthropic key": f"sk-ant-api03-{letters(93)}-AA",
    "OpenAI key": f"sk-{letters(48)}",
    "OpenAI key of a project": f"sk-proj-{letters(80)}",
    "npm token": f"//registry/:_authToken=npm_{letters(36)}",
    "PyPI token": f"pypi-AgEIc{letters(80)}",
    "Hugging Face token": f"hf_{letters(34, string.ascii_letters)}",
    "SendGrid key": f"SG.{letters(22)}.{letters(43)}",
    "Azure storage key": f"AccountName=a;AccountKey={letters(86)}==;",
    "JSON Web Token": f"const jwt = '{JWT}'",
    "password in a URL": f"postgres://app:{letters(14)}@db.internal.net:5432/app",
    "assigned secret": f'client_secret: "{letters(30)}4x2"',
    "assigned secret in a file of variables": f"SESSION_SECRET={letters(30)}4x2",
}


@pytest.mark.parametrize("kind", SAMPLES)
def test_each_kind_is_found_once_and_where_it_stands(kind: str) -> None:
    text = f"one\ntwo\n{SAMPLES[kind]}\nend"
    found = [(rule.name, text.count("\n", 0, start)) for rule, start, _ in findings(text)]
    assert found == [(kind.split(",")[0].split(" of ")[0].split(" in JSON")[0]
                      .removesuffix(" in a file"), 2)]  # fmt: skip


def test_every_rule_has_a_sample() -> None:
    found = {rule for text in SAMPLES.values() for rule, _, _ in findings(text)}
    assert found == set(RULES)


@pytest.mark.parametrize(
    "text",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "AKIAAAAAAAAAAAAAAAAA",
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "ghp_" + "a" * 36,
        "sk-ant-api03-...",
        "ANTHROPIC_API_KEY=sk-ant-your-key-goes-here-please-replace-it",
        "-----BEGIN RSA PRIVATE KEY-----\n...\n-----END RSA PRIVATE KEY-----",
        'if "-----BEGIN PRIVATE KEY-----" in text:',
        "postgres://postgres:postgres@localhost:5432/app",
        "postgres://app:k3jh4kj5h34k@db:5432/app",
        "postgres://user:password@db.internal.net/app",
        "postgres://${USER}:${PASSWORD}@db.internal.net/app",
        "https://example.com:8080/a@b.c",
        'token = os.environ["API_TOKEN_1234567890"]',
        'password = "correct horse battery staple 12"',
        'const passwordPlaceholder = "Enter your password 1234"',
        'token: "Desktop/Title/H1-and-more"',
        'secret_name = "prod-database-credentials"',
        'csrf_token: "{{ csrf_token_value_12_34 }}"',
        "API_KEY=$(cat /run/keys/api-key-2024-12)",
        '"integrity": "sha512-' + "Ab1+" * 21 + '=="',
        "sha256:" + "0123456789abcdef" * 4,
        'token = "' + letters(40) + '" ' + "x" * 1000,
    ],
)
def test_what_is_no_secret(text: str) -> None:
    assert [rule.name for rule, _, _ in findings(text)] == []


@pytest.mark.parametrize(
    "piece",
    ["secret", "eyJa-", "://a:b", "glpat-", "x=1;",
     "A" * 40 + "SECRET" + "B" * 20 + "=" + "c" * 199 + "'\n",
     "-----BEGIN PRIVATE KEY-----" + "a: \n" * 3],
)  # fmt: skip
def test_the_time_grows_with_the_length_only(piece: str) -> None:
    def find(text: str) -> None:
        assert list(findings(text)) == []

    check_growth(find, repeated(piece), 128 * 1024)


async def measure(
    work: Work, script: str, allowed: Sequence[str] = (), values: Sequence[str] = ()
) -> Evidence:
    return await SecretsGate(work.state, allowed, values).measure(work.candidate(script))


def write(path: str, text: str) -> str:
    return f"mkdir -p \"$(dirname '{path}')\"; cat > '{path}' <<'X'\n{text}\nX\n"


PASSED = Evidence("secrets", "passed", "no secret was added")


async def test_honest_work_passes(work: Work) -> None:
    assert await measure(work, "echo x >> app/main.py; rm docs/guide.md") == PASSED


async def test_a_secret_is_named_by_place_and_rule_and_never_by_value(work: Work) -> None:
    evidence = await measure(
        work, f"printf 'a\\nb {AWS}\\n' > app/new.py; echo {GITHUB} >> app/main.py"
    )

    aws, github = fingerprint("AWS access key", AWS), fingerprint("GitHub token", GITHUB)
    assert (evidence.status, evidence.summary) == (
        "failed",
        "2 secrets: app/main.py:3: GitHub token, …",
    )
    first, second, advice = evidence.detail.splitlines()
    assert first == f"app/main.py:3: GitHub token (fingerprint {github})"
    assert second == f"app/new.py:2: AWS access key (fingerprint {aws})"
    assert advice.startswith("Read secrets from the environment.")
    assert AWS not in repr(evidence)
    assert GITHUB not in repr(evidence)


async def test_a_fingerprint_allows_one_value_of_one_rule(work: Work) -> None:
    script = f"echo {AWS} > app/new.py"
    allowed = [fingerprint("AWS access key", AWS)]
    assert await measure(work, script, allowed) == Evidence(
        "secrets", "passed", "no secret was added (1 allowed)"
    )
    other = f"echo {'AKIA' + letters(16, UPPER)} >> app/new.py"
    assert (await measure(work, other, allowed)).summary == "app/new.py:2: AWS access key"


async def test_what_an_earlier_commit_added_stays_in_the_history(work: Work) -> None:
    script = f"""
        echo {AWS} > app/new.py; git add -A; git commit -qm 'add'
        echo clean > app/new.py; git commit -qam 'clean, without {GITHUB}'
    """
    candidate = work.collect(script, commits="agent")
    evidence = await SecretsGate(work.state, ()).measure(candidate)

    assert evidence.summary == "2 secrets: app/new.py:1: AWS access key, …"
    message = f"the message of {candidate.commits[1].sha[:12]}:1: GitHub token"
    assert evidence.detail.splitlines()[1].startswith(message)


async def test_what_was_there_before_may_stay_and_move(work: Work) -> None:
    work.agent(f"echo {AWS} > app/old.py; git add -A; git commit -qm old")
    base = work.collect(commits="agent")
    state, tip = work.state, base.tip
    assert (await SecretsGate(state, ()).measure(base)).status == "failed"

    script = "git mv app/old.py app/moved.py; echo more >> app/moved.py"
    work.agent(f"{script}; git add -A; git commit -qm moved")
    moved = work.collect(commits="agent")
    later = type(moved)(tip, moved.tip, moved.commits[1:])
    assert await SecretsGate(state, ()).measure(later) == PASSED


@pytest.mark.parametrize(
    "path", ["tests/test_new.py", "web/x.test.ts", "docs/x.md", ".env.example", "app/fixtures/a.py"]
)
async def test_what_only_looks_like_a_secret_is_a_notice_in_tests_and_documents(
    work: Work, path: str
) -> None:
    evidence = await measure(work, write(path, f"const jwt = '{JWT}'"))
    mark = fingerprint("JSON Web Token", JWT)
    notice = f"{path}:1: JSON Web Token (fingerprint {mark})"
    assert evidence == Evidence("secrets", "passed", PASSED.summary, notices=(notice,))

    certain = await measure(work, write(path, AWS))
    assert certain.summary == f"{path}:1: AWS access key"


async def test_elsewhere_it_fails(work: Work) -> None:
    evidence = await measure(work, write("app/new.py", f"const jwt = '{JWT}'"))
    assert evidence.summary == "app/new.py:1: JSON Web Token"


async def test_configured_values_are_found_encoded_too(work: Work) -> None:
    values = ["s3cr3t!value", "short", f"{{\n  {'k' * 3}{letters(30)}\n}}"]
    script = write("app/a.py", "x = 's3cr3t%21value'  # short") + write(
        "tests/b.py", f"one\n{values[2].splitlines()[1]}"
    )
    evidence = await measure(work, script, values=values)

    lines = evidence.detail.splitlines()
    assert evidence.summary == "2 secrets: app/a.py:1: configured value, …"
    assert lines[1].startswith("tests/b.py:2: configured value (fingerprint ")
    marks = [line.removesuffix(")").split()[-1] for line in lines[:2]]
    assert (await measure(work, "true", marks, values)).status == "passed"


async def test_the_fingerprint_of_a_configured_value_says_nothing_of_it(work: Work) -> None:
    """A weak password could be guessed from its hash."""
    first = await measure(work, write("app/a.py", "use('winter2024')"), values=["winter2024"])
    other = await measure(work, write("app/a.py", "use('summer2025')"), values=["summer2025"])
    assert first.status == "failed"
    assert first.detail == other.detail


async def test_the_bytes_of_a_file_hide_nothing(work: Work) -> None:
    script = f"""
        printf 'a\\0b\\n{AWS}\\n' > app/nul.bin
        printf '\\377\\n{AWS}\\n' > app/latin.bin
        printf 'x = "{GITHUB}"' | iconv -t UTF-16 > app/wide.txt
        ln -s '{GITHUB}' app/link
    """
    evidence = await measure(work, script)
    assert [line.split(" (")[0] for line in evidence.detail.splitlines()[:-1]] == [
        "app/latin.bin:2: AWS access key",
        "app/link:1: GitHub token",
        "app/nul.bin:2: AWS access key",
        "app/wide.txt:1: GitHub token",
    ]


async def test_many_findings_and_long_lines_are_bounded(work: Work) -> None:
    lines = "\n".join(f"AKIA{letters(16, UPPER)}" for _ in range(500))
    (work.clone.tree / "app/many.txt").write_text(lines, "utf-8")
    (work.clone.tree / "app/long.js").write_text("x=1;" * 2_000_000 + AWS, "utf-8")
    evidence = await measure(work, "true")
    assert evidence.summary == f"{MAX_FINDINGS} secrets: app/long.js:1: AWS access key, …"
    assert evidence.detail.splitlines()[-2] == "and 80 more"


async def test_findings_that_do_not_count_hide_none_that_does(work: Work) -> None:
    """Those in a text come first, by name, and so do those that are allowed."""
    lines = "\n".join(f"const jwt = 'eyJ{letters(20)}.eyJ{letters(40)}.{letters(43)}'"
                      for _ in range(2 * MAX_FINDINGS))  # fmt: skip
    (work.clone.tree / "app/a.md").write_text(lines, "utf-8")
    (work.clone.tree / "app/z.py").write_text(AWS, "utf-8")
    evidence = await measure(work, "true")
    assert (evidence.status, evidence.summary) == ("failed", "app/z.py:1: AWS access key")
