"""`mlx report`."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Mlx = Callable[..., subprocess.CompletedProcess[str]]


def test_a_run_is_written_as_a_page(mlx: Mlx, finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished / "runs", tmp_path / "runs")
    (run,) = (tmp_path / "runs/line").iterdir()
    done = mlx("report", "line", folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"line-{run.name}.html\n", "")
    done = mlx("report", f"line/{run.name}", "--to", "page.html", folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, "page.html\n")
    for name in (f"line-{run.name}.html", "page.html"):
        assert (tmp_path / name).read_text("utf-8").startswith("<!doctype html>\n")
    done = mlx("report", "lime", folder=tmp_path)
    assert done.returncode == 1
    assert "no run `lime`" in done.stderr
    done = mlx("report", "line", "--to", "missing/page.html", folder=tmp_path)
    assert done.returncode == 1
    assert "missing/page.html" in done.stderr
    assert "Traceback" not in done.stderr
