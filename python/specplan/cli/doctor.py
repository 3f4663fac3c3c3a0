"""`mlx doctor`: whether this machine has what specplan needs, and where it looks for things."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
import msgspec

from specplan.base.amounts import count, size
from specplan.cli.arguments import root_option
from specplan.cli.tables import write_fields, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specplan.results.index import Index

VARIABLES = {
    "SPECPLAN_HOME": "folder of all runs",
    "SPECPLAN_CONFIG": "folder of your settings",
    "SPECPLAN_CACHE": "folder of what can be found out again",
    "SPECPLAN_TOKEN": "token of a server of runs",
    "SPECPLAN_TOKEN_FILE": "file that holds it",
    "SPECPLAN_VARIABLES": "more variables that a run records",
    "SPECPLAN_REGISTRATION_POLICY": "what becomes of a name that is taken",
    "SPECPLAN_JOB_OF": "set for a job: the folder of its experiment",
    "SPECPLAN_DEADLINE": "set for a job: when it is asked to end",
    "SPECPLAN_GRACE_SECONDS": "set for a job: how long it then has",
    "DASH_PREFIX": "prefix of an Experiment that is given none",
    "ML_DASH_PREFIX": "the same, where DASH_PREFIX is not set",
    "DASH_URL": "server that `dash_url=True` means",
}
"""Every variable of the environment that specplan reads, and what it says."""

_SECRET = "SPECPLAN_TOKEN"
_OURS = "SPECPLAN_"
_LEAST_FREE = 1 << 30
"""Bytes below which a disk is about to be full: one run of a large model with its checkpoints takes as much."""
_VERSION = re.compile(r"(?P<release>\d+(?:\.\d+)*)(?P<before>a|b|rc|\.dev)?")
_REQUIREMENT = re.compile(r"^(?P<name>[\w.-]+)(?:>=(?P<least>[\w.]+))?")


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that was looked at.

    Attributes:
        problem: what is wrong with it.
        hint: what to do, about the problem or for more than there is.
    """

    topic: Literal["specplan", "packages", "machine", "folders", "environment"]
    name: str
    value: str
    problem: str | None = None
    hint: str | None = None


@click.command()
@root_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def command(context: click.Context, root: Path | None, as_json: bool) -> None:
    """Print which packages, folders and variables of the environment specplan finds here, and what is wrong with them.

    Exit code 1 if anything is.

    \b
    Example:
      mlx doctor
      mlx doctor --root runs --json
    """
    found = [*_versions(), *_packages(), *_machine(), *_folders(root), *_environment()]
    problems = [each for each in found if each.problem]
    if as_json:
        write_json({"healthy": not problems, "findings": msgspec.to_builtins(found)})
    else:
        _write(found)
        for each in problems:
            click.echo()
            click.echo(f"{click.style('problem', fg='red', bold=True)}: {each.problem}")
            click.echo(f"hint: {each.hint}")
    context.exit(1 if problems else 0)


def _write(found: list[Finding]) -> None:
    for number, topic in enumerate(dict.fromkeys(each.topic for each in found)):
        click.secho(f"\n{topic}" if number else topic, bold=True)
        write_fields([(each.name, _told(each)) for each in found if each.topic == topic])


def _told(finding: Finding) -> str:
    """The value, with what more could be had; of a problem the hint comes with it."""
    more = finding.hint if finding.problem is None else None
    return finding.value if more is None else f"{finding.value}: {more}"


def _versions() -> Iterator[Finding]:
    from specplan._native import __version__

    yield Finding(topic="specplan", name="version", value=__version__)
    value = f"{platform.python_version()}, {sys.executable}"
    yield Finding(topic="specplan", name="python", value=value)


def _packages() -> Iterator[Finding]:
    """What specplan needs, then what each of its extras needs: only a package that is too old is wrong there."""
    from importlib.metadata import requires

    extras: dict[str, list[str]] = {}
    offered: set[str] = set()
    for requirement in requires("specplan") or ():
        needed, _, extra = requirement.partition(" ; extra == ")
        if extra.strip("'\"") == "all":
            offered |= {*needed.partition("[")[2].rstrip("]").split(",")}
        extras.setdefault(extra.strip("'\""), []).append(needed)
    for extra, needed_here in extras.items():
        if not extra or extra in offered:
            for each in needed_here:
                yield _package(each, extra)


def _package(requirement: str, extra: str) -> Finding:
    from importlib.metadata import PackageNotFoundError, version

    matched = _REQUIREMENT.match(requirement)
    assert matched is not None, "pyproject.toml names packages"
    name, least = matched["name"], matched["least"]
    install = f"pip install 'specplan[{extra}]'" if extra else "pip install specplan"
    try:
        there = version(name)
    except PackageNotFoundError:
        if extra:
            return Finding(topic="packages", name=name, value="not installed", hint=install)
        problem = f"`{name}` is not installed, and specplan needs it"
        return Finding(
            topic="packages", name=name, value="not installed", problem=problem, hint=install
        )
    if least is None or _order(there) >= _order(least):
        return Finding(topic="packages", name=name, value=there)
    problem = f"`{name}` is {there}, and specplan needs {least} or later"
    return Finding(
        topic="packages", name=name, value=there, problem=problem, hint=f"{install} --upgrade"
    )


def _order(version: str) -> tuple[tuple[int, ...], bool]:
    """What two versions are compared by: the numbers of the release, and whether it is out."""
    matched = _VERSION.match(version)
    assert matched is not None, "pip installs versions"
    numbers = [int(part) for part in matched["release"].split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers), matched["before"] is None


def _machine() -> Iterator[Finding]:
    import psutil

    yield Finding(topic="machine", name="system", value=platform.platform(terse=True))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Finding(topic="machine", name="cores", value=count(cores or 1, "core"))
    memory = psutil.virtual_memory()
    free = f"{size(memory.available)} of {size(memory.total)} free"
    yield Finding(topic="machine", name="memory", value=free)
    git = shutil.which("git")
    yield Finding(
        topic="machine",
        name="git",
        value=git or "not found: runs are recorded without their commit and changes",
    )


def _folders(root: Path | None) -> Iterator[Finding]:
    from specplan.base.cache import cache_folder
    from specplan.code.trust import pins, trust_file
    from specplan.errors import CodeError
    from specplan.results.index import Index
    from specplan.store.root import runs_root

    place = runs_root(root)
    index = Index(place)
    yield _folder("runs", place, _runs(index))
    for fault in index.faults:
        yield Finding(
            topic="folders",
            name="damaged run",
            value=str(fault).splitlines()[0],
            problem=str(fault).splitlines()[0],
            hint="`mlx verify RUN` says which of its files are damaged, `mlx repair RUN` saves what is whole",
        )
    try:
        yield _folder("settings", trust_file().parent, f"{count(len(pins()), 'path')} trusted")
    except CodeError as error:
        yield Finding(
            topic="folders",
            name="settings",
            value=str(trust_file().parent),
            problem=str(error),
            hint=error.hint or "remove it, and give trust again",
        )
    yield _folder("cache", cache_folder(), None)


def _runs(index: Index) -> str:
    statuses = [str(run.status) for run in index.runs(lambda _: True)]
    index.save()
    counts = ", ".join(f"{statuses.count(each)} {each}" for each in sorted({*statuses}))
    return count(len(statuses), "run") + (f" ({counts})" if counts else "")


def _folder(name: str, path: Path, holds: str | None) -> Finding:
    """A folder that is there or can be made, in which there is space."""
    there = next(each for each in (path.absolute(), *path.absolute().parents) if each.exists())
    free = shutil.disk_usage(there).free
    facts = ", ".join(filter(None, (holds, f"{size(free)} free", "" if path.exists() else "new")))
    problem = hint = None
    if not there.is_dir():
        problem, hint = f"`{there}` is no folder", "name another one, or move it away"
    elif not os.access(there, os.W_OK | os.X_OK):
        problem, hint = f"`{there}` cannot be written", "change its rights, or name another folder"
    elif free < _LEAST_FREE:
        problem = f"the disk of `{there}` has {size(free)} left"
        hint = "`mlx gc` and `mlx rm` say what they would free"
    return Finding(
        topic="folders", name=name, value=f"{path} ({facts})", problem=problem, hint=hint
    )


def _environment() -> Iterator[Finding]:
    from specplan.spec.wording import did_you_mean, quoted

    for name, meaning in VARIABLES.items():
        value = os.environ.get(name)
        if value is not None:
            shown = "set" if name == _SECRET else value
            yield Finding(topic="environment", name=name, value=f"{shown} ({meaning})")
    for name in sorted(os.environ):
        if name.startswith(_OURS) and name not in VARIABLES:
            known = [each for each in VARIABLES if each.startswith(_OURS)]
            yield Finding(
                topic="environment",
                name=name,
                value="not known",
                problem=f"nothing reads the variable `{name}`",
                hint=did_you_mean(name, known) or f"there are {quoted(known)}",
            )
    compiled = Path(__file__).parent / "__pycache__"
    if os.environ.get("PYTHONDONTWRITEBYTECODE") and not compiled.is_dir():
        yield Finding(
            topic="environment",
            name="PYTHONDONTWRITEBYTECODE",
            value="set: every command compiles what it imports",
            hint=f"{Path(sys.executable).name} -m compileall -q {Path(__file__).parents[1]}",
        )
