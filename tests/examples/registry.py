"""A package registry on loopback: npm packuments and tarballs, and a simple index of wheels.

Formats: the npm registry's package metadata (`dist-tags`, `versions`, `dist`), and PEP 503.
"""

import hashlib
import html
import json
import re
import threading
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

from agentflow.records import Json
from tests.examples.packages import Packages, Tarball

ADDRESS = "127.0.0.2"
"""Loopback, but none of the addresses that clients reach past a proxy by default."""


class Registry:
    """What is served, and what was asked for."""

    def __init__(self, packages: Packages) -> None:
        self.host = ""
        """Address and port, as a network list names it."""
        self.requests: list[str] = []
        """The path of every request."""
        self._packages = packages
        self._versions: defaultdict[str, list[Tarball]] = defaultdict(list)
        for tarball in packages.tarballs:
            self._versions[tarball.manifest["name"]].append(tarball)
        self._wheels: defaultdict[str, list[Path]] = defaultdict(list)
        for wheel in packages.wheels:
            self._wheels[_normal(wheel.name.split("-")[0])].append(wheel)

    @property
    def npm(self) -> str:
        """npm's `registry`."""
        return f"http://{self.host}/npm/"

    @property
    def index(self) -> str:
        """pip's `index-url`."""
        return f"http://{self.host}/simple/"

    def answer(self, path: str) -> tuple[str, bytes] | None:
        """Media type and body; None for what is not here."""
        self.requests.append(path)
        kind, _, name = unquote(path.partition("?")[0]).strip("/").partition("/")
        folder, _, file = name.rpartition("/")
        if kind == "npm" and folder == "-":
            return _file(self._packages.folder / "npm", file)
        if kind == "npm" and name in self._versions:
            return "application/json", json.dumps(self._packument(name)).encode()
        if kind == "simple" and _normal(name) in self._wheels:
            return "text/html", self._links(_normal(name)).encode()
        if kind == "wheels":
            return _file(self._packages.folder / "wheels", name)
        return None

    def _packument(self, name: str) -> Json:
        versions = {each.manifest["version"]: self._version(each) for each in self._versions[name]}
        return {"name": name, "dist-tags": {"latest": [*versions][-1]}, "versions": versions}

    def _version(self, tarball: Tarball) -> Json:
        dist = {"tarball": f"{self.npm}-/{tarball.file}", "integrity": tarball.integrity}
        return {**tarball.manifest, "dist": dist}

    def _links(self, project: str) -> str:
        lines = (
            f'<a href="/wheels/{html.escape(wheel.name)}#sha256='
            + f'{hashlib.sha256(wheel.read_bytes()).hexdigest()}">{html.escape(wheel.name)}</a>'
            for wheel in self._wheels[project]
        )
        return "<!DOCTYPE html>\n" + "\n".join(lines)


@contextmanager
def serve(packages: Packages) -> Generator[Registry]:
    """Serve the packages on a free port until the block ends."""
    registry = Registry(packages)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            found = registry.answer(self.path)
            kind, body = found or ("text/plain", b"not found")
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            if self.close_connection:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # pyright: ignore[reportImplicitOverride]  # no `override` before Python 3.12
            """Nobody reads it."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 128

    server = Server((ADDRESS, 0), Handler)
    registry.host = f"{ADDRESS}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _file(folder: Path, name: str) -> tuple[str, bytes] | None:
    file = folder / Path(name).name
    return ("application/octet-stream", file.read_bytes()) if name and file.is_file() else None


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
