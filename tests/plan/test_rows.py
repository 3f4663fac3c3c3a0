"""What the compiler sees when it looks at rows: equal rows in several splits, and groups of uneven size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from specplan.plan.compile import compile_mapping
from specplan.plan.passes import rows

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from specplan.plan.model import Compiled

HINT = (
    "keep rows of one origin together with `group_by`, or say `leaks: allow` if they may be equal"
)


def table(x: NDArray[Any], **columns: Any) -> pa.Table:
    lists = pa.FixedSizeListArray.from_arrays(pa.array(x.reshape(-1)), x.shape[1])
    return pa.table({"x": lists, "y": np.zeros(len(x)), **columns})


def compiled(
    folder: Path,
    data: pa.Table,
    splits: dict[str, Any] | None = None,
    *,
    check_data: bool = False,
    **source: Any,
) -> Compiled:
    use = source.get("use", "parquet")
    path = f"data.{use}"
    if use == "parquet":
        pq.write_table(
            data, folder / path, row_group_size=17, compression=source.get("compression")
        )
    else:
        feather.write_feather(data, folder / path, source.get("compression"), chunksize=17)
    ordered = {"use": "ordered", "ratios": {"train": 0.6, "val": 0.2, "test": 0.2}}
    spec = {
        "experiment": {"id": "rows"},
        "data": {
            "Set": {
                "source": {"use": use, "path": path},
                "features": ["x"],
                "targets": ["y"],
                "tags": [name for name in data.column_names if name not in ("x", "y")],
                "splits": splits or ordered,
            }
        },
        "graph": {
            "nodes": {"Net": {"model": {"use": "mlp"}, "input": "Set.x", "target": "Set.y"}},
            "optimizer": {"use": "adam"},
        },
        "losses": {"mse": {"use": "mse", "node": "Net"}},
        "plan": [
            {
                "phase": "train",
                "label": "train",
                "split": "train",
                "losses": ["mse"],
                "sampler": {"use": "simple", "batch_size": 4},
                "callbacks": [{"use": "evaluation", "split": "val"}],
            },
            {"phase": "eval", "label": "test", "split": "test", "losses": ["mse"]},
        ],
    }
    return compile_mapping(spec, folder=folder, check_data=check_data)


def messages(plan: Compiled) -> list[tuple[str, str]]:
    return [(item.code, item.message) for item in plan.warnings]


def measured(rows: int = 50) -> NDArray[Any]:
    return np.random.default_rng(1).normal(size=(rows, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("use", "compression"),
    [
        *(("parquet", codec) for codec in ("none", "snappy", "gzip", "brotli", "zstd", "lz4")),
        *(("arrow", codec) for codec in ("uncompressed", "lz4", "zstd")),
    ],
)
def test_rows_that_are_in_several_splits(tmp_path: Path, use: str, compression: str) -> None:
    x = measured()
    x[41] = x[3]
    x[45] = x[3]
    x[35] = x[7]
    plan = compiled(tmp_path, table(x), use=use, compression=compression)
    [warning] = plan.warnings
    assert (warning.code, warning.severity, warning.hint) == ("SP506", "warning", HINT)
    assert warning.origin.path == ("data", "Set", "splits")
    assert warning.message == (
        "1 row of `val` is also in `train`, where row 35 of the data equals row 7; "
        "2 rows of `test` are also in `train`, such as row 41 of the data, which equals row 3"
    )


def test_a_row_that_differs_in_its_target_is_another(tmp_path: Path) -> None:
    x = measured()
    x[41] = x[3]
    data = table(x).set_column(1, "y", pa.array(np.arange(50.0)))
    assert messages(compiled(tmp_path, data)) == []


def test_bits_decide(tmp_path: Path) -> None:
    x = measured()
    x[3, 0], x[41] = 0.0, x[3]
    x[41, 0] = -0.0
    assert messages(compiled(tmp_path, table(x))) == []


def test_leaks_can_be_allowed(tmp_path: Path) -> None:
    x = measured()
    x[41] = x[3]
    splits = {"use": "ordered", "ratios": {"train": 0.6, "val": 0.2, "test": 0.2}, "leaks": "allow"}
    assert messages(compiled(tmp_path, table(x), splits)) == []


@pytest.mark.parametrize("seed", range(3))
def test_rows_that_coincide_by_chance_are_no_leak(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    two_binary = random.integers(0, 2, size=(200, 2)).astype(np.float32)
    classes = np.eye(6, dtype=np.float32)[random.integers(0, 6, size=200)]
    scaled = (classes - classes.mean()) / classes.std()
    counts = random.poisson(1.0, size=(200, 4))
    for x in (two_binary, classes, scaled, counts):
        assert messages(compiled(tmp_path, table(x))) == []


def test_rows_that_were_multiplied_before_the_split_leak(tmp_path: Path) -> None:
    [(code, message)] = messages(compiled(tmp_path, table(np.repeat(measured(20), 5, axis=0)), {
        "use": "random", "ratios": {"train": 0.6, "val": 0.2, "test": 0.2}, "seed": 1}))  # fmt: skip
    assert code == "SP506"
    assert "rows of `test` are also in `train`" in message


def test_groups_of_uneven_size(tmp_path: Path) -> None:
    group = [0] * 30 + list(range(1, 21))
    splits = {
        "use": "random",
        "ratios": {"train": 0.2, "val": 0.4, "test": 0.4},
        "group_by": "group",
        "seed": 0,
    }
    plan = compiled(tmp_path, table(measured(), group=group), splits)
    sizes = plan.plan.data["Set"].sizes
    [warning, *_] = plan.warnings
    assert warning.code == "SP513"
    name = str(warning.origin.path[-1])
    share = 50 * {"train": 0.2, "val": 0.4, "test": 0.4}[name]
    assert warning.message == (
        f"split `{name}` has {sizes[name]} of 50 rows where its ratio says {share:.0f}: "
        "the groups of `group` differ too much in size"
    )


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["a", "b", "c", "d", "e"] * 10).dictionary_encode(),
        pa.array(["a", "b", "c", "d", "e"] * 10, pa.large_string()),
        pa.array([1, 2, 3, 4, 5] * 10, pa.uint8()),
        pa.array([-(2**63), 2, 3, 4, 2**63 - 1] * 10),
    ],
)
@pytest.mark.parametrize("use", ["parquet", "arrow"])
def test_groups_of_every_type(tmp_path: Path, column: pa.Array, use: str) -> None:
    splits = {"use": "random", "ratios": {"train": 0.6, "val": 0.2, "test": 0.2}, "seed": 0}
    grouped = compiled(
        tmp_path, table(measured(), group=column), {**splits, "group_by": "group"}, use=use
    )
    assert grouped.plan.data["Set"].sizes == {"train": 30, "val": 10, "test": 10}
    strata = compiled(
        tmp_path, table(measured(), group=column), {**splits, "stratify_by": "group"}, use=use
    )
    assert strata.plan.data["Set"].sizes == {"train": 30, "val": 10, "test": 10}


def test_a_large_file_is_looked_at_when_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "SMALL_BYTES", 100)
    x = measured()
    x[41] = x[3]
    plan = compiled(tmp_path, table(x))
    assert (messages(plan), plan.looked_at) == ([], frozenset())
    plan = compiled(tmp_path, table(x), check_data=True)
    assert [code for code, _ in messages(plan)] == ["SP506"]
    assert plan.looked_at == {"Set"}
