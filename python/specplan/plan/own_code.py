"""Code of the user that a plan names: found again, compared with what was compiled, and trusted or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from specplan.code.signature import Signature, signature
from specplan.code.source import Source, find
from specplan.code.trust import refusal
from specplan.components.plugins import plugins
from specplan.components.reference import module_reference, parse
from specplan.errors import CodeError, PlanError
from specplan.plan.model import Call, Train
from specplan.plan.passes.context import below
from specplan.plan.passes.live import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from specplan.components import Kind
    from specplan.plan.model import Code, Compiled, Component, Live, Plan


class Admitted(msgspec.Struct, frozen=True):
    """Code that may run: it is what was compiled, and the user trusts it."""

    kind: Kind
    source: Source
    signature: Signature


def live_components(plan: Plan) -> dict[str, Live]:
    """What a plan says of the objects of a Python program that it is made of, by the name of each."""
    found: dict[str, Live] = {}
    for _, component in _components(plan):
        if component.live is not None:
            found[component.use.partition(":")[2]] = component.live
    return found


def admit_live(compiled: Compiled, *, fresh: bool) -> None:
    """Check that every object of a Python program that a plan names is bound, and is what was compiled.

    A run that is not `fresh` goes on from other weights than those that an object has.

    Raises:
        CodeError: an object is missing, or is another one.
    """
    for name, known in live_components(compiled.plan).items():
        if name not in compiled.live:
            message = f"the plan is not portable: it needs the object `live:{name}`, {known.type}"
            raise CodeError("SP407", message, "run it in the program that holds the object")
        found = fingerprint(compiled.live[name])
        if found.type != known.type or (fresh and found != known):
            message = f"the object `live:{name}` changed after the plan was compiled"
            raise CodeError("SP405", message, "compile the spec again")


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
            found[key] = admitted(
                kind,
                component,
                code,
                compiled.folder,
                trust=trust,
                takes_other=compiled.takes_other_code,
            )
    return found


def changed_code(compiled: Compiled) -> tuple[str, ...]:
    """The code of a plan that is not what was compiled, as the plan calls it. Imports nothing.

    Raises:
        CodeError: code is missing.
    """
    named = [component for _, component, _ in own_components(compiled.plan)]
    named += [phase.function for phase in compiled.plan.phases if isinstance(phase, Call)]
    return tuple(
        dict.fromkeys(
            each.use
            for each in named
            if each.code is not None
            and _there(each, each.code, compiled.folder).digest != each.code.digest
        )
    )


def admit_calls(compiled: Compiled, *, trust: bool) -> dict[str, Source]:
    """The source of each call phase, by the path of the phase. Imports nothing.

    Raises:
        CodeError: code is missing, is not what was compiled, or is not trusted.
    """
    found: dict[str, Source] = {}
    for phase in compiled.plan.phases:
        if isinstance(phase, Call) and phase.function.code is not None:
            source = _source(
                phase.function,
                phase.function.code,
                compiled.folder,
                takes_other=compiled.takes_other_code,
            )
            _check_trust(source, trust=trust)
            found[phase.path] = source
    return found


def admit_pre_experiment(compiled: Compiled, *, trust: bool) -> Source | None:
    """The source of what runs before any other code of the user; None where there is nothing.

    Raises:
        CodeError: it is missing, or not trusted.
    """
    surroundings, folder = compiled.plan.code, compiled.folder
    if surroundings.pre_experiment is None:
        return None
    paths = [below(folder, path) for path in surroundings.pythonpath]
    source = find(module_reference(surroundings.pre_experiment), folder=folder, pythonpath=paths)
    _check_trust(source, trust=trust)
    return source


def admitted(
    kind: Kind,
    component: Component,
    code: Code,
    folder: Path,
    *,
    trust: bool = False,
    takes_other: bool = False,
) -> Admitted:
    """The code of one component of a plan, whose paths start from `folder`. Imports nothing.

    `takes_other` is the word of the user that it may be other code than what was compiled.

    Raises:
        CodeError: it is missing, is not what was compiled, or is not trusted.
    """
    source = _source(component, code, folder, takes_other=takes_other)
    declared = signature(source, kind)
    # Packages are trusted with their components when they are installed.
    registered = not source.roots and source.reference in plugins(kind).values()
    _check_trust(source, trust=trust or registered)
    return Admitted(kind, source, declared)


def _source(component: Component, code: Code, folder: Path, *, takes_other: bool) -> Source:
    source = _there(component, code, folder)
    if source.digest != code.digest and not takes_other:
        message = f"`{component.use}` changed after the plan was compiled"
        raise CodeError("SP405", message, "compile the spec again")
    return source


def _there(component: Component, code: Code, folder: Path) -> Source:
    """What is there now under the name of a component."""
    reference = parse(component.use)
    if reference is None or (reference.is_file and not code.paths):
        raise PlanError(f"the plan names the impossible code `{component.use}`")
    paths = [below(folder, path) for path in code.paths]
    return find(reference, folder=paths[0] if paths else folder, pythonpath=paths)


def _check_trust(source: Source, *, trust: bool) -> None:
    refused = None if trust else refusal(source.files)
    if refused is not None:
        raise refused.error()


def _of_data(plan: Plan) -> Iterator[tuple[Kind, Component]]:
    for data in plan.data.values():
        if data.splitter is not None:
            yield "split", data.splitter
        for scale in data.scale:
            yield "scaler", scale.component


def _components(plan: Plan) -> Iterator[tuple[Kind, Component]]:
    yield from _of_data(plan)
    for node in plan.graph.nodes.values():
        yield node.kind, node.component
    if plan.graph.optimizer is not None:
        yield "optimizer", plan.graph.optimizer
    for phase in plan.phases:
        evaluations = phase.evaluations if isinstance(phase, Train) else ()
        if isinstance(phase, Train):
            for optimizer in (phase.optimizer, *phase.optimizers.values()):
                if optimizer is not None:
                    yield "optimizer", optimizer
            for feed in phase.all_feeds:
                yield "sampler", feed.sampler.component
        for callback in phase.callbacks:
            yield "callback", callback.component
        for part in (phase, *evaluations):
            for loss in part.losses:
                yield "loss", loss.component
            for metric in part.metrics:
                yield "metric", metric.component
