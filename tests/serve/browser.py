"""A headless browser that is driven through pipes, as its developers' tools are."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
_TO, _FROM = 3, 4
"""The descriptors by which the browser takes requests and answers."""


class Browser:
    """One page of a browser.

    Attributes:
        complaints: what it said to its console.
    """

    def __init__(self, requests: int, answers: int) -> None:
        self._requests, self._answers = requests, answers
        self._number = 0
        self._read = b""
        self._session: dict[str, str] = {}
        self.complaints: list[Any] = []
        page = self._call("Target.createTarget", url="about:blank")["targetId"]
        attached = self._call("Target.attachToTarget", targetId=page, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        for part in ("Page", "Runtime", "Log"):
            self._call(f"{part}.enable")

    def go(self, url: str) -> None:
        """Open a page."""
        self._call("Page.navigate", url=url)
        self.wait(f"document.readyState == 'complete' && location.href == '{url}'")

    def ask(self, expression: str) -> Any:
        """The value of an expression in the page."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    def wait(self, expression: str, seconds: float = 60) -> None:
        """Wait until an expression is true in the page."""
        end = time.monotonic() + seconds
        while self.ask(expression) is not True:
            assert time.monotonic() < end, expression
            time.sleep(0.05)

    def _call(self, method: str, **params: Any) -> Any:
        self._number += 1
        asked = {"id": self._number, "method": method, "params": params, **self._session}
        os.write(self._requests, json.dumps(asked).encode() + b"\0")
        while True:
            answer = self._answer()
            if answer.get("id") == self._number:
                return answer["result"]
            if answer["method"] in ("Log.entryAdded", "Runtime.exceptionThrown"):
                self.complaints.append(answer["params"])

    def _answer(self) -> Any:
        while b"\0" not in self._read:
            piece = os.read(self._answers, 1 << 16)
            assert piece, "the browser has ended"
            self._read += piece
        answer, _, self._read = self._read.partition(b"\0")
        return json.loads(answer)


@contextlib.contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser that knows nothing yet."""
    assert PROGRAM is not None
    theirs_in, requests = os.pipe()
    answers, theirs_out = os.pipe()
    # A shell gives the pipes the numbers that the browser expects.
    command = (
        f'exec "$0" --headless --no-sandbox --disable-gpu --remote-debugging-pipe '
        f'--user-data-dir="$1" {_TO}<&{theirs_in} {_FROM}>&{theirs_out}'
    )
    process = subprocess.Popen(
        ["bash", "-c", command, PROGRAM, str(profile)],
        pass_fds=(theirs_in, theirs_out),
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        yield Browser(requests, answers)
    finally:
        process.kill()
        process.wait()
        os.close(requests)
        os.close(answers)
