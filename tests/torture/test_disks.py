"""P5: disks that are really full."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.torture.disks import SIZES, few_inodes, file_size_limits, late_errors, small_disks
from tests.torture.figures import Size
from tests.torture.power import FILE_SYSTEMS, lacks

if TYPE_CHECKING:
    from pathlib import Path

    from tests.torture.tools import Tools

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def _mounts() -> None:
    missing = lacks(FILE_SYSTEMS[0])
    if missing is not None:
        pytest.skip(missing)


@pytest.mark.usefixtures("_mounts")
def test_small_disks(tools: Tools, scratch: Path) -> None:
    tally, full = small_disks(tools, SIZES[Size.QUICK], scratch)
    assert (tally.violations, full) == ([], len(SIZES[Size.QUICK]))


@pytest.mark.usefixtures("_mounts")
def test_few_inodes(tools: Tools, scratch: Path) -> None:
    counts = range(2, 20, 3)
    tally, full = few_inodes(tools, counts, scratch)
    assert (tally.violations, full) == ([], len(counts))


@pytest.mark.usefixtures("_mounts")
def test_a_disk_that_is_found_full_by_a_sync(tools: Tools, scratch: Path) -> None:
    tally, full = late_errors(tools, [3 << 20], scratch)
    assert (tally.violations, full) == ([], 1)


def test_a_limit_of_the_size_of_files(tools: Tools, scratch: Path) -> None:
    limits = [16, 128, 1024]
    tally, full = file_size_limits(tools, limits, scratch)
    assert (tally.violations, full) == ([], len(limits))
