"""The page of a run, also in a browser where one is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

import specplan
from specplan._native import Store
from specplan.cli.main import group
from specplan.plan.canonical import plan_bytes, plan_id, read_plan
from specplan.results.open import open_run
from specplan.results.report import report_html
from specplan.results.status import read_run_file
from specplan.store.checked_json import encode_checked
from specplan.store.recorder import Recorder
from specplan.store.run_file import ErrorRecord, PhaseTiming, Status
from specplan.store.tags import change_tags

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from specplan.store.layout import RunFolder

HOSTILE = '"><script>document.title="owned"</script><img src=x onerror=alert(1)>\u0000'
BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


class Page(HTMLParser):
    """What a page would load or run, and the text that it shows."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.handlers: list[str] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attributes:
            if name in ("src", "href", "srcset", "data", "action", "xlink:href"):
                self.loads.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def check(page: str) -> Page:
    """It is one file that loads and runs nothing."""
    parsed = Page(page)
    assert parsed.handlers == []
    assert [each for each in parsed.loads if not each.startswith("data:image/")] == []
    assert not {"script", "link", "iframe", "object", "embed", "base"} & set(parsed.tags)
    assert "url(" not in page
    assert "@import" not in page
    assert "default-src 'none'" in page
    assert parsed.tags.count("main") == 1
    return parsed


def change_plan(folder: RunFolder, **experiment: Any) -> None:
    plan = read_plan(folder.plan_file).plan
    plan = msgspec.structs.replace(
        plan, experiment=msgspec.structs.replace(plan.experiment, **experiment)
    )
    folder.plan_file.write_bytes(plan_bytes(msgspec.structs.replace(plan, id=plan_id(plan))))


def test_a_real_run_has_every_section(recorded_run: RunFolder, tmp_path: Path) -> None:
    run = specplan.open(recorded_run.path)
    path = run.report(tmp_path / "report.html")
    page = path.read_text("utf-8")
    parsed = check(page)
    headings = re.findall(r"<h2>(.*?)</h2>", page)
    assert headings == [
        "Graph",
        "Phases",
        "Curves",
        "Metrics",
        "Records",
        "What was run",
        "Environment",
    ]
    assert 'class="badge completed"' in page
    assert page.count('class="chart"') >= 1
    assert run.run_file.plan_id in parsed.texts
    assert any('"specplan": 1' in text for text in parsed.texts)


def test_a_page_and_a_command_tell_the_same(
    folder: RunFolder, write_run_file: Callable[..., None]
) -> None:
    timing = PhaseTiming(path="train", started_at="2026-11-21T10:00:00Z", ending="stopped early")
    write_run_file(folder, statistics={"dropped": 1, "dropped_tables": 2}, phases=(timing,))
    folder.params_file.write_bytes(msgspec.json.encode({"net": {"width": 8}}))
    change_plan(folder, title="Digits again", subtitle="once more", description="Does it help?")
    change_tags(folder, {"fold": "3"}, [])
    run = open_run(folder.path)
    parts = check(report_html(run)).texts
    told = {part.strip(" :") for part in parts} | {
        "".join(parts[at : at + 2]) for at in range(len(parts))
    }
    shown = CliRunner().invoke(group, ["show", str(folder.path)]).stdout
    cells = {cell for line in shown.splitlines() for cell in line.split("  ") if cell}
    lacking = {cell.strip() for cell in cells} - told
    assert {cell for cell in lacking if str(folder.path) not in cell} == {
        *("title", "subtitle", "about"),  # the page shows these without their names
        *("params", "phases", "records", "metrics", "results", "query"),
    }
    assert {"1 record, 2 tables", "fold=3", "net.width", "Digits again", "Does it help?"} <= told


def test_what_surrounded_a_run_reads_as_text(
    folder: RunFolder, write_run_file: Callable[..., None]
) -> None:
    write_run_file(folder, Status.COMPLETED)
    surroundings = {
        "process": {"command": ["mlx", "run", "my spec.yaml", "-c", "a=1", "-c", "b=2"]},
        "git": {"modified": ["a.py", "b.py"], "staged": []},
    }
    folder.environment_file.write_bytes(encode_checked(surroundings))
    texts = check(report_html(open_run(folder.path))).texts
    assert "mlx run 'my spec.yaml' -c a=1 -c b=2" in texts
    assert {"a.py, b.py", "none"} <= set(texts)


def test_a_failed_run_says_why(folder: RunFolder, write_run_file: Callable[..., None]) -> None:
    timing = PhaseTiming(
        path="train",
        started_at="2026-11-21T10:00:00Z",
        ended_at="2026-11-21T10:01:05Z",
        status=Status.FAILED,
    )
    error = ErrorRecord(type="ValueError", message="no rows <left>")
    write_run_file(folder, Status.FAILED, error=error, phases=(timing,))
    folder.logs.mkdir()
    folder.error_log.write_text("Traceback: <module>\n")
    page = report_html(open_run(folder.path))
    parsed = check(page)
    assert "ValueError: no rows <left>" in parsed.texts
    assert "1 min 5 s" in parsed.texts
    assert "<details open><summary>Traceback</summary>" in page


def test_a_run_that_goes_on_shows_what_is_committed(
    folder: RunFolder, write_run_file: Callable[..., None]
) -> None:
    write_run_file(folder, Status.RUNNING)
    (session,) = read_run_file(folder).sessions
    alive = msgspec.structs.replace(session, started_at="2999-01-01T00:00:00Z")
    write_run_file(folder, Status.RUNNING, sessions=(alive,))
    page = report_html(open_run(folder.path))
    assert any("still going on" in text for text in check(page).texts)
    assert "val_loss" in page


def test_a_run_that_recorded_nothing_has_a_page(
    root: Path, write_run_file: Callable[..., None]
) -> None:
    from specplan.store.layout import RunFolder

    folder = RunFolder(root / "toy" / "20261121-100001")
    write_run_file(folder, Status.CREATED)
    page = report_html(open_run(folder.path))
    assert "nothing was measured" in check(page).texts
    assert "<h2>Curves" not in page


def test_thousands_of_batches_stay_a_small_page(
    root: Path, write_run_file: Callable[..., None]
) -> None:
    from specplan.store.layout import RunFolder

    folder = RunFolder(root / "toy" / "20261121-100002")
    write_run_file(folder)
    store = Store.create(str(folder.records), run_id=folder.path.name)
    log = store.metrics([("train", None, "train", "train_loss")]).log
    for step in range(20_000):
        log(np.array([1.0 / (step + 1)]), step // 1000, step % 1000, step)
    for epoch in range(20):
        log(np.array([1.0 / (epoch + 1)]), epoch, -1, 1000 * epoch)
    store.close()
    page = report_html(open_run(folder.path))
    check(page)
    assert len(page) < 100_000
    assert page.count('class="at"') == 20


def test_artifacts_are_shown_and_images_are_in_the_page(folder: RunFolder) -> None:
    shutil.rmtree(folder.records)
    plan = read_plan(folder.plan_file).plan
    recorder = Recorder(folder, folder.path.name, results=plan.results)
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><script>parent.document.title="owned"</script></svg>'
    recorder.artifact("drawing.svg", svg, phase="train", epoch=2)
    recorder.artifact("notes", "<b>bold</b>", phase="train")
    recorder.artifact("numbers", np.arange(3))
    recorder.close()
    page = report_html(open_run(folder.path))
    parsed = check(page)
    assert (
        len([each for each in parsed.loads if each.startswith("data:image/svg+xml;base64,")]) == 1
    )
    assert "<b>bold</b>" in parsed.texts
    assert {"drawing.svg", "notes", "numbers"} <= set(parsed.texts)
    damaged = next(folder.artifacts.glob("notes*"))
    damaged.write_text("other text!")
    assert any("is damaged" in text for text in check(report_html(open_run(folder.path))).texts)


def test_hostile_texts_are_shown_and_do_nothing(
    folder: RunFolder, write_run_file: Callable[..., None], tmp_path: Path
) -> None:
    error = ErrorRecord(type=HOSTILE, message=HOSTILE)
    write_run_file(folder, Status.FAILED, error=error)
    change_plan(
        folder, title=HOSTILE, subtitle=HOSTILE, description=HOSTILE, tags={HOSTILE: HOSTILE}
    )
    folder.spec_file.write_text(msgspec.json.encode({"title": HOSTILE}).decode())
    target = open_run(folder.path).report(tmp_path / "hostile.html")
    page = target.read_text("utf-8")
    shown = HOSTILE.replace("\0", "\ufffd")
    assert check(page).texts.count(shown) >= 3
    if BROWSER is not None:
        assert "<title>toy 20261121-100000</title>" in in_browser(target)


def in_browser(page: Path) -> str:
    """The document after a real browser has opened it, without a network."""
    assert BROWSER is not None
    done = subprocess.run(
        [
            BROWSER,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={page.parent / 'browser'}",
            "--enable-logging=stderr",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert re.findall(r"CONSOLE.*", done.stderr) == []
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_a_browser_opens_the_page_without_a_complaint(
    recorded_run: RunFolder, tmp_path: Path
) -> None:
    document = in_browser(specplan.open(recorded_run.path).report(tmp_path / "report.html"))
    assert document.count("<h2>") == 7
    assert document.rstrip().endswith("</main>\n</body></html>")
