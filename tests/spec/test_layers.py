"""Files laid under and over each other, what a value replaced, and files that no one should write."""

from __future__ import annotations

import itertools
import json
import os
import time
from typing import TYPE_CHECKING

import pytest

from specplan.errors import SpecError
from specplan.spec.composition import Composition
from specplan.spec.load import from_mapping, load, load_configuration
from specplan.spec.render import render
from specplan.spec.source import LONGEST_FILE

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.spec.diagnostics import Diagnostic
    from specplan.spec.document import Document
    from specplan.spec.trace import Step


@pytest.fixture(autouse=True)
def _beside_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(folder: Path, **texts: str) -> None:
    """Write `name=text` as name.yaml."""
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text)


def said(step: Step) -> tuple[str, str, object]:
    return step.cause, str(step.origin), step.value


def problems_of(path: str, composition: Composition | None = None) -> tuple[Diagnostic, ...]:
    with pytest.raises(SpecError) as caught:
        load(path, composition or Composition())
    return caught.value.diagnostics


def test_pre_then_the_spec_then_post(tmp_path: Path) -> None:
    write(
        tmp_path,
        deep="batch_size: 5\na: deep\nb: deep\nc: deep\n",
        before="imports: [deep.yaml]\nbatch_size: 7\na: before\nb: before\n",
        spec="batch_size: 32\na: spec\nresults: {dir: runs}\n",
        after="batch_size: 9\n",
    )
    pre, post = (tmp_path / "before.yaml",), (tmp_path / "after.yaml",)
    document = load("spec.yaml", Composition(pre=pre, post=post, overrides=("c=override",)))
    assert document.name == "spec"
    assert document.value == {
        "batch_size": 9,
        "a": "spec",
        "b": "before",
        "c": "override",
        "results": {"dir": "runs"},
    }
    assert [said(step) for step in document.chain(("batch_size",))] == [
        ("import", "deep.yaml:1:13", 5),
        ("pre", "before.yaml:2:13", 7),
        ("file", "spec.yaml:1:13", 32),
        ("post", "after.yaml:1:13", 9),
    ]
    assert [said(step) for step in document.chain(("c",))] == [
        ("import", "deep.yaml:4:4", "deep"),
        ("override", "-c:1:3", "override"),
    ]


def test_paths_of_files_under_and_over_start_at_their_folders(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    write(tmp_path / "shared", base="results: {dir: runs}\n")
    write(
        tmp_path / "shared",
        post="imports: [base.yaml]\ndata: {A: {source: {use: parquet, path: a.parquet}}}\n",
    )
    write(tmp_path, spec="specplan: 1\n")
    document = load("spec.yaml", Composition(post=(tmp_path / "shared/post.yaml",)))
    assert document.value["results"] == {"dir": "shared/runs"}
    assert document.value["data"]["A"]["source"]["path"] == "shared/a.parquet"
    assert document.start(("data", "A", "source", "path")) == tmp_path / "shared"


def test_faults_of_all_files_come_at_once(tmp_path: Path) -> None:
    write(tmp_path, pre="a: [", spec="b: 1\nb: 2\n", post="imports: [there.yaml]\n")
    names = {name: (tmp_path / f"{name}.yaml",) for name in ("pre", "post")}
    missing = Composition(pre=(tmp_path / "spek.yaml", *names["pre"]), post=names["post"])
    found = [
        f"{problem.origin.file} {problem.code}" for problem in problems_of("spec.yaml", missing)
    ]
    assert found == ["spec.yaml SP002", "post.yaml SP101", "pre.yaml SP001", "spek.yaml SP007"]


def test_chain_of_a_parameter(tmp_path: Path) -> None:
    write(
        tmp_path,
        base="params: {lr: 0.1, sampler: {use: simple, batch_size: 4}}\nrate: 0.5\n",
        spec="imports: [base.yaml]\nparams: {lr: 0.01}\nrate: {$: params.lr}\nb: {$: params.sampler}\n",
    )
    document = load("spec.yaml", Composition(overrides=("params.lr=1e-3",)))
    assert [said(step) for step in document.chain(("rate",))] == [
        ("import", "base.yaml:2:7", 0.5),
        ("parameter", "spec.yaml:3:7", {"$": "params.lr"}),
        ("import", "base.yaml:1:14", 0.1),
        ("file", "spec.yaml:2:14", 0.01),
        ("override", "-c:1:11", 0.001),
    ]
    assert [step.origin.path for step in document.chain(("rate",))][1:3] == [
        ("rate",),
        ("params", "lr"),
    ]
    assert [said(step) for step in document.chain(("b", "batch_size"))] == [
        ("parameter", "spec.yaml:4:4", {"$": "params.sampler"}),
        ("import", "base.yaml:1:54", 4),
    ]


def test_chain_begins_with_the_default(tmp_path: Path) -> None:
    write(tmp_path, spec="run: {seed: 1}\n")
    document = load("spec.yaml")
    default, written = document.chain(("run", "seed"))
    assert (default.cause, default.value, default.owner) == ("default", 42, "run")
    assert default.description is not None
    assert written.value == 1
    (only,) = document.chain(("run", "deterministic"))
    assert (only.cause, only.value) == ("default", True)
    assert document.chain(("run", "sed")) == ()


def test_items_of_a_replaced_list_have_no_past(tmp_path: Path) -> None:
    write(tmp_path, base="plan: [{a: 1}]\n", spec="imports: [base.yaml]\nplan: [{a: 2}]\n")
    document = load("spec.yaml")
    assert len(document.chain(("plan",))) == 2
    assert [said(step) for step in document.chain(("plan", 0, "a"))] == [
        ("file", "spec.yaml:2:12", 2)
    ]


def test_chain_through_files_that_are_imported_on_many_ways(tmp_path: Path) -> None:
    names = [f"level{number}" for number in range(40)]
    for name, below in itertools.pairwise(names):
        write(tmp_path, **{name: f"imports: [{below}.yaml, {below}.yaml]\na: {name}\n"})
        write(tmp_path, **{f"{name}x": f"imports: [{below}.yaml, {below}x.yaml]\na: {name}x\n"})
    write(tmp_path, **{names[-1]: "a: 0\n", f"{names[-1]}x": "a: 1\n"})
    write(tmp_path, spec="imports: [level0.yaml, level0x.yaml]\na: last\n")
    chain = load("spec.yaml").chain(("a",))
    assert chain[-1].value == "last"
    assert len(chain) == len({step.origin for step in chain}) == 81


def test_composing_takes_no_longer_than_reading(tmp_path: Path) -> None:
    """Each of these files has thousands of keys; looking at all of them for each takes minutes."""
    nodes = {f"N{number}": {"a": 1, "b": {"c": [1], "d": {}}} for number in range(5_000)}
    over = {label: {"b": {"c": [2]}} for label in nodes}
    (tmp_path / "base.json").write_text(json.dumps({"nodes": nodes}))
    (tmp_path / "spec.json").write_text(json.dumps({"imports": ["base.json"], "nodes": over}))
    before = time.process_time()
    document = load("spec.json")
    places = {document.origin(("nodes", label, part)) for label in nodes for part in ("a", "b")}
    assert time.process_time() - before < 10
    assert len(places) == 10_000
    assert document.value["nodes"]["N4999"] == {"a": 1, "b": {"c": [2], "d": {}}}


# ---- configurations that are no specs -----------------------------------------------------------


def configuration(**texts: str) -> Document:
    for name, text in texts.items():
        with open(f"{name}.yaml", "w") as file:  # noqa: PTH123 -- the folder of the test is the current one
            file.write(text)
    return load_configuration("main.yaml")


def test_a_configuration_may_hold_anything() -> None:
    document = configuration(
        base="id: base\nlearning_rate: 1e-3\nx-y: {$: 3}\ndata: {transforms: [{name: crop}]}\n",
        optimizer="optimizer: adam\nweight_decay: 0.01\n",
        main="imports:\n- base.yaml\n- optimizer.yaml\nid: mine\nlearning_rate: 1e-4\nbound: .inf\n",
    )
    assert document.value == {
        "id": "mine",
        "learning_rate": 1e-4,
        "x-y": {"$": 3},
        "data": {"transforms": [{"name": "crop"}]},
        "optimizer": "adam",
        "weight_decay": 0.01,
        "imports": ["base.yaml", "optimizer.yaml"],
        "bound": float("inf"),
    }
    changed = load_configuration(
        "main.yaml", Composition(overrides=("data.transforms.0.name=resize", "model.size=512"))
    )
    assert changed.value["data"] == {"transforms": [{"name": "resize"}]}
    assert changed.value["model"] == {"size": 512}


def test_parent_is_deprecated() -> None:
    document = configuration(base="a: 1\nb: 1\n", main="parent: base.yaml\nb: 2\n")
    assert (document.value["a"], document.value["b"]) == (1, 2)
    (warning,) = document.warnings
    assert render(warning) == (
        "main.yaml:1:1: warning[SP108]: `parent` is deprecated\n"
        "    1 | parent: base.yaml\n"
        "      | ^^^^^^\n"
        "hint: write `imports: [base.yaml]`"
    )


def test_the_suffix_of_an_import_may_be_left_out() -> None:
    assert configuration(base="a: 1\n", main="imports: [base]\n").value["a"] == 1
    with pytest.raises(SpecError) as caught:
        configuration(main="imports: [bsae]\n")
    (problem,) = caught.value.diagnostics
    assert (problem.code, problem.hint) == ("SP101", "did you mean `base.yaml`?")
    with pytest.raises(SpecError):
        load("main.yaml")


def test_parent_beside_imports() -> None:
    with pytest.raises(SpecError) as caught:
        configuration(base="a: 1\n", main="parent: base.yaml\nimports: [base.yaml]\n")
    (problem,) = caught.value.diagnostics
    assert render(problem) == (
        "main.yaml:1:1: error[SP109]: `parent` and `imports` stand in one file\n"
        "    1 | parent: base.yaml\n"
        "      | ^^^^^^\n"
        "main.yaml:2:1: the imports\n"
        "    2 | imports: [base.yaml]\n"
        "      | ^^^^^^^\n"
        "hint: put the parent first in `imports`, and leave `parent` out"
    )


def test_a_spec_has_no_parent(tmp_path: Path) -> None:
    write(tmp_path, spec="parent: base.yaml\n")
    assert load("spec.yaml").value == {"parent": "base.yaml"}


# ---- hostile files --------------------------------------------------------------------------------


def test_imports_that_go_too_deep(tmp_path: Path) -> None:
    for number in range(1000):
        write(tmp_path, **{f"f{number}": f"imports: [f{number + 1}.yaml]\n"})
    write(tmp_path, f1000="a: 1\n")
    (problem,) = problems_of("f0.yaml")
    assert str(problem) == ("f64.yaml:1:11: error[SP003]: imports go deeper than 64 files")
    assert load("f936.yaml").value == {"a": 1}


def test_too_many_imports(tmp_path: Path) -> None:
    for number in range(1001):
        write(tmp_path, **{f"f{number}": "a: 1\n"})
    names = ", ".join(f"f{number}.yaml" for number in range(1001))
    write(tmp_path, spec=f"imports: [{names}]\n")
    (problem,) = problems_of("spec.yaml")
    assert problem.message == "more than 1000 files are imported"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pipe", "import `pipe` is not a file"),
        ("/dev/zero", "import `/dev/zero` is not a file"),
        (".", "import `.` is not a file"),
        ("circle", "import `circle` not found"),
        ("a\\0b", r"import 'a\x00b' cannot be read: embedded null byte"),
        ("x" * 300, f"import '{'x' * 300}' cannot be read: File name too long"),
        ("/proc/self/mem", "the file cannot be read: Input/output error"),
        ("huge.yaml", "the file is larger than 16 MiB"),
    ],
)
def test_imports_that_cannot_be_read(tmp_path: Path, name: str, message: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "circle").symlink_to("circle")
    with (tmp_path / "huge.yaml").open("wb") as file:
        file.truncate(LONGEST_FILE + 1)
    write(tmp_path, spec=f'imports: ["{name}"]\n')
    (problem,) = problems_of("spec.yaml")
    assert problem.message == message
    place = problem.origin if problem.code == "SP101" else problem.labels[0].origin
    assert (place.line, place.column) == (1, 11)


@pytest.mark.parametrize("name", ["pipe", "/dev/zero"])
def test_specs_without_an_end(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (problem,) = problems_of(name)
    assert problem.message == "the file cannot be read: it is a device or a pipe"


def test_imports_may_lead_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "specs").mkdir()
    write(tmp_path, base="results: {dir: runs}\n")
    write(tmp_path / "specs", spec="imports: [../base.yaml]\n")
    assert load("specs/spec.yaml").value == {"results": {"dir": "../runs"}}


def test_a_parameter_bomb() -> None:
    document = from_mapping(
        {"params": {"a": [0] * 20_000}, "b": [{"$": "params.a"} for _ in range(2_000)]}
    )
    (problem,) = set(document.problems)
    assert (problem.code, problem.origin.path) == ("SP003", ("b", 49))


def test_a_mapping_that_holds_itself() -> None:
    spec: dict[str, object] = {}
    spec["a"] = [spec]
    with pytest.raises(SpecError, match="SP003"):
        from_mapping(spec)
