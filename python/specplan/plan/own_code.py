"""Code of the user that a plan names: found again, compared with what was compiled, and trusted or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from specplan.code.signature import Signature, signature
from specplan.code.source import Source, find
from specplan.code.trust import refusal
from specplan.components.plugins import plugins
from specplan.components.reference import parse
from specplan.errors import CodeError, PlanError
from specplan.plan.model import Train

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from specplan.components import Kind
    from specplan.plan.model import Code, Compiled, Component, Plan


class Admitted(msgspec.Struct, frozen=True):
    """Code that may run: it is what was compiled, and the user trusts it."""

    kind: Kind
    source: Source
    signature: Signature


def own_components(plan: Plan) -> Iterator[tuple[Kind, Component, Code]]:
    """Every component of a plan that is code of the user."""
    for kind, component in _components(plan):
        if component.code is not None:
            yield kind, component, component.code


def admit(compiled: Compiled, *, trust: bool) -> dict[tuple[Kind, str, str], Admitted]:
    """The code of a plan by kind, `use` and digest. Imports nothing.

    `trust` is the word of the user that this code may run, whatever was trusted before.

    Raises:
        CodeError: code is missing, is not what was compiled, or is not trusted.
    """
    found: dict[tuple[Kind, str, str], Admitted] = {}
    for kind, component, code in own_components(compiled.plan):
        key = (kind, component.use, code.digest)
        if key not in found:
            found[key] = _admitted(kind, component, code, compiled.folder, trust=trust)
    return found


def _admitted(
    kind: Kind, component: Component, code: Code, folder: Path, *, trust: bool
) -> Admitted:
    reference = parse(component.use)
    if reference is None or (reference.is_file and not code.paths):
        raise PlanError(f"the plan names the impossible code `{component.use}`")
    paths = [folder / path for path in code.paths]
    source = find(reference, folder=paths[0] if paths else folder, pythonpath=paths)
    declared = signature(source, kind)
    if source.digest != code.digest:
        message = f"`{component.use}` changed after the plan was compiled"
        raise CodeError("SP405", message, "compile the spec again")
    # Packages are trusted with their components when they are installed.
    registered = not source.roots and reference in plugins(kind).values()
    refused = None if trust or registered else refusal(source.files)
    if refused is not None:
        raise refused.error()
    return Admitted(kind, source, declared)


def _components(plan: Plan) -> Iterator[tuple[Kind, Component]]:
    for node in plan.graph.nodes.values():
        yield "model", node.component
    if plan.graph.optimizer is not None:
        yield "optimizer", plan.graph.optimizer
    for phase in plan.phases:
        evaluations = phase.evaluations if isinstance(phase, Train) else ()
        if isinstance(phase, Train):
            yield "optimizer", phase.optimizer
        for part in (phase, *evaluations):
            for loss in part.losses:
                yield "loss", loss.component
            for metric in part.metrics:
                yield "metric", metric.component
