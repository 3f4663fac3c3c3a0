"""Where rows of several feeds meet, in a node or a loss, and which roles they have there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from specplan.components.sampler import DEFAULT_ROLE
from specplan.plan.by_feed import batch_rows, is_grouped, unequal_step
from specplan.plan.passes.order import reachable
from specplan.spec.suggest import closest
from specplan.spec.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from specplan.plan.model import Objective
    from specplan.plan.passes.feeds import Fed
    from specplan.plan.passes.objectives import Chosen
    from specplan.plan.passes.phase import PhaseScheduler
    from specplan.spec.diagnostics import Path


class Meetings(msgspec.Struct, frozen=True, kw_only=True):
    """For each node of a phase the numbers of the feeds that it depends on, and the roles of its rows."""

    feeds: dict[str, tuple[int, ...]]
    roles: dict[str, tuple[str, ...]]


def meet(phase: PhaseScheduler, fed: Fed, nodes: tuple[str, ...], losses: Chosen) -> Meetings:
    """Check that rows which meet belong together in every step."""
    feeds: dict[str, tuple[int, ...]] = {}
    for label in nodes:
        below = reachable(phase.wired.upstream, [label])
        feeds[label] = tuple(
            number for number, feed in enumerate(fed.feeds) if not below.isdisjoint(feed.nodes)
        )
    roles = {
        label: fed.feeds[numbers[0]].sampler.roles or (DEFAULT_ROLE,)
        for label, numbers in feeds.items()
        if numbers
    }
    # What meets in a node meets in all nodes behind it.
    told: set[tuple[int, ...]] = set()
    for label in nodes:
        met, known = feeds[label], len(phase.context.diagnostics)
        if met not in told:
            _check(phase, fed, met, f"{label} reads", ("graph", "nodes", label))
        if met not in told and len(phase.context.diagnostics) == known:
            _check_target(phase, fed, label, met)
        if len(phase.context.diagnostics) > known:
            told.add(met)
    for loss in losses.objectives:
        place: Path = ("losses", loss.label)
        read = {number for argument in loss.arguments for number in feeds.get(argument.node, ())}
        if tuple(sorted(read)) not in told:
            _check(phase, fed, tuple(sorted(read)), f"loss {loss.label} compares", place)
        _check_roles(phase, loss, roles)
        if any(fed.feeds[number].sampler.weighted for number in read) and loss.component.code:
            message = f"the sampler gives tuples weights, and loss {loss.label} is code of your own"
            hint = "`weight_mode: binary` with `max_weight: 1` gives none"
            phase.context.error("SP725", message, (*phase.path, "losses"), hint=hint)
    return Meetings(feeds=feeds, roles=roles)


def refuse_roles(phase: PhaseScheduler, chosen: Chosen, place: Path) -> None:
    """Report objectives that read a role where rows are read one by one."""
    for objective in chosen.objectives:
        _check_roles(phase, objective, {}, place)


def _check_roles(
    phase: PhaseScheduler,
    objective: Objective,
    roles: dict[str, tuple[str, ...]],
    place: Path | None = None,
) -> None:
    for number, argument in enumerate(objective.arguments):
        known = roles.get(argument.node, (DEFAULT_ROLE,))
        if argument.role in known:
            continue
        role = "" if argument.role == DEFAULT_ROLE else f".{argument.role}"
        message = f"loss {objective.label} reads `{argument.field}{role}` of {argument.node}, "
        if known == (DEFAULT_ROLE,):
            message += "which has no roles here"
            hint = "a train phase with the sampler `paired`, `triplet` or `roles` has some, or with one of yours that gives batches by role"
        else:
            message += f"which has the roles {quoted(known)} here"
            hint = f"say which one, such as `{argument.field}.{known[0]}`"
        chosen = place or (*phase.path, "losses")
        if role and known != (DEFAULT_ROLE,):
            # No phase with these roles can have it, so the loss is wrong and not the choice of it.
            nearest = closest(argument.role, known)
            hint = hint if nearest is None else f"did you mean `{argument.field}.{nearest}`?"
            written = ("losses", objective.label, "args", number)
            phase.context.error("SP724", message, written, hint=hint, also=[(chosen, "the phase")])
        else:
            listed = phase.context.written(chosen)
            if isinstance(listed, list) and objective.label in listed:
                chosen = (*chosen, listed.index(objective.label))
            phase.context.error("SP724", message, chosen, hint=hint)
        return


def _check(
    phase: PhaseScheduler, fed: Fed, numbers: Iterable[int], who: str, also_at: Path
) -> None:
    met = [fed.feeds[number] for number in numbers]
    if len(met) < 2:
        return
    also = [(also_at, "they meet here")]
    place = (*phase.path, "inputs")
    message = ""
    hint = "give the inputs one sampler, so that they are read together"
    if fed.schedule.startswith("alternate"):
        message = f"{who} several inputs, which take turns: no step has all of them"
        place = (*phase.path, "batch_schedule")
        hint = "`zip_strict` and `zip_cycle` have a batch of each in every step"
    elif len({feed.sampler.roles for feed in met}) > 1:
        message = f"{who} rows of different roles"
    elif any(map(is_grouped, met)):
        message = f"{who} batches that differ in rows from epoch to epoch"
    else:
        step = unequal_step(met, fed.steps)
        if step is not None:
            rows = [batch_rows(feed, step) for feed in met]
            said = " and ".join(map(str, dict.fromkeys(rows)))
            message = f"{who} batches of {said} rows in step {step}"
            hint = (
                "rows meet one by one: use one `batch_size`, and `drop_last` where the ends differ"
            )
    if message:
        phase.context.error("SP723", message, place, hint=hint, also=also)


def _check_target(phase: PhaseScheduler, fed: Fed, label: str, numbers: tuple[int, ...]) -> None:
    """Whether it is certain from which feed the targets of a node come."""
    node = phase.wired.nodes.get(label)
    if node is None or node.target is None:
        return
    data = node.target.feature_set
    own = [n for n in numbers if fed.feeds[n].data == data and label in fed.feeds[n].nodes]
    found = own or [n for n in numbers if fed.feeds[n].data == data]
    if len(found) == 1:
        return
    place: Path = ("graph", "nodes", label, "target")
    if found:
        message = f"{label} depends on several inputs of {data}: its target could be of either"
        hint = "give them one sampler, so that they are read together"
    else:
        message = f"{label} learns `{node.target.value}`, and no input of it reads {data}"
        hint = "take the target from a FeatureSet that it depends on"
    phase.context.error(
        "SP723", message, (*phase.path, "label"), hint=hint, also=[(place, "the target")]
    )
