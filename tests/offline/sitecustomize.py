"""Loaded by every Python process that a test starts: it may talk to this machine only.

pytest-socket guards the test process itself; this guards its children, through PYTHONPATH.
"""

import sys

LOCAL = {"127.0.0.1", "::1", "localhost", "", None}


def refuse_the_net(event: str, arguments: tuple[object, ...]) -> None:
    """Refuse to look up or to reach a host that is not this machine."""
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    if (host.decode() if isinstance(host, bytes) else host) not in LOCAL:
        raise PermissionError(f"a test tried to reach {host}: only this machine may be reached")


sys.addaudithook(refuse_the_net)
