"""`mlx validate --watch`: an editor in one window, the faults in the other."""

from __future__ import annotations

import queue
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Watching:
    """A watch over a spec, and the lines that it writes."""

    def __init__(self, folder: Path, name: str) -> None:
        command = [sys.executable, "-m", "specplan.cli.main", "validate", name, "--watch"]
        self.process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, text: str) -> None:
        """Read on until a line has `text`."""
        while text not in self._lines.get(timeout=240):
            pass

    def end(self) -> int:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait()
        self._reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._lines.put(line)


def test_each_change_of_a_file_is_checked(project: Path) -> None:
    (project / "over.yaml").write_text("specplan: 1\nimports: [line.json]\nrun: {seed: 2}\n")
    watching = Watching(project, "over.yaml")
    watching.wait_for("over.yaml: no errors")
    base = project / "line.json"
    right = base.read_text()
    base.write_text(right.replace('"epochs"', '"epocs"'))
    watching.wait_for("line.json changed")
    watching.wait_for("unknown key `epocs`")
    watching.wait_for("1 error in over.yaml")
    base.write_text(right[:50])
    watching.wait_for("error[SP001]")
    base.unlink()
    watching.wait_for("error[SP101]")
    base.write_text(right)
    watching.wait_for("over.yaml: no errors")
    assert watching.end() == 130
