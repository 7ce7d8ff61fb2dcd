"""Bytes of a file in a sandbox, read by a command there: what it leads to is nothing of this machine."""

import base64
import binascii
import shlex

from agentflow.errors import ToolFailure
from agentflow.interfaces import Sandbox

_CHUNK = 21_000
"""Bytes; in Base64 they are short enough for one answer of the toolbox."""


async def fetch(sandbox: Sandbox, path: str, limit: int, folder: str = ".") -> bytes | None:
    """Return a file's bytes; None if it cannot be read or has about `limit` bytes or more.

    A relative path starts in `folder`, which starts at the root.
    """
    parts: list[bytes] = []
    for number in range(limit // _CHUNK):
        quoted = shlex.quote(path)
        script = f"test -f {quoted} && tail -c +{number * _CHUNK + 1} -- {quoted} | head -c {_CHUNK} | base64"
        try:
            found = await sandbox.call("Bash", {"command": script, "timeout": 10.0, "cwd": folder})
            if found["exit_code"] != 0:
                return None
            parts.append(base64.b64decode(str(found["output"])))
        except (ToolFailure, binascii.Error):
            return None
        if len(parts[-1]) < _CHUNK:
            return b"".join(parts)
    return None
