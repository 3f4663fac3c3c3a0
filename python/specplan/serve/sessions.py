"""Browsers that have shown the token once: each has a cookie that is a secret of its own."""

from __future__ import annotations

import secrets
import time
from http.cookies import CookieError, SimpleCookie

SECONDS = 12 * 3600.0
"""How long a browser is known without asking for anything."""
MOST = 1000
"""Browsers that are known at once; of more, the one that was quiet for longest is forgotten."""


class Sessions:
    """The browsers that may read pages, until the server ends.

    Args:
        port: of the server: browsers send a cookie to all ports of a host, so its name has that of its own.
    """

    def __init__(self, port: int) -> None:
        self._name = f"specplan-{port}"
        self._used: dict[str, float] = {}

    def begin(self) -> str:
        """The header that makes a browser known."""
        secret = secrets.token_urlsafe(32)
        self._used[secret] = time.monotonic()
        while len(self._used) > MOST:
            del self._used[min(self._used, key=lambda each: self._used[each])]
        return self._header(secret)

    def knows(self, cookies: str) -> bool:
        """Whether a request with this header Cookie is from a known browser."""
        secret = self._secret(cookies)
        used = self._used.get(secret)
        if used is None or time.monotonic() - used > SECONDS:
            self._used.pop(secret, None)
            return False
        self._used[secret] = time.monotonic()
        return True

    def end(self, cookies: str) -> str:
        """Forget the browser; the header that makes it forget its cookie."""
        self._used.pop(self._secret(cookies), None)
        return f"{self._header('')}; Max-Age=0"

    def _header(self, secret: str) -> str:
        return f"{self._name}={secret}; Path=/; HttpOnly; SameSite=Strict"

    def _secret(self, cookies: str) -> str:
        try:
            found = SimpleCookie(cookies).get(self._name)
        except CookieError:
            return ""
        return "" if found is None else found.value
