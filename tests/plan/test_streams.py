from __future__ import annotations

from specplan.plan.streams import seed_of, written_seed_of


def test_seeds_are_stable() -> None:
    assert seed_of(42, "init/MLP") == 7393870329240192229
    assert seed_of(-1, "split/Cells") == 4589598616680363610
    assert written_seed_of(42, "init/MLP") == seed_of(42, "init/MLP") % 2**32


def test_streams_are_apart() -> None:
    names = [f"{kind}/{number}" for kind in ("init", "phase") for number in range(500)]
    seeds = {seed_of(root, name) for root in (0, 1, -1) for name in names}
    assert len(seeds) == 3 * len(names)
    assert all(0 <= seed < 2**63 for seed in seeds)
