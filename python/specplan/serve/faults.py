"""Requests that are refused, and with which status."""

from __future__ import annotations

from typing import Any


class Fault(Exception):  # noqa: N818 -- it is an answer, no error of the server
    """A request that is refused.

    Attributes:
        status: of the answer.
        message: what is wrong.
        detail: what a client needs to go on, such as how much is there already.
    """

    def __init__(self, status: int, message: str, **detail: Any) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.detail = detail
