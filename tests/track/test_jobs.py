"""Jobs of `with experiment(...)`: once, after what they need, in processes of their own."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

import specplan
from specplan.cli.main import group
from specplan.errors import RunError
from specplan.experiments import TransientMode, experiment
from specplan.results.jobs import JobFailure, JobState, jobs_of
from specplan.results.progress import Level, progress_of
from specplan.results.run_archive import archive_run, extract_run

if TYPE_CHECKING:
    from pathlib import Path

WORK = """\
import json
import time

import specplan
from specplan.experiments import GracefulTimeout, TaskCancelled, tqdm


def prepare(helper, cfg: dict) -> None:
    helper.log_artifact("rows", list(range(cfg["rows"])))


def train(helper, cfg: dict) -> None:
    rows = json.loads(specplan.open(cfg["data"]).artifacts["rows"].path.read_text())
    helper.log_metrics({"loss": cfg["rate"] * len(rows)})


def fail(helper, cfg: dict) -> None:
    raise ValueError("it went wrong")


def short_of_time(helper, cfg: dict) -> None:
    told = helper.folder / "told.txt"
    if not told.exists():
        told.write_text(str(helper.remaining_time()))
        raise GracefulTimeout("no time for another epoch")
    for _ in tqdm(range(2), desc="epochs"):
        helper.progress(0.5, level=1)


def stubborn(helper, cfg: dict) -> None:
    try:
        (helper.folder / "begun.txt").touch()
        time.sleep(60)
    except TaskCancelled as ending:
        helper.log_metrics({"remaining": ending.remaining_time})


def too_large(helper, cfg: dict) -> None:
    raise MemoryError("too large")


def slow(helper, cfg: dict) -> None:
    begun = helper.folder / "begun.txt"
    attempts = begun.read_text() if begun.exists() else ""
    begun.write_text(attempts + "x")
    if len(attempts) < cfg["slow_attempts"]:
        time.sleep(60)
"""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module of the user's with functions that are jobs."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "work.py").write_text(WORK, encoding="utf-8")
    monkeypatch.syspath_prepend(project)
    monkeypatch.delitem(sys.modules, "work", raising=False)
    return importlib.import_module("work")


def listed(root: Path) -> str:
    done = CliRunner().invoke(group, ["experiments", "--workdir", str(root), "list"])
    assert done.exit_code == 0
    return done.stdout


def test_jobs_run_after_what_they_need(tmp_path: Path, work: Any) -> None:
    root = tmp_path / "work"
    with experiment(root, "mine", dirty_git="ignore", max_jobs=2) as xp:
        assert repr(xp) == f"<experiment mine in {root}: going on>"
        data = xp.submit(work.prepare, {"rows": 4})
        first = xp.submit(work.train, {"data": data, "rate": 0.5})
        assert xp.submit(work.train, {"rate": 0.5, "data": data}) is first
        second = xp.submit(work.train, {"data": data, "rate": 2.0}, tags={"rate": "high"})
        assert first.wait() is JobState.DONE
        assert data.state is JobState.DONE
        assert first.run.metrics("loss").arrow.column("value").to_pylist() == [2.0]
        assert [job.name for job in xp.jobs] == ["prepare", "train", "train"]
    assert repr(xp).endswith(": over>")
    assert second.run.status == "completed"
    assert second.run.plan.id == second.id
    assert second.run.plan.experiment.tags == {"rate": "high"}
    names = {f"mine/{job.folder.name}" for job in xp.jobs}
    rows = json.loads(CliRunner().invoke(group, ["list", "--json", "--root", str(root)]).stdout)
    assert {row["experiment"] for row in rows} == {"mine", *names}
    for name in names:
        assert CliRunner().invoke(group, ["show", name, "--root", str(root)]).exit_code == 0
        assert specplan.open(name, root=root).experiment == name
    archive = tmp_path / "job.run.mml"
    archive_run(first.run.folder, archive)
    assert extract_run(archive, tmp_path / "other").path.relative_to(tmp_path / "other") == (
        first.run.folder.path.relative_to(root)
    )
    run = specplan.open("mine", root=root)
    assert run.status == "completed"
    assert [job.state for job in jobs_of(run)] == [JobState.DONE] * 3
    assert listed(root) == f"mine [{run.run_file.sessions[0].host}] (3/3 jobs)\n"

    with experiment(root, "mine", dirty_git="ignore") as xp:
        again = xp.submit(work.prepare, {"rows": 4})
        assert (again.state, again.attempts) == (JobState.DONE, 0)


CALLED = """\
def prepare(helper, cfg: dict) -> None:
    helper.log_artifact("rows", list(range(cfg["rows"])))


def train(helper, cfg: dict) -> None:
    if cfg["rate"] > 1:
        raise ValueError("too fast")
    helper.log_metrics({"loss": cfg["rate"]})


def run(helper, cfg: dict) -> None:
    data = helper.xp.submit(prepare, {"rows": 4})
    jobs = [helper.xp.submit(train, {"rate": rate, "data": data}) for rate in cfg["rates"]]
    helper.xp.wait()
    for job in jobs:
        helper.log_metrics({"loss": job.run.metrics("loss").arrow.column("value")[0].as_py()})
"""


def test_the_function_of_run_experiment_has_jobs(tmp_path: Path) -> None:
    (tmp_path / "experiment.py").write_text(CALLED, encoding="utf-8")
    yaml = tmp_path / "called.yaml"
    yaml.write_text("id: called\ndirty_git: ignore\nrates: [0.5, 0.25]\n")
    root = tmp_path / "runs"
    words = ["run-experiment", str(yaml), "--root", str(root), "--quiet"]
    done = CliRunner().invoke(group, [*words, "-j", "2"])
    assert done.exit_code == 0, done.stderr
    run = specplan.open("called", root=root)
    assert run.metrics("loss").arrow.column("value").to_pylist() == [0.5, 0.25]
    assert [job.state for job in jobs_of(run)] == [JobState.DONE] * 3
    host = run.run_file.sessions[0].host
    assert listed(root) == f"called [{host}] (3/3 jobs)\n"

    failed = CliRunner().invoke(group, [*words, "-c", "rates=[0.5, 2]"])
    assert failed.exit_code == 1
    assert str(failed.exception).startswith("1 of 3 jobs are not done")
    run = specplan.open("called", root=root)
    assert (run.version, run.status) == (2, "failed")
    assert listed(root).startswith(f"called [{host}] (2/3 jobs)\n")
    again = CliRunner().invoke(group, ["resume", "called", "--root", str(root), "--trust"])
    assert str(again.exception).startswith("1 of 3 jobs are not done")


PAIR = """\
import time
from pathlib import Path


def meet(helper, cfg: dict) -> None:
    place = Path(cfg["place"])
    (place / cfg["name"]).touch()
    deadline = time.monotonic() + 60
    while len(list(place.iterdir())) < 2:
        if time.monotonic() > deadline:
            raise TimeoutError("the other one does not come")
        time.sleep(0.01)


def run(helper, cfg: dict) -> None:
    if not Path(cfg["place"]).is_dir():
        raise ValueError("not yet")
    for name in ("a", "b"):
        helper.xp.submit(meet, {"place": cfg["place"], "name": name})
"""


def test_a_run_that_goes_on_has_as_many_jobs_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "experiment.py").write_text(PAIR, encoding="utf-8")
    place = tmp_path / "place"
    yaml = tmp_path / "pair.yaml"
    yaml.write_text(f"id: pair\ndirty_git: ignore\nplace: {place}\n")
    root = ["--root", str(tmp_path / "runs"), "--quiet"]
    assert CliRunner().invoke(group, ["run-experiment", str(yaml), *root]).exit_code == 1
    place.mkdir()
    done = CliRunner().invoke(group, ["resume", "pair", *root, "--trust", "-j", "2"])
    assert done.exit_code == 0, done.exception
    assert sorted(path.name for path in place.iterdir()) == ["a", "b"]


def test_a_failure_stops_what_needs_it(tmp_path: Path, work: Any) -> None:
    xp = experiment(tmp_path, "mine", dirty_git="ignore").__enter__()
    failed = xp.submit(work.fail)
    after = xp.submit(work.prepare, {"rows": 1}, after=[failed])
    other = xp.submit(work.prepare, {"rows": 2})
    with pytest.raises(RunError, match="2 of 3 jobs are not done") as raised:
        xp.__exit__(None, None, None)
    assert (failed.state, failed.failure) == (JobState.ERROR, JobFailure.FAILED)
    assert (after.state, after.failure) == (JobState.ERROR, JobFailure.DEPENDENCY)
    assert (failed.attempts, after.attempts) == (1, 0)
    assert other.state is JobState.DONE
    assert not after.folder.exists()
    assert str(raised.value) == (
        "2 of 3 jobs are not done:\n"
        f"  {failed.folder.name}: failed\n"
        f"  {after.folder.name}: dependency\n"
        "hint: output.txt in the folder of a job says more"
    )
    assert "ValueError: it went wrong" in (failed.folder / "output.txt").read_text()
    assert specplan.open("mine", root=tmp_path).status == "failed"
    assert "(1/3 jobs)" in listed(tmp_path)


def test_only_timeouts_are_tried_again(tmp_path: Path, work: Any) -> None:
    with experiment(tmp_path, "mine", dirty_git="ignore") as xp:
        job = xp.submit(work.slow, {"slow_attempts": 1}, timeout=8, max_retries=9)
    assert job.state is JobState.DONE
    assert job.attempts >= 2  # more where the machine is so busy that one did not come to its work
    assert (job.run.folder.path / "begun.txt").read_text().startswith("xx")
    xp = experiment(tmp_path, "mine", dirty_git="ignore").__enter__()
    job = xp.submit(work.slow, {"slow_attempts": 9}, timeout=0.05, max_retries=1)
    with pytest.raises(RunError, match="timeout"):
        xp.__exit__(None, None, None)
    assert (job.failure, job.attempts) == (JobFailure.TIMEOUT, 2)


def test_a_job_that_has_no_time_left_goes_on(tmp_path: Path, work: Any) -> None:
    with experiment(tmp_path, "mine", dirty_git="ignore") as xp:
        job = xp.submit(work.short_of_time, timeout=600)
        xp.wait()
    assert (job.state, job.attempts) == (JobState.DONE, 2)
    assert 0 < float((job.run.folder.path / "told.txt").read_text()) < 600
    assert progress_of(job.run)[0] == Level(1.0, "epochs")
    assert "interrupted: no time for another epoch" in (job.folder / "output.txt").read_text()
    xp = experiment(tmp_path, "other", dirty_git="ignore").__enter__()
    job = xp.submit(work.short_of_time, max_retries=0)
    large = xp.submit(work.too_large)
    with pytest.raises(RunError, match="2 of 2 jobs are not done"):
        xp.wait()
    xp.__exit__(KeyError, KeyError("mine"), None)
    assert (job.failure, large.failure) == (JobFailure.TIMEOUT, JobFailure.MEMORY)
    assert (job.run.folder.path / "told.txt").read_text() == "None"
    assert job.run.status == "interrupted"


def test_code_that_goes_on_when_it_is_asked_to_end(tmp_path: Path, work: Any) -> None:
    xp = experiment(tmp_path, "mine", dirty_git="ignore").__enter__()
    job = xp.submit(work.stubborn)
    while job.newest() is None or not (job.run.folder.path / "begun.txt").exists():
        time.sleep(0.05)
    xp.__exit__(KeyError, KeyError("mine"), None)
    assert (job.state, job.failure) == (JobState.ERROR, JobFailure.CANCELLED)
    assert job.run.status == "interrupted"
    assert job.run.metrics("remaining").arrow.column("value").to_pylist() == [10.0]


def test_a_transient_job_is_run_where_it_is_needed(tmp_path: Path, work: Any) -> None:
    for _ in range(2):
        with experiment(tmp_path, "mine", dirty_git="ignore") as xp:
            data = xp.submit(work.prepare, {"rows": 4}, transient="remove")
            alone = xp.submit(work.prepare, {"rows": 5}, transient="transient")
            assert data.wait() is JobState.TRANSIENT
            user = xp.submit(work.train, {"data": data, "rate": 0.5})
        assert (user.state, alone.state) == (JobState.DONE, JobState.TRANSIENT)
        assert not data.folder.exists()
        assert not alone.folder.exists()
    assert data.state is JobState.TRANSIENT  # what needs it was done before
    assert "(1/1 jobs)" in listed(tmp_path)
    with experiment(tmp_path, "mine", dirty_git="ignore", run_mode="dry_run") as xp:
        first = xp.submit(work.prepare, {"rows": 4}, transient="remove")
        assert xp.submit(work.prepare, {"rows": 4}) is first
        assert first.transient is TransientMode.NONE


def test_a_job_of_an_experiment_that_was_killed_is_not_run_twice(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import time\n"
        "from specplan import experiment\n"
        "def job(helper, cfg: dict):\n"
        "    while not (helper.folder.parents[3] / 'go').exists():\n"
        "        time.sleep(0.05)\n"
        "if __name__ == '__main__':\n"
        "    with experiment('work', 'mine', dirty_git='ignore') as xp:\n"
        "        xp.submit(job)\n",
        encoding="utf-8",
    )
    folder = tmp_path / "work/mine"
    command = [sys.executable, "program.py"]
    first = subprocess.Popen(command, cwd=tmp_path)
    while not [*folder.glob("job-*/*/run.json")]:
        time.sleep(0.05)
    first.kill()
    first.wait()
    second = subprocess.Popen(command, cwd=tmp_path)
    while len([*folder.glob("[0-9]*/run.json")]) < 2:
        time.sleep(0.05)
    (tmp_path / "go").touch()
    assert second.wait() == 0
    assert len([*folder.glob("job-*/*/run.json")]) == 1


def test_an_exception_ends_the_jobs(tmp_path: Path, work: Any) -> None:
    xp = experiment(tmp_path, "mine", dirty_git="ignore").__enter__()
    running = xp.submit(work.slow, {"slow_attempts": 9})
    waiting = xp.submit(work.prepare, {"rows": 1}, after=[running])
    xp.__exit__(KeyError, KeyError("mine"), None)
    assert specplan.open("mine", root=tmp_path).status == "failed"
    assert (running.state, running.failure) == (JobState.ERROR, JobFailure.CANCELLED)
    assert (waiting.state, waiting.failure) == (JobState.ERROR, JobFailure.CANCELLED)


@pytest.mark.usefixtures("work")
def test_a_spec_is_a_job(tmp_path: Path) -> None:
    spec = {
        "specplan": 1,
        "experiment": {"id": "counted"},
        "run": {"dirty_git": "ignore"},
        "plan": [
            {"phase": "call", "label": "prepare", "use": "./work.py:prepare", "config": {"rows": 1}}
        ],
    }
    path = tmp_path / "project/spec.json"
    path.write_text(json.dumps(spec), encoding="utf-8")
    with experiment(tmp_path / "work", "mine", dirty_git="ignore") as xp:
        job = xp.submit(path, {"plan.prepare.config.rows": 3})
    assert job.folder.name.startswith("counted-")
    assert json.loads(job.run.artifacts["rows"].path.read_text()) == [0, 1, 2]


def test_nothing_is_run_in_other_modes(tmp_path: Path, work: Any) -> None:
    with experiment(tmp_path / "work", "mine", run_mode="dry_run", dirty_git="ignore") as xp:
        job = xp.submit(work.prepare, {"rows": 1})
        assert job.wait() is JobState.UNSCHEDULED
    assert not (tmp_path / "work").exists()


def test_what_cannot_be_a_job(tmp_path: Path, work: Any) -> None:
    xp = experiment(tmp_path, "mine", dirty_git="ignore", run_mode="dry_run")
    with pytest.raises(RuntimeError, match="inside of `with experiment"):
        xp.submit(work.prepare)
    with xp:
        with pytest.raises(ValueError, match="cannot be a job: it is a function"):
            xp.submit(lambda _helper, _configuration: None)
        with experiment(tmp_path, "other", dirty_git="ignore", run_mode="dry_run") as other:
            job = other.submit(work.prepare, {"rows": 1})
        with pytest.raises(ValueError, match="was not submitted to this experiment"):
            xp.submit(work.train, {"data": job})
        with pytest.raises(specplan.SpecError, match="no_such"):
            xp.submit(tmp_path / "no_such.json")


def test_a_job_does_not_begin_its_experiment(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "from specplan import experiment\n"
        "def job(helper, cfg: dict) -> None: ...\n"
        'with experiment("work", "mine", dirty_git="ignore") as xp:\n'
        "    xp.submit(job)\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "1 of 1 jobs are not done" in done.stderr
    [output] = (tmp_path / "work/mine").glob("job-*/output.txt")
    assert 'hint: begin it below `if __name__ == "__main__":`' in output.read_text()
