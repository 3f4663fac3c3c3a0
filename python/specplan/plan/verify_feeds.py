"""The check of what a train phase of a plan file reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specplan.components.sampler import DEFAULT_ROLE, roles_of
from specplan.plan.by_feed import is_grouped
from specplan.plan.sampled import declared_sampler, sampled_columns
from specplan.plan.verify_course import expect

if TYPE_CHECKING:
    from specplan.plan.model import Feed, Plan, Train


def check_feeds(plan: Plan, phase: Train, place: str) -> None:
    """Check that every feed has its rows and batches, and every node its feeds and roles.

    Raises:
        PlanError: naming the first part that does not hold.
    """
    for feed in phase.all_feeds:
        _check_feed(plan, phase, feed, place)
    steps = [feed.steps for feed in phase.all_feeds]
    each = max(steps) if phase.schedule.endswith("cycle") else min(steps)
    whole = each * len(steps) if phase.alternates else each
    expect(place, f"has {phase.steps} steps, its feeds make {whole}", that=phase.steps == whole)
    first = phase.all_feeds[0]
    named = (phase.data, phase.split, phase.rows, phase.sampler)
    same = named == (first.data, first.split, first.rows, first.sampler)
    expect(place, "has another first feed than it says", that=same)
    roles: dict[str, set[str]] = {}
    for label in phase.nodes:
        fed = [
            feed for feed in phase.all_feeds if label in plan.graph.fed_by(feed.nodes, phase.nodes)
        ]
        expect(place, f"does not say which rows {label} reads", that=bool(fed))
        same = len({feed.sampler.roles for feed in fed}) == 1
        expect(place, f"gives {label} rows of different roles", that=same)
        expect(
            place, f"gives {label} two feeds in turn", that=len(fed) == 1 or not phase.alternates
        )
        roles[label] = set(fed[0].sampler.roles or (DEFAULT_ROLE,))
    for loss in phase.losses:
        for argument in loss.arguments:
            known = argument.role in roles.get(argument.node, ())
            expect(place, f"compares an unknown role {argument.role} for {loss.label}", that=known)
    for record in phase.records:
        known = record.field == "sample_id" or record.role in roles.get(record.node, ())
        expect(place, f"records an unknown role {record.role} of {record.node}", that=known)


def _check_feed(plan: Plan, phase: Train, feed: Feed, place: str) -> None:
    data = plan.data.get(feed.data)
    sizes = {} if data is None else data.sizes_in(data.fold_of(phase.passes))
    rows = data.rows if data is not None and feed.split is None else sizes.get(feed.split or "")
    right = feed.rows == rows and feed.rows > 0 and set(feed.nodes) <= set(phase.nodes)
    expect(place, f"reads the wrong rows of {feed.data}", that=right)
    component = feed.sampler.component
    if not component.is_own:
        roles = roles_of(declared_sampler(component))
        known = feed.sampler.roles == (() if roles == (DEFAULT_ROLE,) else roles)
        expect(place, "has a sampler of other roles than it says", that=known)
    columns = data.columns.keys() if data is not None else set()
    looks = sampled_columns(component)
    held = columns >= set(looks)
    expect(place, f"samples by a column that {feed.data} does not have", that=held)
    counted = (feed.sampler.samples is not None) == (component.is_own or bool(looks))
    expect(place, "does not say how many samples an epoch has", that=counted)
    expect(
        place,
        "does not say its largest batch",
        that=(feed.sampler.largest or 0) > 0 or not component.is_own,
    )
    whole = -(-feed.samples // feed.batch_size)
    right = feed.steps >= max(whole, 1) if is_grouped(feed) else feed.steps == whole
    expect(place, f"makes {feed.steps} batches of {feed.samples} samples", that=right)
