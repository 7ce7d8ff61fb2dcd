"""Signing: commits are made once, with the user's signature where git itself would sign."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from agentflow.errors import EnvironmentFailure
from agentflow.frozen import record
from agentflow.workspace.git import Git, GitError, isolated
from agentflow.workspace.repository import Repository

TIMEOUT = 30.0
"""Seconds of one signature. Nobody can type a passphrase, and a prompt would wait forever."""

_PASSED = ("PATH", "HOME", "GNUPGHOME", "SSH_AUTH_SOCK")
"""What a signing program finds its keys by."""
_UNLOCK = {
    "openpgp": "unlock it in gpg-agent (`echo | gpg --clearsign` asks for the passphrase)",
    "ssh": "load it into ssh-agent (`ssh-add <key file>`)",
}
"""By the formats of `gpg.format` that are supported."""
_MAX_REASON = 300
"""Characters."""


@record
class Signing:
    """How the user signs commits."""

    format: str
    """`openpgp` or `ssh`."""
    settings: Mapping[str, str]
    """Of git: `gpg.*` and `user.signingKey`, all that a signature depends on."""
    environment: Mapping[str, str]
    """Variables for the signing program."""

    @property
    def variables(self) -> dict[str, str]:
        """The environment in which git signs like this."""
        pairs = dict(enumerate(self.settings.items()))
        return {
            **self.environment,
            "SSH_ASKPASS_REQUIRE": "never",
            "GIT_CONFIG_COUNT": str(len(pairs)),
            **{f"GIT_CONFIG_KEY_{n}": key for n, (key, _) in pairs.items()},
            **{f"GIT_CONFIG_VALUE_{n}": value for n, (_, value) in pairs.items()},
        }


@record
class Draft:
    """A commit before it is made."""

    tree: str
    parents: tuple[str, ...]
    message: str
    identity: Mapping[str, str]
    """Author, committer and dates, as git's variables; see `identity_variables`."""


def identity_variables(name: str, email: str, seconds: int) -> dict[str, str]:
    """Author and committer at a Unix time, as git reads them from its environment."""
    return {
        f"GIT_{role}_{key}": value
        for role in ("AUTHOR", "COMMITTER")
        for key, value in (("NAME", name), ("EMAIL", email), ("DATE", f"@{seconds} +0000"))
    }


def find_signing(repository: Repository, wanted: bool | None) -> Signing | None:
    """How the user's commits are to be signed, or None if they are not.

    `wanted` decides; None means what git's `commit.gpgSign` says. Raises `EnvironmentFailure` for
    a format that is not supported.
    """
    git = repository.git
    if wanted is None and "commit.gpgsign" in repository.settings:
        wanted = git.text("config", "--type=bool", "--get", "commit.gpgSign") == "true"
    if not wanted:
        return None
    settings = {
        key: value
        for key, value in repository.settings.items()
        if key.startswith("gpg.") or key == "user.signingkey"
    }
    kind = settings.get("gpg.format", "openpgp")
    if kind not in _UNLOCK:
        raise EnvironmentFailure(
            f"git signs commits in the format {kind!r}, which agentflow cannot",
            hint="Use gpg.format openpgp or ssh, or set `sign = false` under [commit] in your "
            + "config.toml.",
        )
    key = settings.get("user.signingkey", "")
    if kind == "ssh" and key and not key.startswith(("ssh-", "key::", "~", "/")):
        settings["user.signingkey"] = str(repository.root / key)
    environment = {name: value for name, value in git.environment.items() if name in _PASSED}
    return Signing(kind, settings, environment)


def check_signing(signing: Signing, name: str, email: str, *, timeout: float = TIMEOUT) -> None:
    """Sign a commit that nobody keeps, in a repository that nobody keeps.

    Raises `EnvironmentFailure` if that cannot be done without a person.
    """
    with tempfile.TemporaryDirectory(prefix="agentflow-") as folder:
        git = isolated(Path(folder))
        git.run("init", "--quiet", "--bare", "--template=")
        tree = git.text("mktree", stdin=b"")
        draft = Draft(tree, (), "Can agentflow sign?\n", identity_variables(name, email, 0))
        make_commit(git, draft, signing, timeout=timeout)


def make_commit(
    state: Git, draft: Draft, signing: Signing | None = None, *, timeout: float = TIMEOUT
) -> str:
    """Make a commit in a repository of ours; return its name.

    The same draft makes the same commit, also a signed one: signatures differ each time, so the
    first signed object is kept under the name of the unsigned one. Raises `EnvironmentFailure`
    if it cannot be signed.
    """
    unsigned = _commit_tree(state, draft)
    if signing is None:
        return unsigned
    kept = f"refs/agentflow/signed/{unsigned}"
    signed = state.text("for-each-ref", "--format=%(objectname)", kept)
    if not signed:
        signed = _sign(state, draft, signing, timeout)
        state.run("update-ref", kept, signed)
    return signed


def _commit_tree(
    state: Git,
    draft: Draft,
    *options: str,
    environment: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> str:
    parents = [argument for parent in draft.parents for argument in ("-p", parent)]
    return state.text(
        "commit-tree",
        draft.tree,
        *parents,
        *options,
        stdin=draft.message.encode("utf-8", "replace"),
        environment={**(environment or {}), **draft.identity},
        timeout=timeout,
    )


def _sign(state: Git, draft: Draft, signing: Signing, timeout: float) -> str:
    try:
        return _commit_tree(state, draft, "-S", environment=signing.variables, timeout=timeout)
    except GitError as error:
        key = signing.settings.get("user.signingkey") or draft.identity["GIT_COMMITTER_EMAIL"]
        raise EnvironmentFailure(
            f"commits cannot be signed with the {signing.format} key {key!r}: "
            + _reason(error.said),
            hint="A run asks for no passphrase. If the key has one, "
            + f"{_UNLOCK[signing.format]}. Or set `sign = false` under [commit] in your "
            + "config.toml.",
        ) from error


def _reason(said: str) -> str:
    """What git and its signing program said, in one line."""
    lines = [line.strip() for line in said.splitlines() if not line.startswith("[GNUPG:]")]
    return "; ".join(filter(None, lines))[-_MAX_REASON:] or "git gave no reason"
