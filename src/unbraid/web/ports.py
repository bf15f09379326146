"""The socket of a server, or what keeps it from listening there and what would do."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import ExitStack

from unbraid.errors import SettingsError

_LOWEST_FREE = 1024
"""Ports below are the administrator's, unless the system is set up in another way."""

_HOSTS = "--host is 127.0.0.1 for this computer only, 0.0.0.0 for its network, or its own address"


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket that listens: from now on nobody else can take its port.

    Args:
        host: name or address of this computer; IPv6 with or without brackets.
        port: 0 takes a free one.
    Raises:
        SettingsError: if it cannot listen there.
    """
    if not 0 <= port <= 65535:
        raise SettingsError(f"a port is a number from 0 to 65535, got {port}; try another --port")
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise SettingsError(f"there is no computer called {host!r}; {_HOSTS}") from None
    family, kind, protocol, _, address = found[0]
    with ExitStack() as held:
        try:
            # `socket.create_server` would shut out IPv4 where "::" is to mean all addresses.
            bound = held.enter_context(socket.socket(family, kind, protocol))
            if os.name == "posix":  # elsewhere it would let two programs share the port
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            bound.listen()
        except OSError as error:
            raise SettingsError(_reason(error, host, port)) from None
        held.pop_all()
    return bound


def _reason(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} of {host} is in use by another program, perhaps another unbraid; "
            "try another --port, or --port 0 for a free one"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this computer; {_HOSTS}"
    if error.errno in (errno.EACCES, errno.EPERM) and port < _LOWEST_FREE:
        return (
            f"port {port} of {host} is not open to you: ports below {_LOWEST_FREE} are for the "
            f"administrator; try another --port, such as {8000 + port}"
        )
    why = (error.strerror or str(error)).lower()
    return (
        f"the system does not let unbraid listen on port {port} of {host} ({why}); "
        "try another --port"
    )
