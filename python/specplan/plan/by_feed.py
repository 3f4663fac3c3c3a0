"""A train phase as one phase for each of its feeds, for all that is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from specplan.plan.model import Train

if TYPE_CHECKING:
    from collections.abc import Sequence

    from specplan.plan.model import Feed, Graph, Phase


def by_feed(graph: Graph, phase: Train) -> tuple[Train, ...]:
    """For each feed a phase of the nodes, losses and records that depend on it, with the batches that it gives.

    What depends on several feeds counts for the first.
    """
    if not phase.feeds:
        return (phase,)
    parts: list[Train] = []
    counted: set[str] = set()
    for feed in phase.feeds:
        nodes = tuple(
            label for label in graph.fed_by(feed.nodes, phase.nodes) if label not in counted
        )
        counted.update(nodes)
        steps = phase.steps // len(phase.feeds) if phase.alternates else phase.steps
        owners = {feed.data, *feed.nodes, *nodes}
        parts.append(
            msgspec.structs.replace(
                phase,
                data=feed.data,
                split=feed.split,
                rows=feed.rows,
                nodes=nodes,
                trainable=tuple(label for label in phase.trainable if label in nodes),
                losses=tuple(loss for loss in phase.losses if loss.node in nodes),
                records=tuple(
                    record
                    for record in phase.records
                    if (record.node in nodes)
                    or (record.field == "sample_id" and record.node in owners)
                ),
                sampler=msgspec.structs.replace(feed.sampler, samples=_samples(feed, steps)),
                steps=steps,
                evaluations=phase.evaluations if not parts else (),
                feeds=(),
                schedule="zip_strict",
            )
        )
    return tuple(parts)


def tables_of(graph: Graph, phase: Phase) -> dict[str, tuple[str, ...] | None]:
    """The tables of what a phase records, with the nodes and FeatureSets that each has; None for all of them.

    There is one of the phase's name where all columns have the same rows in every step, and else one for
    each feed: `<phase>.<FeatureSet>`, with the node that reads it where several feeds have one FeatureSet.
    """
    if not isinstance(phase, Train) or has_one_table(phase):
        return {phase.path: None}
    read = [feed.data for feed in phase.feeds]
    return {
        f"{phase.path}.{feed.data}"
        + (f".{feed.nodes[0]}" if read.count(feed.data) > 1 else ""): tuple(
            dict.fromkeys(record.node for record in part.records)
        )
        for feed, part in zip(phase.feeds, by_feed(graph, phase), strict=True)
        if part.records
    }


def has_one_table(phase: Phase) -> bool:
    """Whether all columns that a phase records have the same rows in every step, so that they make a table."""
    if not isinstance(phase, Train) or not phase.feeds:
        return True
    if phase.alternates or any(is_grouped(feed) for feed in phase.feeds):
        return False
    return unequal_step(phase.feeds, phase.steps) is None


def is_grouped(feed: Feed) -> bool:
    """Whether batches of a feed differ in rows from epoch to epoch."""
    component = feed.sampler.component
    return component.is_own or bool(component.args.get("group_by"))


def unequal_step(feeds: Sequence[Feed], steps: int) -> int | None:
    """The first step in which batches of feeds, none of which is grouped, differ in rows."""
    # All batches of a feed are alike but the last ones of its rounds.
    ends = {step for feed in feeds for step in range(feed.steps - 1, steps, feed.steps)}
    for step in sorted({0, *ends}):
        if len({batch_rows(feed, step) for feed in feeds}) > 1:
            return step
    return None


def batch_rows(feed: Feed, step: int) -> int:
    """Rows of the batch that a feed, which begins again, gives in a step."""
    if step % feed.steps < feed.steps - 1:
        return feed.batch_size
    return feed.samples - (feed.steps - 1) * feed.batch_size


def _samples(feed: Feed, steps: int) -> int:
    """Rows, or tuples, of so many batches of a feed that begins again; at most, where batches are of groups."""
    rounds, rest = divmod(steps, feed.steps)
    return rounds * feed.samples + min(rest * feed.batch_size, feed.samples)
