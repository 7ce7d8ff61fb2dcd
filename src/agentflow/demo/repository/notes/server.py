"""The HTTP server around the API."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from notes.api import handle
from notes.store import Store


def make_server(port: int) -> ThreadingHTTPServer:
    """Bind a server to loopback; port 0 takes a free one."""
    store = Store()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            status, payload = handle(store, self.command, self.path, self.rfile.read(length))
            data = json.dumps(payload).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = answer

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)
