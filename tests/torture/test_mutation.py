"""The files around a store, changed at random. The store's own are changed in rust/store/tests/mutation.rs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.torture.figures import Size
from tests.torture.mutation import FILE_CHANGES, Changes, formats, run_folder

if TYPE_CHECKING:
    from specplan.store.layout import RunFolder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return run_folder(tmp_path_factory.mktemp("root"))


@pytest.mark.parametrize("name", ["run.json", "plan.json", "metrics.parquet"])
def test_changed_files_are_refused_or_read_the_same(folder: RunFolder, name: str) -> None:
    changes = Changes(*formats(folder)[name], seed=7)
    changes.make(FILE_CHANGES[Size.QUICK])
    assert changes.violations == []
    assert changes.refused > FILE_CHANGES[Size.QUICK] // 2
