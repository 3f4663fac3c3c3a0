"""Experiments by prefix, as their document has them."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
import torch
from imageio_ffmpeg import get_ffmpeg_exe
from PIL import Image, ImageSequence
from safetensors.torch import load_file
from sklearn.linear_model import LinearRegression

import specplan
from specplan import (
    RUN,
    Experiment,
    ExperimentCallback,
    FitPhase,
    ModelGraph,
    ModelNode,
    ml_dash_experiment,
)
from specplan.errors import RunError
from specplan.results.locate import all_runs
from specplan.results.run_archive import extract_run
from specplan.results.settings import settings
from specplan.results.summary import Summary
from specplan.track.metric_row import MetricRow
from specplan.track.parameters import nested
from specplan.track.portable import portable
from specplan.track.prefix import Prefix
from specplan.track.summary import summary
from tests.cli.conftest import run_mlx
from tests.objects.parts import sensor_data

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specplan.objects.phase import Phase
    from specplan.results.open import Run

PREFIX = "alice/project/my-experiment"


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    for name in ("DASH_PREFIX", "ML_DASH_PREFIX", "DASH_URL", "SPECPLAN_HOME", "SPECPLAN_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    yield
    RUN.prefix = None
    RUN.params.clear()


def mlx(*arguments: str) -> str:
    done = run_mlx(*arguments, "--root", ".dash")
    assert done.returncode == 0, done.stderr
    return done.stdout


def newest() -> Run:
    (*_, last) = all_runs(Path(".dash"))
    return specplan.open(last.path)


def test_the_example_of_the_document(capsys: pytest.CaptureFixture[str]) -> None:
    Path("model.pth").write_bytes(b"weights")
    with Experiment(prefix=PREFIX).run as exp:
        exp.log("Training started")
        exp.params.set(learning_rate=0.001)
        exp.metrics("train").log(loss=0.5, epoch=1)
        exp.files("models").save("model.pth")
    assert capsys.readouterr().out == "[INFO] Training started\n"
    run = newest()
    assert (run.experiment, run.status) == (PREFIX, "completed")
    rows = run.metrics("loss", split="train").arrow.to_pylist()
    assert [(row["epoch"], row["value"]) for row in rows] == [(1, 0.5)]
    assert run.artifacts["models/model.pth"].read() == b"weights"
    assert json.loads((run.folder.path / "params.json").read_text()) == {"learning_rate": 0.001}


def test_the_same_prefix_goes_on_where_it_was() -> None:
    for epoch in (1, 2):
        with Experiment(PREFIX).run as exp:
            exp.metrics("train").log(loss=1 / epoch, epoch=epoch)
            exp.params.set({f"p{epoch}": epoch})
            assert exp.params.get() == {f"p{each}": each for each in range(1, epoch + 1)}
            assert exp.metrics("train").stats()["totalDataPoints"] == epoch
            assert [row["index"] for row in exp.metrics("train").read()["data"]] == [0, 1][:epoch]
            exp.log("again")
            assert [entry["sequenceNumber"] for entry in exp.logs.read()] == [0, 1][:epoch]
    (folder,) = all_runs(Path(".dash"))
    assert len(specplan.open(folder.path).run_file.sessions) == 2


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        (lambda exp: exp.run.complete(), "completed"),
        (lambda exp: exp.run.fail(), "failed"),
        (lambda exp: exp.run.cancel(), "cancelled"),
    ],
)
def test_a_run_ends_as_it_was_told(ending: Any, status: str) -> None:
    exp = Experiment(prefix=PREFIX)
    assert exp.run.status == "created"
    assert exp.run.start() is exp
    assert exp.run.start() is exp
    assert newest().status == "running"
    ending(exp)
    ending(exp)
    assert (exp.run.status, newest().status) == (status, status)


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(3)])
def test_an_exception_fails_the_run_and_goes_on(error: BaseException) -> None:
    with pytest.raises(type(error)), Experiment(prefix=PREFIX).run:
        raise error
    run = newest()
    assert run.status == "failed"
    assert run.run_file.error is not None
    assert run.run_file.error.type == type(error).__name__
    assert type(error).__name__ in run.folder.error_log.read_text()


@pytest.mark.parametrize(
    "use",
    [
        lambda exp: exp.log("x"),
        lambda exp: exp.params.set(a=1),
        lambda exp: exp.metrics("train").log(a=1),
        lambda exp: exp.files("models").save(b"x", to="x"),
    ],
)
def test_nothing_is_logged_before_the_start_and_after_the_end(use: Any) -> None:
    exp = Experiment(prefix=PREFIX)
    with pytest.raises(RuntimeError, match="has not started"):
        use(exp)
    with exp.run:
        use(exp)
    with pytest.raises(RuntimeError, match="the last is completed"):
        use(exp)


def test_a_function_runs_inside_of_a_run() -> None:
    @Experiment(prefix=PREFIX).run
    def train(exp: Experiment, factor: int, *, add: int = 0) -> int:
        exp.params.set(factor=factor)
        return 2 * factor + add

    assert train(3, add=1) == 7
    assert train.__name__ == "train"
    assert newest().status == "completed"

    @ml_dash_experiment(prefix="alice/project/other", tags=["a"])
    def other(rate: float, experiment: Experiment) -> str | None:
        experiment.params.set(rate=rate)
        return experiment.prefix

    assert other(0.1) == "alice/project/other"


def test_prefixes_come_apart() -> None:
    prefix = Prefix.of("alice/project/deep/path/name")
    assert (prefix.owner, prefix.project, prefix.path, prefix.name) == (
        "alice",
        "project",
        ("deep", "path"),
        "name",
    )
    assert Prefix.of("one").owner is None
    assert Prefix.of("alice/3 runs").label == "_3_runs"
    for wrong in ("a/../b", "/", "a//b", "../x", "a/.b"):
        with pytest.raises(ValueError, match="cannot be the name"):
            Prefix.of(wrong)
    with pytest.raises(ValueError, match=r"no variable `EXP\.name`"):
        Prefix.of("a/{EXP.name}")
    assert Prefix.of("a/{now:%Y}").name.startswith("20")


def test_the_prefix_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML_DASH_PREFIX", "bob/p/second")
    assert Experiment().prefix == "bob/p/second"
    monkeypatch.setenv("DASH_PREFIX", "bob/p/first")
    assert Experiment().prefix == "bob/p/first"
    assert Experiment("mine").prefix is None
    monkeypatch.delenv("DASH_PREFIX")
    monkeypatch.delenv("ML_DASH_PREFIX")
    with pytest.raises(TypeError, match="needs a label or a prefix"):
        Experiment()
    with pytest.raises(TypeError, match="a label or a prefix, not both"):
        Experiment("a", prefix="b/c")


def test_the_prefix_may_come_from_the_file_of_the_program(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    RUN.entry = str(tmp_path / "studies/first.py")
    prefix = Experiment().prefix
    assert prefix is not None
    assert prefix.endswith(f"/{tmp_path.name}/studies/first")


def test_arguments_are_checked() -> None:
    with pytest.raises(TypeError, match="no argument `dash_roots`\nhint: did you mean `dash_root`"):
        Experiment(PREFIX, dash_roots="x")
    with pytest.raises(ValueError, match="kept nowhere"):
        Experiment(PREFIX, dash_root=None)
    with pytest.raises(RunError, match="a server needs a token, and there is none\nhint: set"):
        Experiment(PREFIX, dash_url="http://localhost:3000")
    with pytest.raises(ValueError, match=r"the server that \$DASH_URL names, which is not set"):
        Experiment(PREFIX, dash_url=True)
    with Experiment(PREFIX, learning_rate=0.1, tags=["vision", "size=small"]).run as exp:
        assert exp.params.get() == {"learning_rate": 0.1}
    assert newest().plan.experiment.tags == {"vision": None, "size": "small"}


def test_messages_of_many_threads_are_numbered_once() -> None:
    with Experiment(PREFIX).run as exp:

        def tell(_: int) -> None:
            for _ in range(100):
                exp.log("here")

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(tell, range(8)))
        numbers = [entry["sequenceNumber"] for entry in exp.logs.read()]
    assert numbers == list(range(800))


def test_levels_of_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    with Experiment(PREFIX).run as exp:
        exp.log("low", level="warning", rate=0.1)
        exp.logs.fatal("high")
        with pytest.raises(ValueError, match="no level `loud`"):
            exp.log("x", level="loud")
        assert [entry["level"] for entry in exp.logs.read()] == ["warn", "fatal"]
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("[WARN] low [rate=0.1]\n", "[FATAL] high\n")


def test_params_are_flat_and_nested() -> None:
    class Train:
        rate = 0.1
        sizes = (1, 2)

        def method(self) -> None: ...

    with Experiment(PREFIX).run as exp:
        exp.params.set(train=Train, net={"width": 3, "deep": {"er": np.int64(1)}})
        flat = {"train.rate": 0.1, "train.sizes": [1, 2], "net.width": 3, "net.deep.er": 1}
        assert exp.params.get() == flat
        assert exp.params.get(flatten=False) == nested(flat)
        with pytest.raises(ValueError, match=r"`net\.width` has a value"):
            exp.params.set({"net.width.x": 1})
        assert exp.params.get() == flat


def test_metrics_of_any_fields() -> None:
    with Experiment(PREFIX).run as exp:
        exp.metrics("train").log(loss=np.float32(0.5), note="first", bad=math.nan, _ts=3.0)
        exp.metrics("train").log(loss=0.25, _ts=-1)
        exp.metrics.log(epoch=3, train={"loss": 0.1}, eval={"loss": 0.2})
        read = exp.metrics("train").read(start_index=1, limit=1)
        assert read["hasMore"] is True
        assert read["data"][0]["data"] == {"loss": 0.25, "_ts": 3.0}
        assert [each["name"] for each in exp.metrics.list_all()] == ["train", "eval", None]
        assert exp.metrics("train").read()["data"][0]["data"]["bad"] == "nan"
    rows = newest().metrics("loss").arrow.to_pylist()
    assert [(row["split"], row["epoch"], row["step"]) for row in rows] == [
        ("train", None, 0),
        ("train", None, 1),
        ("train", 3, 2),
        ("eval", 3, 0),
    ]
    assert set(newest().metrics().arrow.column("name").to_pylist()) == {"bad", "loss"}


def test_the_place_of_numbers_is_no_series_beside_them() -> None:
    with Experiment(PREFIX).run as exp:
        exp.metrics("train").log(loss=0.5, epoch=2, step=40)
        exp.metrics("train").log(loss=0.25, epoch=2.5)
        exp.metrics("marks").log(step=7)
        rows = exp.metrics("train").read()["data"]
    assert [(row["data"]["epoch"], row["data"].get("step")) for row in rows] == [
        (2, 40),
        (2.5, None),
    ]
    placed = [
        (row["split"], row["name"], row["value"], row["epoch"], row["step"])
        for row in newest().metrics().arrow.to_pylist()
    ]
    assert placed == [
        ("train", "loss", 0.5, 2, 40),
        ("train", "loss", 0.25, 2, 1),
        ("train", "epoch", 2.5, 2, 1),
        ("marks", "step", 7.0, None, 7),
    ]


def test_summaries() -> None:
    with Experiment(PREFIX).run as exp:
        train = exp.metrics("train")
        for value in (1.0, 2.0, 3.0):
            train.buffer(loss=value)
            train.summary_cache.store(loss=value, other=None)
        with pytest.raises(ValueError, match="no aggregation `avg`"):
            train.buffer.log_summary("avg")
        train.buffer.log_summary("mean", "p50", "last")
        assert train.summary_cache.peek(limit=2) == {"loss": [2.0, 3.0]}
        train.summary_cache.set(epoch=1).summarize()
        first, second = (row["data"] for row in train.read()["data"])
    assert {key: first[key] for key in first if key != "_ts"} == {
        "loss.mean": 2.0,
        "loss.p50": 2.0,
        "loss.last": 3.0,
    }
    assert (second["loss.count"], second["loss.std"], second["epoch"]) == (3, 1.0, 1)
    assert summary([5.0], ["std"]) == {"std": 0.0}
    assert summary([math.nan], ["mean"]) == {}


def test_a_plan_that_is_executed_has_a_run_of_its_own_below_the_prefix() -> None:
    experiment = Experiment(PREFIX)
    feature_set = sensor_data()
    node = ModelNode("Sum", LinearRegression(), feature_set.reference())
    ModelGraph(nodes=[node])
    experiment.execution_plan.add_phase(FitPhase.from_split("fit", split="train"))
    with experiment.run as exp:
        exp.params.set(a=1)
        results = exp.run()
        assert exp.run.status == "running"
    assert results["fit"].run.folder.path.parent == Path(".dash") / PREFIX
    with experiment.run as exp:
        assert exp.params.get() == {"a": 1}
    assert len(list(all_runs(Path(".dash")))) == 2


class Saying(ExperimentCallback):
    """Says something of the experiment at each boundary of its run."""

    def on_experiment_start(self, *, experiment: Experiment) -> None:
        experiment.log("begins")
        experiment.params.set(batch={"size": 8})

    def on_phase_end(self, *, experiment: Experiment, phase: Phase) -> None:
        for value in (0.5, 0.25):
            experiment.metrics("val").log(loss=value)
        experiment.files("notes").save({"phase": phase.label}, to="phase.json")
        experiment.flush()
        assert experiment.metrics("val").stats()["totalDataPoints"] == 2
        assert experiment.run.status == "running"


def with_a_plan(experiment: Experiment) -> Experiment:
    feature_set = sensor_data()
    ModelGraph(nodes=[ModelNode("Sum", LinearRegression(), feature_set.reference())])
    experiment.execution_plan.add_phase(FitPhase.from_split("fit", split="train"))
    return experiment


def test_what_an_experiment_is_given_reaches_the_runs_of_its_plan() -> None:
    given: dict[str, Any] = {"readme": "of it", "tags": {"team": "blue", "api_key": "s3cret"}}
    about: dict[str, Any] = {"bindrs": ["thesis"], "metadata": {"room": 4}}
    experiment = with_a_plan(Experiment("alice/project/2024-run", **given, **about, rate=0.1))
    run = experiment.run()["fit"].run
    assert run.experiment == run.plan.experiment.id == "alice/project/2024-run"
    assert run.folder.path.parent == Path(".dash/alice/project/2024-run")
    assert run.tags == {"team": "blue", "api_key": "***"}
    assert run.plan.experiment.description == "of it"
    assert settings(run.folder)["rate"] == 0.1
    assert run.documents("about") == [about]
    assert b"s3cret" not in b"".join(f.read_bytes() for f in run.folder.path.glob("*.json"))
    assert run.plan.id == with_a_plan(Experiment("other")).run()["fit"].run.plan.id


@pytest.mark.parametrize("name", [PREFIX, "label"])
def test_what_callbacks_say_of_an_experiment_is_in_the_run_that_is_executed(name: str) -> None:
    experiment = with_a_plan(Experiment(name))
    experiment.add_callback(Saying())
    for _ in range(2):  # each run counts from 0
        run = experiment.run()["fit"].run
        assert [each["message"] for each in run.documents("log")] == ["begins"]
        assert settings(run.folder)["batch.size"] == 8
        losses = run.metrics("loss").arrow.select(["split", "step", "value"]).to_pylist()
        assert [(each["split"], each["step"], each["value"]) for each in losses] == [
            ("val", 0, 0.5),
            ("val", 1, 0.25),
        ]
        assert run.artifacts["notes/phase.json"].read() == {"phase": "fit"}
    assert experiment.run.status == "completed"
    with pytest.raises(RuntimeError, match="the last is completed"):
        experiment.log("over")


def test_a_run_that_was_begun_is_the_one_that_callbacks_write_to() -> None:
    experiment = with_a_plan(Experiment(PREFIX))
    experiment.add_callback(Saying())
    with experiment.run as exp:
        of_plan = exp.run()["fit"].run
        begun = exp.run_folder
    assert begun is not None
    assert [each["message"] for each in specplan.open(begun).documents("log")] == ["begins"]
    assert of_plan.documents("log") == []


def test_what_a_command_prints_of_a_run_of_a_prefix_every_other_takes(tmp_path: Path) -> None:
    experiment = with_a_plan(Experiment("alice/project/2024-run"))
    run = experiment.run()["fit"].run
    with experiment.run as exp:
        exp.log("of the program")
    key = f"alice/project/2024-run/{run.id}"
    listed = json.loads(mlx("list", "--json"))
    assert {each["experiment"] for each in listed} == {"alice/project/2024-run"}
    assert mlx("show", key, "--json") == mlx("show", f"2024-run/{run.id}", "--json")
    assert key in mlx("show", key)
    assert key in mlx("compare", key, "alice/project/2024-run", "--json")
    assert portable(run).experiment == "alice/project/2024-run"
    mlx("archive", key, "--to", str(tmp_path / "kept"))
    there = extract_run(tmp_path / "kept.run.mml", tmp_path / "other")
    assert there.path.relative_to(tmp_path / "other").as_posix() == key
    file = experiment.save(tmp_path / "all")
    again = Experiment.load(file, results_dir=tmp_path / "results")
    assert (tmp_path / "results" / key).is_dir()
    assert again.run()["fit"].run.folder.path.parent == (tmp_path / "results" / key).parent


def test_a_run_of_an_earlier_version_is_found_by_what_is_printed_of_it() -> None:
    """It was in the folder of the prefix, and its run.json had the label."""
    run = with_a_plan(Experiment("label")).run()["fit"].run
    old = Path(".dash/alice/project/label") / run.id
    old.parent.mkdir(parents=True)
    run.folder.path.rename(old)
    assert f"label/{run.id}" in mlx("show", "alice/project/label")
    assert f"label/{run.id}" in mlx("show", f"label/{run.id}")


def test_a_preview_says_nothing_of_the_experiment() -> None:
    experiment = with_a_plan(Experiment(PREFIX))
    experiment.preview_run()
    assert experiment.run.status == "created"
    assert not list(all_runs(Path(".dash")))


def test_files(tmp_path: Path) -> None:
    with Experiment(PREFIX).run as exp:
        models = exp.files("models")
        models.save({"a": 1}, to="config.json")
        models.save({"a": 2}, to="config.json")
        models.save_text("hello", to="notes/readme.txt")
        models.save(np.arange(3), to="rows.npy")
        models.save_torch({"w": __import__("torch").ones(2)}, to="model.pt")
        assert [each["name"] for each in models.list()] == [
            "config.json",
            "notes/readme.txt",
            "rows.npy",
            "model.safetensors",
        ]
        assert json.loads(models.read_text("config.json")) == {"a": 2}
        assert models.download("rows.npy", tmp_path / "copy.npy").is_file()
        models.duplicate("config.json", "second.json")
        models.delete("config.json")
        assert not models.exists("config.json")
        assert models.exists("second.json")
        assert [each["name"] for each in models.list("*.json")] == ["second.json"]
        with pytest.raises(RunError, match="no file `conf.json`"):
            models.read_text("conf.json")
        with pytest.raises(ValueError, match="say one with"):
            models.save(b"x")
        with pytest.raises(ValueError, match="cannot be the name"):
            models.save(b"x", to="../../../x")
        with pytest.raises(TypeError):
            models.save(object(), to="x.pkl")


def test_a_file_is_found_by_its_path_its_name_its_id_and_patterns(tmp_path: Path) -> None:
    (tmp_path / "model.txt").write_text("weights")
    with Experiment(PREFIX).run as exp:
        saved = exp.files("models", tags=["best"], metadata={"epoch": np.int64(3)}).upload(
            tmp_path / "model.txt"
        )
        assert (saved["filename"], saved["path"], saved["sizeBytes"]) == ("model.txt", "/models", 7)
        exp.files.save({"rate": 0.1}, to="configs/run.json", description="of the run")
        exp.files("configs").save_text("x", to="notes.txt")
        for found in (
            exp.files("models/model.txt").download(to=tmp_path / "a"),
            exp.files("model.txt").download(to=tmp_path / "b"),
            exp.files(file_id=saved["id"]).download(to=tmp_path / "c"),
            exp.files.download("models/model.txt", to=tmp_path / "d"),
            exp.files(file_id=saved["id"], dest_path=tmp_path / "e").download(),
        ):
            assert found.read_text() == "weights"
        copies = exp.files.download("configs/*.txt", to=tmp_path / "copies")
        assert [each.name for each in copies] == ["notes.txt"]
        assert [each["filename"] for each in exp.files().list("*.txt")] == [
            "model.txt",
            "notes.txt",
        ]
        (tagged,) = exp.files(tags=["best"]).list()
        assert (tagged["id"], tagged["metadata"]) == (saved["id"], {"epoch": 3})
        assert exp.files(file_id=saved["id"], tags=["old"]).update()["tags"] == ["old"]
        assert exp.files("models").list()[0]["metadata"] == {"epoch": 3}
        second = exp.files().duplicate(saved, to="/models/latest.txt")
        assert (second["checksum"], second["path"]) == (saved["checksum"], "/models")
        assert second["id"] != saved["id"]
        with pytest.raises(ValueError, match="the source must be the name or id of a file"):
            exp.files().duplicate({"wrong": "key"}, to="x")
        assert [each["name"] for each in exp.files("configs").delete("*.txt")] == ["notes.txt"]
        assert exp.files("latest.txt").delete()["id"] == second["id"]
        assert [each["filename"] for each in exp.files().list()] == ["model.txt", "run.json"]
        exp.files("other").save_text("y", to="model.txt")
        with pytest.raises(
            RunError, match=r"several files are `model\.txt`: models/model\.txt, other"
        ):
            exp.files("model.txt").read_text()
        with pytest.raises(RunError, match="no file `gone.txt`; there: "):
            exp.files("gone.txt").delete()
        with pytest.raises(TypeError, match="is not pickled"):
            exp.files.save_pkl({1}, to="x.pkl")


def test_images_and_videos_of_arrays() -> None:
    gray = np.linspace(0, 1, 12).reshape(3, 4)
    with Experiment(PREFIX).run as exp:
        exp.files("images").save(gray, to="gray.png")
        exp.files("images").save_image(np.zeros((3, 4, 4), np.uint8), to="clear.png")
        saved = exp.files("videos").save_video([gray, gray / 2], to="moving.png", fps=5)
        assert saved["contentType"] == "image/png"
        with pytest.raises(ValueError, match="there are no frames"):
            exp.files("videos").save_video([], to="none.png")
        with pytest.raises(ValueError, match="the frames have several sizes"):
            exp.files("videos").save_video([gray, gray.T], to="sizes.png")
        with pytest.raises(ValueError, match="int64 are from 0 to 255, and these from 0 to 300"):
            exp.files.save_image(np.array([[0, 300]]), to="bright.png")
        with pytest.raises(ValueError, match="height x width, or height x width x 1 to 4, not 2"):
            exp.files.save_image([1, 2], to="flat.png")
        with pytest.raises(ValueError, match=r"is stored as \.png or \.jpg or \.jpeg"):
            exp.files.save_image(gray, to="gray.bmp")
        content = exp.files("images/gray.png").download(to="copy.png").read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    start = content.index(b"IDAT") + 4
    size = int.from_bytes(content[start - 8 : start - 4], "big")
    lines = zlib.decompress(content[start : start + size])
    assert [lines[at : at + 5] for at in (0, 5, 10)] == [
        bytes([0, *row]) for row in np.round(gray * 255).astype(np.uint8).tolist()
    ]


def test_images_and_videos_that_others_read() -> None:
    clear = np.zeros((8, 8, 4), np.uint8)
    with Experiment(PREFIX).run as exp:
        files = exp.files("pictures")
        files.save_image(np.linspace(-5, 1000, 64).reshape(8, 8), to="wide.jpg", quality=100)
        assert files.save(clear, to="clear.jpeg")["contentType"] == "image/jpeg"
        with pytest.raises(ValueError, match="0 frames per second are none"):
            files.save_video([np.zeros((8, 8))], "still.gif", fps=0)
        moving = files.save_video([np.full((8, 8), at) for at in (0.0, 1.0)], "moving.gif", fps=10)
        assert moving["id"] == "pictures/moving.gif"
        paths = files.download("*.*", to="copies")
    with Image.open(paths[0]) as wide, Image.open(paths[1]) as white, Image.open(paths[2]) as gif:
        assert (wide.getpixel((0, 0)), wide.getpixel((7, 7))) == (0, 255)
        assert white.getpixel((3, 3)) == (255, 255, 255)
        assert gif.info["duration"] == 100
        gif.seek(1)
        assert gif.convert("L").getpixel((3, 3)) == 255


@pytest.mark.parametrize("name", ["fade.png", "fade.gif"])
def test_the_frames_of_a_video_are_stretched_alike(name: str) -> None:
    frames = [np.array([[0.0, most]]) for most in (4.0, 2.0, 0.0)]
    with Experiment(PREFIX).run as exp:
        exp.files("pictures").save_video(frames, to=name, fps=5)
        path = exp.files("pictures").download(name, to="copies")
    whites = []
    with Image.open(path) as fade:
        for frame in ImageSequence.Iterator(fade):
            shown = frame.convert("L")
            whites.append((shown.getpixel((0, 0)), shown.getpixel((1, 0))))
    assert whites == [(0, 255), (0, 128), (0, 0)]


def test_a_film() -> None:
    frames = [np.full((32, 48), at / 9) for at in range(10)]
    with Experiment(PREFIX).run as exp:
        saved = exp.files("pictures").save_video(frames, to="film.mp4", fps=5)
        assert saved["contentType"] == "video/mp4"
        [path] = exp.files("pictures").download("film.*", to="copies")
    decode = [
        get_ffmpeg_exe(),
        "-v",
        "error",
        "-i",
        str(path),
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
    ]
    shown = subprocess.run([*decode, "-"], check=True, capture_output=True).stdout
    film = np.frombuffer(shown, np.uint8).reshape(10, 32, 48, 3)
    np.testing.assert_allclose(film.mean(axis=(1, 2, 3)), np.linspace(0, 255, 10), atol=4)


def test_a_format_says_which_package_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imageio.v3", None)
    with (
        Experiment(PREFIX).run as exp,
        pytest.raises(
            RunError, match=r"needs the package imageio, .*\nhint: pip install .specplan\[media\]"
        ),
    ):
        exp.files.save_video([np.zeros((8, 8))], to="moving.mp4")


def test_weights_are_found_by_the_name_they_were_given() -> None:
    with Experiment(PREFIX).run as exp:
        files = exp.files("models")
        assert files.save_torch(torch.nn.Linear(2, 1), to="best.pt")["name"] == "best.safetensors"
        assert exp.files("models/best.pt").exists()
        assert [each["name"] for each in files.list("*.pt")] == ["best.safetensors"]
        copy = exp.files("best.pt").download(to="copy.safetensors")
        assert not files.exists("other.pt")
    assert set(load_file(copy)) == {"weight", "bias"}


def test_the_files_of_a_bindr() -> None:
    with Experiment(PREFIX, bindrs=["team"]).run as exp:
        exp.files("models", bindrs=["release", "team"]).save(b"1", to="a.bin")
        exp.files("models").save(b"2", to="b.bin")
        assert [each["name"] for each in exp.bindrs("release").list()] == ["models/a.bin"]
        assert exp.bindrs == ["team"]


def test_what_an_experiment_belongs_to_is_shown() -> None:
    with Experiment(PREFIX, bindrs=["gpu"], metadata={"card": {"name": "A100"}, "n": 2}).run:
        pass
    with Experiment(PREFIX, metadata={"n": 3}).run as exp:
        folder = exp.run_folder
    facts = Summary(specplan.open(folder)).facts
    assert (facts["bindrs"], facts["metadata"]) == ("[gpu]", "n=3")
    shown = json.loads(run_mlx("show", str(folder), "--json").stdout)
    assert (shown["bindrs"], shown["metadata"]) == (["gpu"], {"n": 3})


def test_what_is_said_of_metrics_is_kept_once() -> None:
    said = {"description": "on held-out rows", "tags": ["val"], "metadata": {"rows": 90}}
    with Experiment(PREFIX).run as exp:
        for loss in (0.5, 0.4):
            exp.metrics("val", **said).log(loss=loss)
        exp.metrics("val", tags=["late"])
        with pytest.raises(ValueError, match="tags is said of metrics that have a name"):
            exp.metrics(tags=["x"])
    with Experiment(PREFIX).run as exp:
        (found,) = exp.metrics("val").list_all()
    assert {**said, "tags": ["late"], "totalDataPoints": 2}.items() <= found.items()


class Figure:
    """Writes itself as a figure of matplotlib does."""

    def savefig(self, path: Path, **options: Any) -> None:
        path.write_text(repr(sorted(options.items())))


def test_a_figure_is_kept_with_its_options() -> None:
    with Experiment(PREFIX).run as exp:
        saved = exp.files("plots").save_fig(fig=Figure(), to="loss.pdf", dpi=150)
        assert saved["contentType"] == "application/pdf"
        assert exp.files("plots/loss.pdf").read_text() == "[('dpi', 150), ('format', 'pdf')]"
        with pytest.raises(ValueError, match="there is no figure"):
            exp.files("plots").save_fig(to="none.png")


def test_summaries_of_all_names_at_once() -> None:
    with Experiment(PREFIX).run as exp:
        exp.metrics("train").buffer(loss=1.0).buffer(loss=3.0)
        exp.metrics("eval").buffer(loss=None, accuracy=0.5)
        assert exp.metrics.buffer.peek("train", "loss", limit=1) == {"loss": [3.0]}
        exp.metrics.buffer.log_summary("mean", "count", epoch=7)
        exp.metrics.buffer.log_summary()
        exp.metrics.log(epoch=1).flush()
        train, evaluated = (exp.metrics(name).read()["data"] for name in ("train", "eval"))
        assert [(row["data"]["loss.mean"], row["data"]["epoch"]) for row in train] == [(2.0, 7)]
        assert [row["data"]["accuracy.count"] for row in evaluated] == [1]


def test_another_prefix_before_the_first_run() -> None:
    exp = Experiment("alice/project/first")
    assert (exp.owner, exp.project, exp.name) == ("alice", "project", "first")
    exp.run.prefix = "papers/{EXP.name}"
    assert exp.run.prefix == exp.prefix == "papers/first"
    with exp.run, pytest.raises(RuntimeError, match="Cannot change the prefix"):
        exp.run.prefix = "other/one"
    assert [each.path.parent for each in all_runs(Path(".dash"))] == [Path(".dash/papers/first")]


def test_an_experiment_that_has_started() -> None:
    program = "from specplan.auto_start import dxp\ndxp.params.set(rate=0.1)\ndxp.log('hello')"
    environment = {**os.environ, "DASH_PREFIX": "alice/scratch/dxp"}
    for _ in range(2):
        subprocess.run([sys.executable, "-c", program], check=True, env=environment)
    (folder,) = all_runs(Path(".dash"))
    run = specplan.open(folder.path)
    assert (run.experiment, run.status) == ("alice/scratch/dxp", "completed")
    assert len(run.run_file.sessions) == 2


def test_threads_lose_nothing() -> None:
    with Experiment(PREFIX).run as exp:

        def log(number: int) -> None:
            for _ in range(50):
                exp.metrics("train").log(value=number)

        threads = [threading.Thread(target=log, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        rows = exp.metrics("train").read()["data"]
    assert [row["index"] for row in rows] == list(range(200))


KILLED = """
import os, signal, sys
from specplan import Experiment
with Experiment(prefix="alice/project/killed").run as exp:
    done = exp.metrics("train").stats()["totalDataPoints"]
    for step in range(done, 60):
        exp.metrics("train").log(step=step)
        exp.flush()
        if step == int(sys.argv[1]):
            os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_program_that_starts_again_has_every_step_once() -> None:
    for last in (10, 37, 60):
        subprocess.run([sys.executable, "-c", KILLED, str(last)], check=last == 60)
        assert newest().status == ("completed" if last == 60 else "interrupted")
    values = newest().metrics("step").arrow.column("value").to_pylist()
    assert values == list(range(60))


def test_a_row_that_was_cut_from_its_numbers_gets_them_in_the_next_session() -> None:
    with Experiment(PREFIX).run as exp:
        exp.metrics("train").log(loss=0.5, epoch=0)
        row = MetricRow.of({"loss": math.nan, "epoch": 1}, index=1, stamp=1.0)
        text = msgspec.json.encode(row).decode()
        exp.run.active().record_text("metrics", text, node="train")
    for _ in range(2):
        with Experiment(PREFIX).run as exp:
            assert exp.metrics("train").stats()["totalDataPoints"] == 2
    rows = newest().metrics("loss", split="train").arrow.to_pylist()
    assert [(row["epoch"], str(row["value"])) for row in rows] == [(0, "0.5"), (1, "nan")]
