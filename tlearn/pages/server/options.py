"""Where a page is served, and to whom. Imports nothing heavy."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from tlearn.base.errors import TlearnError

LOOPBACK = "127.0.0.1"
FIRST_PORT = 8760  # the first that is tried where none is typed; registered for nothing
LEAST_TOKEN = 16  # characters


@dataclass(frozen=True)
class ServerOptions:
    """Where a page is served, and to whom.

    Attributes:
        host: The address to listen on. By default this machine alone reaches it.
        port: The port; ``None`` takes the first free one from `FIRST_PORT` on.
        token: What every request has to bring; needed with any other host.
        opens: Open the page in the browser.
    """

    host: str = LOOPBACK
    port: int | None = None
    token: str | None = None
    opens: bool = False

    def __post_init__(self) -> None:
        """Refuse to be open to a network without a token.

        Raises:
            TlearnError: Another host without a token, a short token, or a port that is none.
        """
        if not self.is_local and not self.token:
            raise TlearnError(
                f"--host {self.host} lets other machines in, so every request needs a token: add --token followed by "
                f"{LEAST_TOKEN} or more characters of your own"
            )
        if self.token is not None and not re.fullmatch(rf"[!-~]{{{LEAST_TOKEN},}}", self.token):
            raise TlearnError(
                f"--token: expected {LEAST_TOKEN} or more ASCII characters without blanks, got {len(self.token)}"
            )
        if self.port is not None and not 0 < self.port < 65536:
            raise TlearnError(f"--port: expected from 1 to 65535, got {self.port}")

    @property
    def is_local(self) -> bool:
        """Tell whether no other machine can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"
