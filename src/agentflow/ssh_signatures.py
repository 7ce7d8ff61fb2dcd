"""Signatures of OpenSSH (SSHSIG), made and checked by `ssh-keygen -Y`."""

import os
import subprocess
import tempfile
from pathlib import Path

from agentflow.errors import EnvironmentFailure, UsageError
from agentflow.frozen import record

TIMEOUT = 30.0
"""Seconds; nobody can type a passphrase."""
_PASSED = ("PATH", "HOME", "SSH_AUTH_SOCK")


@record
class Signature:
    """A signature and the key that made it."""

    data: bytes
    """Armoured, as ssh-keygen writes it."""
    fingerprint: str
    """`SHA256:…`"""


def sign(message: bytes, key: Path, namespace: str) -> Signature:
    """Sign with a private key, or with a public one whose private half ssh-agent holds.

    Raises `UsageError` without the key's file, `EnvironmentFailure` if it cannot be done without a
    person.
    """
    if not key.is_file():
        raise UsageError(
            f"there is no key {key}",
            hint="Give a key of OpenSSH, or make one: ssh-keygen -t ed25519 -f FILE",
        )
    made = _ssh_keygen("-Y", "sign", "-q", "-f", str(key), "-n", namespace, stdin=message)
    if made.returncode or not made.stdout:
        said = " ".join(made.stderr.decode("utf-8", "replace").split())[-300:]
        raise EnvironmentFailure(
            f"cannot sign with the key {key}: {said or 'ssh-keygen gave no reason'}",
            hint="A passphrase is not asked for: load the key into ssh-agent and give its .pub file.",
        )
    listed = _ssh_keygen("-l", "-f", str(key)).stdout.decode("utf-8", "replace").split()
    return Signature(made.stdout, listed[1] if len(listed) > 1 else "")


def signer(message: bytes, signature: bytes, allowed: Path, namespace: str) -> str | None:
    """Who signed a message, by a file of allowed signers; None if nobody of them did.

    Raises `UsageError` without such a file.
    """
    if not allowed.is_file():
        raise UsageError(
            f"there is no file of allowed signers: {allowed}",
            hint="Write it: a line per signer, as ssh-keygen(1) describes.",
        )
    with tempfile.TemporaryDirectory(prefix="agentflow-") as folder:
        file = Path(folder, "signature")
        file.write_bytes(signature)
        about = ("-s", str(file), "-f", str(allowed))
        named = _ssh_keygen("-Y", "find-principals", *about)
        if named.returncode:
            return None
        who = named.stdout.decode("utf-8", "replace").splitlines()[0].split(",")[0]
        checked = _ssh_keygen("-Y", "verify", *about, "-I", who, "-n", namespace, stdin=message)
        return who if checked.returncode == 0 else None


def _ssh_keygen(*arguments: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    environment = {name: os.environ[name] for name in _PASSED if name in os.environ}
    environment |= {"LC_ALL": "C", "SSH_ASKPASS_REQUIRE": "never"}
    try:
        return subprocess.run(
            ["ssh-keygen", *arguments],
            input=stdin,
            env=environment,
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise EnvironmentFailure(
            "ssh-keygen is not installed", hint="apt-get install openssh-client"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise EnvironmentFailure(f"ssh-keygen did not end within {TIMEOUT:g} s") from error
