"""The parent of one service: `python3 -I -S -B supervisor.py COMMAND`, its log on descriptor 1.

Adopts what the service's processes leave behind, keeps the log short and ends as the service does.
"""

import ctypes
import os
import subprocess
import sys
import threading

LOG_BYTES = 1 << 20
"""A longer log loses its beginning."""

PR_SET_CHILD_SUBREAPER = 36
"""From linux/prctl.h."""

DRAIN_SECONDS = 0.2
"""Left to the last output; a descendant may hold the pipe for ever."""


def main() -> None:
    """Run the command until it ends; its descendants are orphans then."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    reading, writing = os.pipe()
    service = subprocess.Popen(
        ["/bin/bash", "--noprofile", "--norc", "-c", sys.argv[1]],
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=subprocess.STDOUT,
    )
    os.close(writing)
    logging = threading.Thread(target=_log, args=(reading,), daemon=True)
    logging.start()
    process, status = os.wait()
    while process != service.pid:
        process, status = os.wait()
    logging.join(DRAIN_SECONDS)
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else 128 - code)


def _log(reading: int) -> None:
    size = 0
    while data := os.read(reading, 1 << 16):
        try:
            if size + len(data) > LOG_BYTES:
                kept = os.pread(1, LOG_BYTES // 2, size - LOG_BYTES // 2)
                os.ftruncate(1, 0)
                size = os.pwrite(1, kept, 0)
            size += os.pwrite(1, data, size)
        except OSError:
            continue  # no space: the service matters more than its log


if __name__ == "__main__":
    main()
