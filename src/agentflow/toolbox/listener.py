"""Hands a listener of this network namespace to the host, once, before anything else runs."""

PORT = 3128
"""Where the host's proxy is found, on the loopback inside."""


def hand_over(descriptor: int) -> None:
    """Listen on the loopback and send the listener over an inherited socket; close both."""
    import socket  # 2 ms that a sandbox without a network list does not pay

    with (
        socket.socket(fileno=descriptor) as control,
        socket.create_server(("127.0.0.1", PORT), backlog=128) as listener,
    ):
        socket.send_fds(control, [b"listener"], [listener.fileno()])
