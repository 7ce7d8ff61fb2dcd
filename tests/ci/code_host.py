"""A code host over HTTP that lets in who brings the right token, as GitHub takes an App's."""

import base64
import os
import subprocess
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

TOKEN = "ghs_the-token-of-an-app-that-nobody-has"


class CodeHost(ThreadingHTTPServer):
    """Serves the bare repositories below a folder by git's own `http-backend`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.asked: list[tuple[str, str]] = []
        """Each request's service (`git-upload-pack`, `git-receive-pack`) and login, if it had one."""
        self.url = f"http://127.0.0.1:{self.server_port}"


@contextmanager
def code_host(folder: Path) -> Generator[CodeHost]:
    """A code host at work."""
    server = CodeHost(folder)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: CodeHost  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self._body())

    def _body(self) -> bytes:
        if "Content-Length" in self.headers:
            return self.rfile.read(int(self.headers["Content-Length"]))
        pieces: list[bytes] = []  # git sends what is large in chunks
        while size := int(self.rfile.readline().split(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _answer(self, body: bytes) -> None:
        said = self.headers.get("Authorization", "").removeprefix("Basic ")
        login = base64.b64decode(said).decode()
        place = urlsplit(self.path)
        if login:
            self.server.asked.append((
                place.query.partition("=")[2] or place.path.rpartition("/")[2],
                login,
            ))
        if login != f"x-access-token:{TOKEN}":
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="code"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self._run(place.path, place.query, body)

    def _run(self, path: str, query: str, body: bytes) -> None:
        """As the interface of CGI (RFC 3875) has it."""
        variables = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.server.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "HTTP_GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_USER": "x-access-token",
            "REMOTE_ADDR": "127.0.0.1",
            "MAY_PUSH": "yes",
        }
        ended = subprocess.run(
            ["git", "-c", "safe.directory=*", "http-backend"],
            env=variables, input=body, capture_output=True, check=True,
        )  # fmt: skip
        header, _, content = ended.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in header.decode().split("\r\n"))
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(  # pyright: ignore[reportImplicitOverride]
        self, format: str, *args: object
    ) -> None:
        pass
