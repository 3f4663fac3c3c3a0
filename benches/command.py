"""Commands that do not train: milliseconds of a whole process, ours and what peers need to say anything.

What reads runs does it in a folder with two runs of the diabetes example. The peers check less: Hydra composes one file and prints it, the trackers print their help. A spec of 2,000 nodes has
1,000 networks that read a table, each with a merge behind it, 1,000 losses and one train phase.
Run: `.venv/bin/python benches/command.py [--quick]`; `make bench-peers` installs the peers into `.venv-bench`.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rounds import Column, Contender, Goal, folder, goals, interleave, options, table

if TYPE_CHECKING:
    from collections.abc import Mapping

SPEC = Path(__file__).resolve().parent.parent / "examples/diabetes/spec.yaml"
MLX = [sys.executable, "-c", "from specplan.cli.start import main; main()"]
NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"
VALIDATE = "**mlx validate**, the diabetes example"
MANY = "**mlx validate**, 2,000 nodes"
STARTS = {
    "list": ["list"],
    "show": ["show", "diabetes"],
    "metrics": ["metrics", "diabetes"],
    "compare": ["compare", "diabetes"],
    "best": ["best", "val_loss"],
    "tag": ["tag", "diabetes"],
    "diff": ["diff", "diabetes", os.fspath(SPEC)],
    "plan": ["plan", os.fspath(SPEC)],
    "explain": ["explain", os.fspath(SPEC), "run.seed"],
}
"""Arguments of what starts in a folder with runs."""
HYDRA = """\
import hydra

@hydra.main(version_base=None, config_path=".", config_name="config")
def main(config):
    pass

main()
"""
PEERS = {
    "trackio --help": "trackio",
    "wandb --help": "wandb",
    "tensorboard --help": "tensorboard",
    "aim --help": "aim",
    "mlflow --help": "mlflow",
}


def many_nodes(nodes: int) -> dict[str, Any]:
    """A spec of half as many networks, each behind a merge."""
    networks = range(nodes // 2)
    merges = {
        f"Joined{index}": {"merge": {"use": "concat"}, "input": ["Data.x", "Data.z"]}
        for index in networks
    }
    models = {
        f"Net{index}": {
            "model": {"use": "mlp", "n_layers": 1, "hidden_dim": 4},
            "input": f"Joined{index}",
            "target": "Data.y",
        }
        for index in networks
    }
    losses = {f"mse{index}": {"use": "mse", "node": f"Net{index}"} for index in networks}
    return {
        "specplan": 1,
        "data": {
            "Data": {
                "source": {"use": "parquet", "path": "data.parquet"},
                "features": ["x", "z"],
                "targets": ["y"],
            }
        },
        "graph": {"nodes": {**merges, **models}, "optimizer": {"use": "adam"}},
        "losses": losses,
        "plan": [
            {
                "phase": "train",
                "label": "train",
                "sampler": {"use": "simple", "batch_size": 32},
                "losses": list(losses),
            }
        ],
    }


def process(command: list[str], place: Path) -> Mapping[str, float]:
    """Run a command to its end. It keeps the bytecode of what it imports, as where nobody forbids it."""
    environment = {key: value for key, value in os.environ.items() if key != NO_BYTECODE}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    finished = subprocess.run(command, cwd=place, env=environment, capture_output=True, check=False)
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if finished.returncode != 0:
        raise RuntimeError(finished.stderr.decode(errors="replace"))
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"clock": 1e3 * seconds, "processor": 1e3 * processor}


def contenders(place: Path) -> list[Contender]:
    """Ours and theirs."""
    here = Path(sys.executable).parent

    def contender(name: str, command: list[str], needs: str | None = None) -> Contender:
        return Contender(name=name, needs=needs, run=lambda: process(command, place))

    peers = [
        contender(name, [str(here / name.split()[0]), "--help"], module)
        for name, module in PEERS.items()
    ]
    return [
        contender("limit: python -c pass", [sys.executable, "-c", "pass"]),
        contender("**mlx --help**", [*MLX, "--help"]),
        contender(VALIDATE, [*MLX, "validate", os.fspath(SPEC)]),
        contender(
            "**mlx compile**, the diabetes example",
            [*MLX, "compile", os.fspath(SPEC), "-o", "plan.json"],
        ),
        contender(MANY, [*MLX, "validate", "many.json"]),
        contender(
            "Hydra, an app with one config, --cfg job",
            [sys.executable, "app.py", "--cfg", "job"],
            "hydra",
        ),
        *(contender(f"mlx {name}", [*MLX, *arguments]) for name, arguments in STARTS.items()),
        *peers,
    ]


def main() -> None:
    """Print the table, and the goals."""
    chosen = options("The command line", rounds=7, quick=2)
    with folder() as place:
        x = np.linspace(0, 1, 100)
        pq.write_table(pa.table({"x": x, "y": x, "z": x}), place / "data.parquet")
        (place / "many.json").write_text(json.dumps(many_nodes(2000), indent=1))
        for _ in range(2):
            process([*MLX, "run", os.fspath(SPEC), "--quiet"], place)
        (place / "app.py").write_text(HYDRA)
        (place / "config.yaml").write_text("lr: 0.001\n")
        measured = interleave(contenders(place), rounds=chosen.rounds, warm_ups=1)
    slowest = max(measured.best(f"mlx {name}", "clock") for name in STARTS)
    columns = [Column("clock", "ms of a process", VALIDATE), Column("processor", "CPU, ms")]
    print(table("command", measured, columns), end="\n\n")
    print(
        goals(
            [
                Goal("validate a normal spec, ms", 150, measured.best(VALIDATE, "clock")),
                Goal("start of any other command, ms", 150, slowest),
                Goal("validate 2,000 nodes, ms", 1000, measured.best(MANY, "clock")),
            ]
        )
    )


if __name__ == "__main__":
    main()
