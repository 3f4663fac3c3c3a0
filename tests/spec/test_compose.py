from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from specplan.errors import SpecError
from specplan.spec.load import from_mapping, load

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.spec.document import Document


def written(folder: Path, **texts: str) -> Document:
    """Write `name=text` as name.yaml and load spec.yaml."""
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text)
    return load(folder / "spec.yaml")


def place(document: Document, *path: str | int, key: bool = False) -> str:
    return str(document.origin(path, key=key)).rpartition("/")[2]


def codes(error: SpecError) -> list[str]:
    return [diagnostic.code for diagnostic in error.diagnostics]


def test_mappings_merge_and_the_rest_is_replaced(tmp_path: Path) -> None:
    document = written(
        tmp_path,
        base="data: {A: {features: [a, b], targets: [y]}}\nrun: {seed: 1}\nplan: [1, 2, 3]\n",
        spec="imports: [base.yaml]\ndata: {A: {features: [c]}, B: {}}\nplan: [4]\n",
    )
    assert document.value == {
        "data": {"A": {"features": ["c"], "targets": ["y"]}, "B": {}},
        "run": {"seed": 1},
        "plan": [4],
    }


def test_later_imports_win_and_the_file_itself_most(tmp_path: Path) -> None:
    document = written(
        tmp_path,
        deep="run: {seed: 0, threads: 0, deterministic: 0}\nresults: {dir: deep}\n",
        first="imports: [deep.yaml]\nrun: {seed: 1, threads: 1, deterministic: 1}\n",
        second="run: {seed: 2, threads: 2}\n",
        spec="imports: [first.yaml, second.yaml]\nrun: {seed: 3}\n",
    )
    assert document.value["run"] == {"seed": 3, "threads": 2, "deterministic": 1}
    assert document.value["results"] == {"dir": "deep"}


def test_origins_after_imports(tmp_path: Path) -> None:
    document = written(
        tmp_path,
        base="run:\n  seed: 1\n  threads: 4\ndata:\n  A: {features: [a]}\n",
        spec="imports: [base.yaml]\nrun: {seed: 2}\ndata:\n  B: {}\n",
    )
    assert place(document, "run", "seed") == "spec.yaml:2:13"
    assert place(document, "run", "threads") == "base.yaml:3:12"
    assert place(document, "run", "threads", key=True) == "base.yaml:3:3"
    assert place(document, "data", "A", "features", 0) == "base.yaml:5:18"
    assert place(document, "data", "B", key=True) == "spec.yaml:4:3"
    assert document.source_line(document.origin(("run", "threads"))) == "  threads: 4"


def test_paths_start_from_the_file_that_they_are_written_in(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/base.yaml").write_text(
        "data:\n"
        "  A: {source: {use: parquet, path: a.parquet}}\n"
        "  B: {source: {use: parquet, path: /data/b.parquet}}\n"
        "  C: {source: {use: parquet, path: c.parquet}}\n"
        "  D: {source: {use: parquet, path: {$: params.here}}}\n"
        "params: {here: below.parquet}\n"
        "results: {dir: ../runs}\n"
    )
    document = written(
        tmp_path,
        spec="imports: [shared/base.yaml]\n"
        "params: {here: above.parquet}\n"
        "data: {C: {source: {path: mine.parquet}}}\n",
    )
    paths = {name: item["source"]["path"] for name, item in document.value["data"].items()}
    assert paths == {
        "A": "shared/a.parquet",
        "B": "/data/b.parquet",
        "C": "mine.parquet",
        "D": "above.parquet",
    }
    assert document.value["results"] == {"dir": "runs"}


def test_a_file_may_be_imported_twice(tmp_path: Path) -> None:
    document = written(
        tmp_path,
        base="run: {seed: 1}\n",
        left="imports: [base.yaml]\n",
        right="imports: [base.yaml]\nrun: {threads: 2}\n",
        spec="imports: [left.yaml, right.yaml]\n",
    )
    assert document.value == {"run": {"seed": 1, "threads": 2}}


def test_cycle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError) as caught:
        written(
            tmp_path,
            a="imports: [b.yaml]\n",
            b="run: {}\nimports: [a.yaml]\n",
            spec="imports: [a.yaml]\n",
        )
    assert str(caught.value) == (
        "b.yaml:2:11: error[SP102]: imports form a cycle: `a.yaml` -> `b.yaml` -> `a.yaml`"
    )


def test_every_import_is_looked_at(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        written(
            tmp_path,
            base="run: {seed: 1, seed: 2}\n",
            other="a: [",
            spec="imports: [bsae.yaml, base.yaml, ., other.yaml]\n",
        )
    assert codes(caught.value) == ["SP101", "SP101", "SP002", "SP001"]
    first, second, *_ = caught.value.diagnostics
    assert first.message == "import `bsae.yaml` not found"
    assert first.hint == "did you mean `base.yaml`?"
    assert second.message == "import `.` is not a file"


def test_parameters_are_values_of_any_kind(tmp_path: Path) -> None:
    document = written(
        tmp_path,
        spec="params: {width: 8, sampler: {use: simple, batch_size: 4}, model: {depth: 2}}\n"
        "a: {$: params.width}\n"
        "b: [{$: params.sampler}, {$: params.model.depth}]\n",
    )
    assert document.value == {"a": 8, "b": [{"use": "simple", "batch_size": 4}, 2]}


def test_origin_of_a_parameter_is_where_its_value_stands(tmp_path: Path) -> None:
    document = written(
        tmp_path,
        base="params:\n  sampler: {use: simple, batch_size: 4}\n",
        spec="imports: [base.yaml]\na:\n  b: {$: params.sampler}\n",
    )
    assert place(document, "a", "b", "batch_size") == "base.yaml:2:38"
    assert place(document, "a", "b") == "base.yaml:2:12"
    assert place(document, "a", "b", key=True) == "spec.yaml:3:3"
    reference = document.reference(("a", "b", "batch_size"))
    assert str(reference).endswith("spec.yaml:3:6")
    assert document.reference(("a",)) is None


def test_parameters_of_the_importing_file_win(tmp_path: Path) -> None:
    document = written(
        tmp_path,
        base="params: {width: 8}\na: {$: params.width}\n",
        spec="imports: [base.yaml]\nparams: {width: 16}\n",
    )
    assert document.value == {"a": 16}
    assert place(document, "a") == "spec.yaml:2:17"


def test_a_reference_is_replaced_as_a_whole(tmp_path: Path) -> None:
    document = written(
        tmp_path,
        base="params: {model: {use: mlp}}\nmodel: {$: params.model}\nother: {use: cnn}\n",
        spec="imports: [base.yaml]\nmodel: {use: cnn}\nother: {$: params.model}\n",
    )
    assert document.value == {"model": {"use": "cnn"}, "other": {"use": "mlp"}}


def test_two_uses_of_a_parameter_share_nothing() -> None:
    document = from_mapping(
        {
            "params": {"source": {"use": "parquet", "path": "a.parquet"}},
            "data": {
                "A": {"source": {"$": "params.source"}},
                "B": {"source": {"$": "params.source"}},
            },
        }
    )
    first, second = (item["source"] for item in document.value["data"].values())
    assert first == second
    assert first is not second


def test_what_is_not_part_of_the_spec_is_gone(tmp_path: Path) -> None:
    document = written(
        tmp_path,
        base="x-base: {}\n",
        spec="$schema: s.json\nimports: [base.yaml]\nparams: {a: {x-note: 1, b: 2}}\n"
        "x-common: &common {seed: 1}\nrun: *common\ndata: {x-note: 1, A: {x-note: 2}}\n"
        "a: {$: params.a}\n",
    )
    assert document.value == {"run": {"seed": 1}, "data": {"A": {}}, "a": {"b": 2}}


def test_free_keys_may_hold_anything(tmp_path: Path) -> None:
    document = written(tmp_path, spec="x-note: {$: params.unknown, y: .inf}\n")
    assert document.value == {}
    assert document.problems == ()


def test_faults_of_references_do_not_stop_the_rest() -> None:
    document = from_mapping({"a": {"$": "params.b"}, "c": {"$": 3}, "d": float("nan")})
    assert [problem.code for problem in document.problems] == ["SP106", "SP106", "SP004"]


def test_newer_import(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        written(tmp_path, base="specplan: 2\n", spec="specplan: 1\nimports: [base.yaml]\n")
    assert codes(caught.value) == ["SP205"]
    assert caught.value.diagnostics[0].origin.file == str(tmp_path / "base.yaml")
