"""Pass: what a train phase reads, in which batches, and that rows which meet belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from specplan.components.sampler import (
    DEFAULT_ROLE,
    Paired,
    Roles,
    Simple,
    Triplet,
    columns_of,
    roles_of,
)
from specplan.errors import DataError
from specplan.plan.model import Feed, Sampler
from specplan.plan.passes.components import as_plan
from specplan.plan.passes.fold_keys import rows_in
from specplan.plan.passes.own_component import LiveObject, OwnCode, UsersOwn
from specplan.plan.sampled import read_keyed, sampled_columns
from specplan.plan.streams import written_seed_of
from specplan.spec.wording import did_you_mean, quoted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from specplan.components.sampler import AnySampler
    from specplan.plan.passes.phase import PhaseScheduler
    from specplan.spec.diagnostics import Path
    from specplan.spec.model import BatchSchedule, InputSpec, TrainSpec


class _Input(msgspec.Struct, frozen=True, kw_only=True):
    """What one node reads of one FeatureSet. `place` is where the spec says so; `keys` where its parts are."""

    node: str
    data: str
    split: str | None
    stream: str
    sampler: AnySampler | UsersOwn
    place: Path
    sampler_place: Path


class _Counted(msgspec.Struct, frozen=True, kw_only=True):
    """What an epoch has: its batches, and what `Sampler` of a plan says of it."""

    steps: int
    samples: int | None = None
    weighted: bool = False
    largest: int | None = None
    roles: tuple[str, ...] = ()


class Fed(msgspec.Struct, frozen=True, kw_only=True):
    """What a train phase reads. `steps` are those of an epoch."""

    feeds: tuple[Feed, ...]
    schedule: BatchSchedule
    steps: int


class Feeds:
    """Finds the feeds of one train phase; what is missing because of a fault makes them None."""

    def __init__(self, phase: PhaseScheduler, spec: TrainSpec, nodes: tuple[str, ...]) -> None:
        self._phase = phase
        self._context = phase.context
        self._spec = spec
        self._nodes = nodes

    def source(self) -> str | None:
        """The FeatureSet that is read, of several the one that is named first."""
        if self._spec.inputs is None:
            return self._phase.source(self._nodes)
        return next((data for data, _ in self.read(None)), None)

    def read(self, source: str | None) -> tuple[tuple[str, str | None], ...]:
        """The FeatureSets and splits that are read, as far as they are known."""
        if self._spec.inputs is None:
            return () if source is None else ((source, self._spec.split),)
        found: dict[tuple[str, str | None], None] = {}
        for index, written in enumerate(self._spec.inputs):
            place = (*self._phase.path, "inputs", index)
            data = self._feature_set(written, place, report=False)
            if data is not None and written.node in self._nodes:
                found[data, written.split] = None
        return tuple(found)

    def fed(self, source: str | None) -> Fed | None:
        """The feeds, each with its batches; `source` is what `source` gave."""
        inputs = self._short(source) if self._spec.inputs is None else self._long()
        if inputs is None:
            return None
        groups: dict[bytes, list[_Input]] = {}
        for each in inputs:
            key = (each.data, each.split, each.stream, as_plan(each.sampler))
            groups.setdefault(msgspec.json.encode(key), []).append(each)
        feeds = [self._feed(number, group) for number, group in enumerate(groups.values())]
        known = [feed for feed in feeds if feed is not None]
        if len(known) < len(feeds) or not known:
            return None
        several = len(known) > 1
        schedule: BatchSchedule = self._spec.batch_schedule if several else "zip_strict"
        return Fed(feeds=tuple(known), schedule=schedule, steps=_steps(known, schedule))

    def _short(self, source: str | None) -> list[_Input] | None:
        place = (*self._phase.path, "sampler")
        sampler = self._sampler(place)
        if source is None or sampler is None:
            return None
        return [
            _Input(
                node=label,
                data=source,
                split=self._spec.split,
                stream=DEFAULT_ROLE,
                sampler=sampler,
                place=self._phase.path,
                sampler_place=place,
            )
            for label in self._nodes
            if self._read_by(label)
        ]

    def _sampler(self, place: Path) -> AnySampler | UsersOwn | None:
        found = self._phase.resolved.get(place)
        known = Simple | Paired | Triplet | Roles | OwnCode | LiveObject
        return found if isinstance(found, known) else None

    def _long(self) -> list[_Input] | None:
        assert self._spec.inputs is not None
        found: list[_Input] = []
        right = True
        for key in ("split",) if self._spec.split is not None else ():
            message = "`split` is said by each of the `inputs`"
            self._context.error("SP720", message, (*self._phase.path, key))
            right = False
        for index, written in enumerate(self._spec.inputs):
            place = (*self._phase.path, "inputs", index)
            if self._is_idle(written, place):
                continue
            each = self._input(written, place)
            right = right and each is not None
            twice = next(
                (o for o in found if each and (o.node, o.data) == (each.node, each.data)), None
            )
            if each is not None and twice is not None:
                message = f"what {each.node} reads of {each.data} is said twice"
                also = [((*twice.place, "node"), "said here")]
                hint = "remove one of the two inputs"
                self._context.error("SP304", message, (*place, "node"), also=also, hint=hint)
                right = False
            elif each is not None:
                found.append(each)
        return found if right and self._all_bound(found) else None

    def _input(self, written: InputSpec, place: Path) -> _Input | None:
        if not self._takes_part(written, place):
            return None
        data = self._feature_set(written, place)
        own = (*place, "sampler")
        sampler_place = own if written.sampler is not None else (*self._phase.path, "sampler")
        sampler = self._sampler(sampler_place)
        lacks = written.sampler is None and self._spec.sampler is None
        if lacks and not self._context.damaged(own):
            message = "this input has no sampler, and the phase has none for all inputs"
            self._context.error("SP204", message, (*place, "node"), hint="add the key `sampler`")
        if data is None or sampler is None:
            return None
        return _Input(
            node=written.node,
            data=data,
            split=written.split,
            stream=written.stream,
            sampler=sampler,
            place=place,
            sampler_place=sampler_place,
        )

    def _is_idle(self, written: InputSpec, place: Path) -> bool:
        """Whether an input is of a node that no loss of the phase needs."""
        idle = written.node in self._phase.wired.order and written.node not in self._nodes
        # Where the input of a node is faulty, what it was to read is not known.
        if idle and not self._context.reported(("graph", "nodes")):
            message = f"{written.node} takes no part in this phase"
            hint = "leave the input out, or name a loss that needs the node"
            self._context.warning("SP726", message, (*place, "node"), hint=hint)
        return idle

    def _takes_part(self, written: InputSpec, place: Path) -> bool:
        nodes = self._context.spec.graph.nodes
        if written.node not in nodes:
            if not self._context.lost(("graph", "nodes", written.node)):
                message = f"there is no node `{written.node}`; known: {quoted(nodes)}"
                hint = did_you_mean(written.node, nodes)
                self._context.error("SP301", message, (*place, "node"), hint=hint)
            return False
        return written.node in self._nodes

    def _feature_set(self, written: InputSpec, place: Path, *, report: bool = True) -> str | None:
        """The FeatureSet of which an input tells."""
        if written.node not in self._phase.wired.order:
            return None
        read = self._read_by(written.node)
        if written.from_ is None and len(read) == 1:
            return read[0]
        if written.from_ is not None and written.from_ in read:
            return written.from_
        if not report:
            return None
        if not read:
            message = f"{written.node} reads no FeatureSet itself"
            hint = "bind the nodes before it"
            self._context.error("SP720", message, (*place, "node"), hint=hint)
        elif written.from_ is None:
            message = f"{written.node} reads several FeatureSets, so its input needs `from`: {quoted(read)}"
            hint = f"such as `from: {read[0]}`"
            self._context.error("SP204", message, (*place, "node"), hint=hint)
        else:
            message = f"{written.node} reads {quoted(read)}, not `{written.from_}`"
            meant = did_you_mean(written.from_, read)
            self._context.error("SP720", message, (*place, "from"), hint=meant)
        return None

    def _read_by(self, label: str) -> list[str]:
        """The FeatureSets of which a node reads columns as its input, by name."""
        written = self._context.spec.graph.nodes[label].input
        texts = (written,) if isinstance(written, str) else written
        return sorted({text.partition(".")[0] for text in texts} & self._phase.data.keys())

    def _all_bound(self, inputs: list[_Input]) -> bool:
        bound = {(each.node, each.data) for each in inputs}
        right = True
        for label in self._nodes:
            for data in self._read_by(label):
                if self._context.reported(("graph", "nodes", label, "input")):
                    right = False
                elif (label, data) not in bound and not self._context.damaged(
                    (*self._phase.path, "inputs")
                ):
                    message = f"no input says which rows of {data} {label} reads"
                    hint = f"add `{{node: {label}, from: {data}}}`"
                    self._context.error("SP720", message, (*self._phase.path, "inputs"), hint=hint)
                    right = False
        return right

    def _feed(self, number: int, inputs: list[_Input]) -> Feed | None:
        first = inputs[0]
        where = first.place if self._spec.inputs is not None else self._phase.path
        rows = self._phase.rows(first.data, first.split, (*where, "split"))
        if rows is None:
            return None
        sampler = first.sampler
        seed = None if isinstance(sampler, OwnCode | LiveObject) else sampler.seed
        if seed is None:
            name = f"phase/{self._phase.label}/sampler"
            name += f"/{first.node}" if number else ""
            seed = written_seed_of(self._context.spec.run.seed, name)
        roles: tuple[str, ...] = (DEFAULT_ROLE,)
        if isinstance(sampler, OwnCode | LiveObject):
            counted = self._counted_by_code(first, sampler, seed, rows)
            component = sampler.component
            roles = (counted.roles if counted is not None else ()) or roles
        else:
            counted = self._counted(first, sampler, seed, rows)
            component = as_plan(msgspec.structs.replace(sampler, seed=seed))
            roles = roles_of(sampler)
        if counted is None:
            return None
        return Feed(
            data=first.data,
            split=first.split,
            rows=rows,
            nodes=tuple(each.node for each in inputs),
            sampler=Sampler(
                component=component,
                seed=seed,
                samples=counted.samples,
                roles=roles if roles != (DEFAULT_ROLE,) else (),
                weighted=counted.weighted,
                largest=counted.largest,
            ),
            steps=counted.steps,
        )

    def _counted_by_code(
        self, read: _Input, own: UsersOwn, seed: int, rows: int
    ) -> _Counted | None:
        columns = self._columns(read, sampled_columns(own.component))
        if columns is None:
            return None
        # Running code takes modules that most specs do without.
        from specplan.plan.passes.own_sampler import bound_sampler, own_sampler

        context, place = self._context, read.sampler_place
        drew = (
            own_sampler(context, own, columns, place, seed=seed, rows=rows)
            if isinstance(own, OwnCode)
            else bound_sampler(context, own, columns, place, seed=seed, rows=rows)
        )
        if drew is None:
            return None
        return _Counted(
            samples=drew.samples, steps=drew.steps, largest=drew.largest, roles=drew.roles
        )

    def _counted(self, read: _Input, sampler: AnySampler, seed: int, rows: int) -> _Counted | None:
        place = read.sampler_place
        names = columns_of(sampler)
        if isinstance(sampler, Simple) and not names:
            self._warn_of_one_batch(sampler, rows, "rows", place)
            steps = _simple_steps(sampler, rows)
            if not self._leaves_some(sampler, steps, rows, place):
                return None
            return _Counted(steps=steps)
        columns = self._columns(read, names)
        if columns is None or seed < 0:
            return None
        # numpy is loaded for samplers that look at columns, and for no other plan.
        from specplan.data.sampler import Drawing, SamplerError

        try:
            drawn = Drawing(sampler, seed, rows, columns)
        except SamplerError as error:
            self._context.error(error.code, error.message, (*place, error.key), hint=error.hint)
            return None
        if not isinstance(sampler, Simple):
            self._warn_of_one_batch(sampler, drawn.samples, "tuples", place)
        if not self._leaves_some(sampler, drawn.steps, rows, place):
            return None
        weighted = drawn.weights is not None
        return _Counted(samples=drawn.samples, steps=drawn.steps, weighted=weighted)

    def _warn_of_one_batch(self, sampler: AnySampler, samples: int, what: str, place: Path) -> None:
        if sampler.batch_size > samples and not sampler.drop_last:
            message = (
                f"batch_size {sampler.batch_size} is more than the {samples} {what} of an epoch"
            )
            hint = "each epoch is one step"
            self._context.warning("SP706", message, (*place, "batch_size"), hint=hint)

    def _leaves_some(self, sampler: AnySampler, steps: int, rows: int, place: Path) -> bool:
        if steps:
            return True
        message = f"batch_size {sampler.batch_size} with drop_last leaves no batch for {rows} rows"
        self._context.error("SP702", message, (*place, "batch_size"))
        return False

    def _columns(self, read: _Input, names: tuple[str, ...]) -> dict[str, NDArray[Any]] | None:
        """The columns that a sampler looks at, in the order of the split."""
        known = self._phase.data[read.data]
        sampler = read.sampler
        if isinstance(sampler, Simple) and sampler.group_by and sampler.stratify_by:
            message = "`group_by` and `stratify_by` cannot be had together"
            also = [((*read.sampler_place, "group_by"), "groups are kept apart here")]
            place = (*read.sampler_place, "stratify_by")
            self._context.error("SP510", message, place, also=also, hint="remove one of the two")
            return None

        written = self._context.written(read.sampler_place)
        for name in names:
            if name not in known.columns:
                message = f"FeatureSet `{read.data}` has no column `{name}`; it has {quoted(known.columns)}"
                hint = did_you_mean(name, known.columns)
                key = _path_to_key(written, name)
                place = (*read.sampler_place, *(key or _path_to_text(written, name)))
                self._context.error("SP302", message, place, hint=hint, key=bool(key))
                return None
            if known.data is not None and name in known.data.scaled:
                message = f"`{name}` is scaled, and samplers look at columns as they are stored"
                hint = f"name `{known.data.scaled[name]}`"
                key = _path_to_key(written, name)
                place = (*read.sampler_place, *(key or _path_to_text(written, name)))
                self._context.error("SP302", message, place, hint=hint, key=bool(key))
                return None
        if not names:
            return {}
        if known.data is None or (known.cut is None and read.split is not None):
            return None
        fold = self._phase.step.cuts.get(read.data)
        folds = self._phase.folds.get(read.data, {})
        if fold is not None and fold.path not in folds:
            return None
        try:
            whole = read_keyed(known.data, names, self._context.folder, self._context.tables)
        except DataError as error:
            self._context.error(error.code or "SP508", error.message, read.sampler_place)
            return None
        if read.split is None:
            return whole
        inside = folds[fold.path] if fold is not None and fold.path is not None else None
        held = rows_in(known, folds)
        if held is None:
            return None
        rows = held.positions(inside, read.split)
        return {name: column[rows] for name, column in whole.items()}


def _steps(feeds: list[Feed], schedule: BatchSchedule) -> int:
    steps = [feed.steps for feed in feeds]
    each = max(steps) if schedule.endswith("cycle") else min(steps)
    return each * len(steps) if schedule.startswith("alternate") else each


def _simple_steps(sampler: Simple, rows: int) -> int:
    """Batches of an epoch of a sampler that looks at no column."""
    kept = rows - rows % sampler.batch_size if sampler.drop_last else rows
    return -(-kept // sampler.batch_size)


def _path_to_key(value: object, key: str) -> Path:
    """Where a mapping below `value` has a key; the empty path where none has."""
    if not isinstance(value, dict):
        return ()
    if key in value:
        return (key,)
    paths = ((name, *below) for name, item in value.items() if (below := _path_to_key(item, key)))
    return next(paths, ())


def _path_to_text(value: object, text: str) -> Path:
    """Where a value of a mapping is a text; the empty path where none is."""
    if not isinstance(value, dict):
        return ()
    return next(((name,) for name, item in value.items() if item == text), ())
