"""Ports that stay a test's own, also while nobody listens there."""

from __future__ import annotations

import socket


def hold_port(port: int = 0) -> socket.socket:
    """A TCP socket of 127.0.0.1 that is bound and does not listen: whoever connects is refused, and nobody else gets the port.

    A server may listen there beside it, where it allows addresses to be used again (`socket.create_server` does).
    """
    held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", port))
    return held
