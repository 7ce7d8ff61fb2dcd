"""Serve notes: `python -m notes 8080`."""

import sys

from notes.server import make_server

make_server(int(sys.argv[1])).serve_forever()
