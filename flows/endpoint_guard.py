"""The door of a local HTTP server: which Host, Origin and token get in.

A page on the internet can send requests to 127.0.0.1: by rebinding its own name to that address
(then Host is its name) or from a script or an image (then Origin or Sec-Fetch-Site is foreign).
Both are refused before anything else is read. No CORS header is ever sent.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flows.errors import ServerError

LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SAFE_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach an address.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def hosts(host: str, port: int, names: Iterable[str]) -> frozenset[str]:
    """Return the Host headers a server answers to: its own address, and what a proxy calls it."""
    own = LOOPBACK if is_loopback(host) else (f"[{host}]" if ":" in host else host,)
    here = {f"{name}:{port}" for name in {*own, *names}}
    return frozenset(name.lower() for name in here | set(names))


def check_exposure(host: str, token: str | None) -> None:
    """Refuse to serve other machines without a token.

    Raises:
        ServerError: The address is not loopback and there is no token.
    """
    if not is_loopback(host) and not token:
        raise ServerError(
            f"host {host!r}: other machines can reach it; give a token, or serve on 127.0.0.1"
        )


@dataclass(frozen=True, slots=True)
class Door:
    """ASGI middleware: refuses what must not come in, and marks what goes out."""

    app: ASGIApp
    hosts: frozenset[str]
    token: str | None = None
    public: frozenset[str] = frozenset()  # paths of the page: no data, so no token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer why not."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SAFE_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refused = self.refusal(scope["path"], Headers(scope=scope))
        await (refused or self.app)(scope, receive, sent)

    def refusal(self, path: str, headers: Headers) -> JSONResponse | None:
        """Return why a request is refused, None if it is not."""
        named = headers.getlist("host")
        if len(named) != 1 or named[0].lower() not in self.hosts:
            return refused(421, f"host {', '.join(named)!r}: is not served here")
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2].lower() not in self.hosts:
            return refused(403, f"origin {origin!r}: another site may not ask")
        if path in self.public:
            return None
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return refused(403, "sec-fetch-site: another site may not ask")
        if self.token is None or self.knows(headers.get("authorization", "")):
            return None
        return refused(401, "authorization: send `Bearer` and the token", ("Bearer", ""))

    def knows(self, authorization: str) -> bool:
        """Tell whether an Authorization header holds the token."""
        kind, _, given = authorization.partition(" ")
        wanted = (self.token or "").encode()
        return kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), wanted)


def refused(status: int, sentence: str, scheme: tuple[str, str] | None = None) -> JSONResponse:
    """Return a refusal with its reason."""
    headers = {"WWW-Authenticate": scheme[0]} if scheme else None
    return JSONResponse({"error": sentence}, status, headers)
