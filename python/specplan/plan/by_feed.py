"""A train phase as one phase for each of its feeds, for all that is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from specplan.plan.model import Feed, Graph, Train


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


def _samples(feed: Feed, steps: int) -> int:
    """Rows, or tuples, of so many batches of a feed that begins again; at most, where batches are of groups."""
    rounds, rest = divmod(steps, feed.steps)
    return rounds * feed.samples + min(rest * feed.batch_size, feed.samples)
