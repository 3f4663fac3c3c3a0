"""Plans of earlier versions are read, explained and run by this one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest
import rfc8785

from specplan.plan.canonical import id_of_written, plain, plan_id, read_plan
from specplan.plan.compile import compile_document
from specplan.plan.explain import explain
from specplan.plan.model import PLAN_VERSION, Train
from specplan.plan.upgrade import UPGRADES
from specplan.plan.verify import verify
from specplan.results.open import open_run
from specplan.results.verify import verify_run
from specplan.run.display import Silent
from specplan.run.run import run_plan
from specplan.spec.load import load
from specplan.store.checked_json import encode_checked
from specplan.store.run_file import Status
from tests.golden.plans.make import HERE, NAMES, line

if TYPE_CHECKING:
    from pathlib import Path

OLD = [f"v{version}/{name}" for version in range(1, PLAN_VERSION) for name in NAMES]


def test_every_version_has_an_upgrade() -> None:
    assert list(UPGRADES) == list(range(1, PLAN_VERSION))


@pytest.mark.parametrize("name", OLD)
def test_an_old_plan_is_the_plan_that_its_spec_has_today(name: str) -> None:
    path = HERE / f"{name}.json"
    read = read_plan(path)
    assert read.written_id == json.loads(path.read_text())["id"]
    assert read.plan.id == plan_id(read.plan)
    assert read.plan.id != read.written_id
    document = load(HERE / f"specs/{path.stem}.yaml")
    today = compile_document(document, tables={"line": line()}).plan
    # The plan lies in another folder than the spec.
    assert plain(read.plan) | {"results": None} == plain(today) | {"results": None}
    assert explain(read.plan) == explain(today)
    verify(read.plan)


@pytest.mark.parametrize("name", OLD)
def test_an_old_plan_runs(name: str, tmp_path: Path) -> None:
    read = msgspec.structs.replace(read_plan(HERE / f"{name}.json"), tables={"line": line()})
    outcome = run_plan(read, root=tmp_path, display=Silent())
    assert outcome.run_file.status is Status.COMPLETED
    assert outcome.run_file.plan_id == read.plan.id
    assert open_run(outcome.folder.path).plan == read_plan(outcome.folder.plan_file).plan


def test_the_run_of_an_old_plan_is_whole(tmp_path: Path) -> None:
    """Its run.json has the id that the plan had then."""
    old = HERE / "v1/smallest.json"
    read = read_plan(old)
    outcome = run_plan(read, root=tmp_path, display=Silent())
    folder = outcome.folder
    folder.plan_file.write_bytes(old.read_bytes())
    run_file = msgspec.structs.replace(outcome.run_file, plan_id=read.written_id, digests={})
    folder.run_file.write_bytes(encode_checked(run_file))
    assert verify_run(folder).damages == ()


def test_a_plan_from_before_an_argument(tmp_path: Path) -> None:
    """What a component took later has its default; the file keeps its id, the plan has that of today."""
    today = read_plan(HERE / "v1/line.json").plan
    value = plain(today)
    del value["graph"]["optimizer"]["args"]["nesterov"]
    del value["phases"][0]["optimizer"]["args"]["nesterov"]
    del value["phases"][0]["sampler"]["component"]["args"]["reshuffle"]
    del value["graph"]["nodes"]["Net"]["component"]["args"]["dropout"]
    value["id"] = id_of_written(value)
    (tmp_path / "plan.json").write_bytes(rfc8785.dumps(value))
    read = read_plan(tmp_path / "plan.json")
    assert read.written_id == value["id"]
    verify(read.plan)
    [train, *_] = read.plan.phases
    assert isinstance(train, Train)
    # The plan said `false`; the default is what a plan without the argument means.
    assert train.sampler.component.args["reshuffle"] is True
    assert train.optimizer == today.graph.optimizer
    assert read.plan.graph.nodes == today.graph.nodes
    assert read.plan.id == plan_id(read.plan) != value["id"]
