"""`mlx sweep`: a spec run with many values."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from specplan.base.amounts import count, decimal, size
from specplan.cli.arguments import (
    composition_options,
    root_option,
    spec_argument,
    strict_option,
    trust_option,
)
from specplan.cli.diagnose import refuse_plan, write_diagnostics
from specplan.cli.sweep_display import cell
from specplan.cli.sweep_status import write_status
from specplan.cli.tables import write_json, write_table
from specplan.errors import CAN_BE_RESUMED, RunError, SpecError
from specplan.store.run_file import Status

if TYPE_CHECKING:
    from pathlib import Path

    from specplan.plan.passes.context import CodeUse
    from specplan.spec.composition import Composition
    from specplan.sweep.bill import PointCost
    from specplan.sweep.folder import SweepFolder
    from specplan.sweep.spec import Sweep


@click.command()
@spec_argument
@composition_options
@root_option
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Runs at a time, each in a process of its own.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    metavar="N",
    help="Run every point with the seeds 0 to N-1 of `run.seed`.",
)
@click.option("--dry-run", is_flag=True, help="Print the points and the bill, and run nothing.")
@click.option("--status", is_flag=True, help="Print how the sweep stands, and run nothing.")
@click.option("--retry-failed", is_flag=True, help="Try runs again that have failed.")
@strict_option
@trust_option
@click.option("--quiet", is_flag=True, help="Show no progress.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
def command(  # noqa: PLR0913 -- one for each option
    spec: Path,
    composition: Composition,
    root: Path | None,
    jobs: int,
    seeds: int | None,
    dry_run: bool,
    status: bool,
    retry_failed: bool,
    strict: bool,
    trust: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Run SPEC once for every point of its `sweep`, and print what came of each.

    Every point is compiled before the first one runs. The same command goes on with a sweep that was
    stopped or killed: runs that are complete stay. Exit code 75 says that something is left to go on with.

    \b
    Example:
      mlx sweep spec.yaml --dry-run
      mlx sweep spec.yaml -j 4 --seeds 5
      mlx sweep spec.yaml -c "sweep.vary[graph.optimizer.lr]=[1e-3, 1e-2]"
    """
    from specplan.plan.passes.context import CodeUse

    refuse_plan(spec)
    if status and dry_run:
        raise click.UsageError("--status and --dry-run both run nothing; give one of them")
    try:
        sweep = _read(spec, composition, CodeUse(imports="needed", trust=trust), seeds)
        if strict and sweep.base.warnings:
            write_diagnostics(sweep.base.warnings, spec, "human")
            raise click.exceptions.Exit(1)
        place = _root(sweep, root)
        if dry_run:
            _write_bill(sweep, as_json=as_json)
        elif status:
            write_status(_begun(sweep, place), as_json=as_json)
        else:
            _run(sweep, place, jobs, retry=retry_failed, quiet=quiet, as_json=as_json)
    except SpecError as error:
        write_diagnostics(error.diagnostics, spec, "human")
        raise click.exceptions.Exit(1) from error


def _read(spec: Path, composition: Composition, code: CodeUse, seeds: int | None) -> Sweep:
    from specplan.sweep.spec import read_sweep

    sweep = read_sweep(spec, composition, code, seeds=seeds)
    write_diagnostics(sweep.base.warnings, spec, "human")
    return sweep


def _root(sweep: Sweep, root: Path | None) -> Path:
    from specplan.store.root import runs_root

    return runs_root(root, folder=sweep.base.folder, results=sweep.base.plan.results.dir)


def _begun(sweep: Sweep, root: Path) -> SweepFolder:
    from specplan.store.layout import experiment_folder
    from specplan.sweep.folder import find_sweep, sweeps_of

    experiments = experiment_folder(root, sweep.base.plan.experiment.id)
    found = find_sweep(experiments, sweep.key)
    if found is None:
        begun = ", ".join(f"`{sweep.file.id}`" for sweep in sweeps_of(experiments))
        hint = (
            f"\nhint: others of this experiment have: {begun}; `mlx show` takes them"
            if begun
            else ""
        )
        raise RunError(f"this sweep has not begun below `{root}`{hint}")
    return found


def _run(sweep: Sweep, root: Path, jobs: int, *, retry: bool, quiet: bool, as_json: bool) -> None:
    from specplan.cli.sweep_display import choose_view
    from specplan.sweep.engine import sweep_through

    _warn_of_threads(sweep, jobs)
    swept = sweep_through(sweep, root, jobs=jobs, view=choose_view(quiet=quiet), retry=retry)
    states = write_status(swept.folder, as_json=as_json)
    for run, message in swept.refused.items():
        click.echo(f"{run}: did not begin: {message}", err=True)
    if Status.FAILED in states:
        click.echo("hint: `--retry-failed` tries it again", err=True)
    if swept.refused or Status.FAILED in states:
        raise click.exceptions.Exit(1)
    if not all(status.is_concluded for status in states):
        click.echo("the same command goes on with it", err=True)
        raise click.exceptions.Exit(CAN_BE_RESUMED)


def _warn_of_threads(sweep: Sweep, jobs: int) -> None:
    wanted, there = jobs * (sweep.base.plan.numerics.threads or 1), os.cpu_count() or 1
    if wanted > there:
        click.echo(
            f"warning: {jobs} runs at a time take {wanted} threads, and there are {there} cores",
            err=True,
        )


def _write_bill(sweep: Sweep, *, as_json: bool) -> None:
    from specplan.sweep.bill import bill_of

    bill = bill_of(sweep)
    if as_json:
        write_json(bill)
        return
    columns = ["", *bill.points[0].values, "steps", "FLOPs", "memory", "disk"]
    write_table(columns, [_billed(index, each) for index, each in enumerate(bill.points)])
    more = (
        ""
        if bill.runs == len(bill.points)
        else (
            f"\nthese are the ends; {sweep.method} chooses the points, and the sums are upper bounds"
        )
    )
    click.echo(
        f"\n{count(bill.runs, 'run')}: {count(bill.steps, 'step')}, {decimal(bill.flops)} FLOPs, "
        f"{size(bill.disk)} on the disk, {size(bill.peak_memory)} of memory for each at a time{more}"
    )


def _billed(index: int, point: PointCost) -> list[str]:
    values = [cell(value) for value in point.values.values()]
    amounts = [f"{point.steps:,}", decimal(point.flops), size(point.memory), size(point.disk)]
    return [str(index), *values, *amounts]
