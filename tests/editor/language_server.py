"""A language server as an editor drives it: LSP 3.17 over its standard input and output."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 60.0
"""Longest wait for an answer."""


class LanguageServer:
    """One server, and the documents that are open in it."""

    def __init__(self, command: list[str], *, settings: dict[str, Any] | None = None) -> None:
        self._settings = settings or {}
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._messages: queue.Queue[dict[str, Any]] = queue.Queue()
        self._number = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        self.request(
            "initialize",
            {
                "processId": os.getpid(),
                "rootUri": None,
                "capabilities": {
                    "textDocument": {
                        "completion": {"completionItem": {"snippetSupport": True}},
                        "publishDiagnostics": {},
                    },
                    "workspace": {"configuration": True},
                },
                "initializationOptions": {"handledSchemaProtocols": ["file"]},
            },
        )
        self.notify("initialized", {})
        self.notify("workspace/didChangeConfiguration", {"settings": self._settings})
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()

    def open(self, file: Path, language: str) -> list[dict[str, Any]]:
        """Open a document; returns the diagnostics that the server publishes for it."""
        document = {
            "uri": file.as_uri(),
            "languageId": language,
            "version": 1,
            "text": file.read_text(encoding="utf-8"),
        }
        self.notify("textDocument/didOpen", {"textDocument": document})
        while True:
            message = self._next()
            params = message.get("params", {})
            if (
                message.get("method") == "textDocument/publishDiagnostics"
                and params["uri"] == file.as_uri()
            ):
                found: list[dict[str, Any]] = params["diagnostics"]
                return found

    def completions(self, file: Path, line: int, column: int) -> dict[str, dict[str, Any]]:
        """What is offered at a place, by label; lines and columns count from 1."""
        place = {"line": line - 1, "character": column - 1}
        params = {"textDocument": {"uri": file.as_uri()}, "position": place}
        answer = self.request("textDocument/completion", params)
        items = answer["items"] if isinstance(answer, dict) else answer
        return {item["label"].strip('"'): item for item in items or []}

    def hover(self, file: Path, line: int, column: int) -> str:
        """What is shown of a place."""
        place = {"line": line - 1, "character": column - 1}
        params = {"textDocument": {"uri": file.as_uri()}, "position": place}
        return json.dumps(self.request("textDocument/hover", params), ensure_ascii=False)

    def notify(self, method: str, params: object) -> None:
        self._send({"method": method, "params": params})

    def request(self, method: str, params: object) -> Any:
        self._number += 1
        number = self._number
        self._send({"id": number, "method": method, "params": params})
        while True:
            message = self._next()
            if message.get("id") == number and "method" not in message:
                assert "error" not in message, message
                return message["result"]

    def _next(self) -> dict[str, Any]:
        """The next message that is not a question to the editor; those are answered."""
        while True:
            message = self._messages.get(timeout=SECONDS)
            if "method" not in message or "id" not in message:
                return message
            result: Any = None
            if message["method"] == "workspace/configuration":
                items = message["params"]["items"]
                result = [self._settings.get(item.get("section", ""), None) for item in items]
            self._send({"id": message["id"], "result": result})

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            size = 0
            while line.strip():
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    size = int(value)
                line = self._process.stdout.readline()
            self._messages.put(json.loads(self._process.stdout.read(size)))
