"""A state in a folder: weights and optimizer as safetensors, estimators through skops, the rest JSON.

    state.json                what is where, with the digest of each other file
    weights.safetensors       `<node>.<name>` of each torch node, as its state_dict calls them
    optimizer.safetensors     tensors that the optimizer keeps
    optimizers/<node>.safetensors   those of the optimizer of one node
    estimators/<node>.skops   each fitted or unfitted scikit-learn node

Nothing in it is pickle, and reading it runs no code but that of torch and scikit-learn.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from specplan.errors import RunError, StoreError
from specplan.plan.model import Component  # noqa: TC001 -- msgspec reads the annotation
from specplan.run.state import Kept, Snapshot
from specplan.run.state_values import encode, pack, unpack
from specplan.store.artifact_tensors import write_tensors
from specplan.store.artifacts import file_digest
from specplan.store.checked_json import encode_checked, matches_checksum

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from torch import Tensor

    from specplan.run.state import State

FORMAT = 1
INDEX = "state.json"
WEIGHTS = "weights.safetensors"
OPTIMIZER = "optimizer.safetensors"
ESTIMATORS = "estimators"
OWN_OPTIMIZERS = "optimizers"


class _Optimizer(msgspec.Struct, frozen=True, kw_only=True):
    """`values` are those of its state_dict, packed."""

    component: Component
    groups: tuple[tuple[str, ...], ...]
    values: Any


class _Index(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: int = FORMAT
    steps: int
    generator: str
    device_generator: tuple[str, str] | None = None
    modules: dict[str, tuple[str, ...]]
    estimators: dict[str, str]
    optimizer: _Optimizer | None
    own_optimizers: dict[str, _Optimizer] = {}
    fitted: tuple[str, ...]
    frozen: tuple[str, ...]
    digests: dict[str, str]


def write_state(state: State, folder: Path, *, trusted: Collection[str] = ()) -> None:
    """Write a state into an empty or new folder. The files are not yet forced to the disk.

    `trusted` are types, by `module.Class`, that an estimator may hold besides those of scikit-learn.

    Raises:
        RunError: an estimator or the optimizer holds what cannot be stored without pickle.
        OSError: a file could not be written.
    """
    write_snapshot(state.capture(), folder, trusted=trusted)


def read_state(state: State, folder: Path, *, trusted: Collection[str] = ()) -> None:
    """Give a state, whose nodes are built, what `write_state` wrote; its other nodes stay as they are.

    Raises:
        StoreError: a file is missing or damaged, is of a later version, or names types that nobody trusts.
        RunError: a node is missing here, or has other parameters.
    """
    state.restore(read_snapshot(state, folder, trusted=trusted))


def write_snapshot(snapshot: Snapshot, folder: Path, *, trusted: Collection[str] = ()) -> None:
    """As `write_state`, for what was put aside."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        f"{label}.{name}": value
        for label, values in snapshot.modules.items()
        for name, value in values.items()
    }
    digests: dict[str, str] = {}
    _write_tensors(folder, WEIGHTS, weights, digests)
    estimators: dict[str, str] = {}
    for label, estimator in snapshot.estimators.items():
        from specplan.models.sklearn.stored import store_estimator

        estimators[label] = f"{ESTIMATORS}/{label}.skops"
        (folder / ESTIMATORS).mkdir(exist_ok=True)
        path = folder / estimators[label]
        path.write_bytes(store_estimator(estimator, label, trusted=trusted))
        digests[estimators[label]] = file_digest(path)
    index = _Index(
        steps=snapshot.steps,
        generator=_hex(snapshot.generator),
        device_generator=None
        if snapshot.device_generator is None
        else (snapshot.device_generator[0], _hex(snapshot.device_generator[1])),
        modules={label: tuple(values) for label, values in snapshot.modules.items()},
        estimators=estimators,
        optimizer=None
        if snapshot.optimizer is None
        else _packed_optimizer(snapshot.optimizer, folder, OPTIMIZER, digests),
        own_optimizers={
            label: _packed_optimizer(kept, folder, _own(label), digests)
            for label, kept in snapshot.own_optimizers.items()
        },
        fitted=tuple(sorted(snapshot.fitted)),
        frozen=tuple(sorted(snapshot.frozen)),
        digests=digests,
    )
    plain = json.loads(encode(msgspec.to_builtins(index)))
    (folder / INDEX).write_bytes(encode_checked(plain))


def read_snapshot(state: State, folder: Path, *, trusted: Collection[str] = ()) -> Snapshot:
    """What `write_snapshot` wrote, for a state whose nodes are built. Shares nothing with the files."""
    index = _read_index(folder)
    for name, digest in index.digests.items():
        _check_digest(folder, name, digest)
    weights = read_tensors(folder, WEIGHTS)
    modules = {
        label: {name: weights[f"{label}.{name}"] for name in names}
        for label, names in index.modules.items()
    }
    _check_nodes(state, modules, index.estimators)
    estimators: dict[str, Any] = {}
    for label, file in index.estimators.items():
        from specplan.models.sklearn.stored import load_estimator

        estimators[label] = load_estimator((folder / file).read_bytes(), label, trusted=trusted)
    return Snapshot(
        modules=modules,
        estimators=estimators,
        optimizer=None
        if index.optimizer is None
        else _unpacked_optimizer(index.optimizer, folder, OPTIMIZER, state),
        own_optimizers={
            label: _unpacked_optimizer(each, folder, _own(label), state)
            for label, each in index.own_optimizers.items()
        },
        steps=index.steps,
        generator=_bytes(index.generator),
        device_generator=None
        if index.device_generator is None
        else (index.device_generator[0], _bytes(index.device_generator[1])),
        fitted=frozenset(index.fitted),
        frozen=frozenset(index.frozen),
    )


def _hex(generator: Tensor) -> str:
    return bytes(generator.tolist()).hex()


def _bytes(generator: str) -> Tensor:
    import torch

    return torch.tensor(list(bytes.fromhex(generator)), dtype=torch.uint8)


def _own(label: str) -> str:
    """The file of the optimizer of one node."""
    return f"{OWN_OPTIMIZERS}/{label}.safetensors"


def _packed_optimizer(kept: Kept, folder: Path, file: str, digests: dict[str, str]) -> _Optimizer:
    tensors: dict[str, Tensor] = {}
    values = pack(kept.values, tensors, "optimizer")
    _write_tensors(folder, file, tensors, digests)
    return _Optimizer(component=kept.component, groups=kept.groups, values=values)


def _unpacked_optimizer(optimizer: _Optimizer, folder: Path, file: str, state: State) -> Kept:
    values = unpack(optimizer.values, read_tensors(folder, file))
    return state.kept_optimizer(optimizer.component, optimizer.groups, values)


def _write_tensors(
    folder: Path, name: str, tensors: Mapping[str, Tensor], digests: dict[str, str]
) -> None:
    if not tensors:
        return
    (folder / name).parent.mkdir(exist_ok=True)
    try:
        write_tensors(folder / name, tensors)
    except TypeError as error:
        raise RunError(f"the state cannot be stored: {error}") from error
    digests[name] = file_digest(folder / name)


def read_tensors(folder: Path, name: str) -> dict[str, Tensor]:
    """The tensors of a file by name, copied; none where there is no file. Raises StoreError."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = folder / name
    if not path.exists():
        return {}
    try:
        # The library gives out memory of a mapped file.
        return {key: value.clone() for key, value in load_file(path).items()}
    except SafetensorError as error:
        raise StoreError(f"{path}: damaged: {error}") from error


def _read_index(folder: Path) -> _Index:
    path = folder / INDEX
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise StoreError(f"{path}: there is no state") from None
    if not matches_checksum(content):
        raise StoreError(f"{path}: the file does not match its checksum")
    plain = msgspec.json.decode(content)
    if plain.get("format") != FORMAT:
        raise StoreError(f"{path}: format {plain.get('format')}; this program reads {FORMAT}")
    del plain["crc32"]
    try:
        return msgspec.convert(plain, _Index)
    except msgspec.ValidationError as error:
        raise StoreError(f"{path}: {error}") from error


def _check_digest(folder: Path, name: str, digest: str) -> None:
    path = folder / name
    if not path.is_file():
        raise StoreError(f"{path}: the file is missing")
    if file_digest(path) != digest:
        raise StoreError(f"{path}: the file does not match its digest")


def _check_nodes(
    state: State, modules: Mapping[str, Mapping[str, Tensor]], estimators: Collection[str]
) -> None:
    """Raise RunError where what was stored does not fit the nodes that are here."""
    live = state.modules()
    for label in (*modules, *estimators):
        if label not in state.nodes:
            known = ", ".join(f"`{each}`" for each in state.nodes) or "none"
            raise RunError(f"the state has a node `{label}`, which is not here; here: {known}")
        if (label in modules) != (label in live):
            raise RunError(f"node `{label}` is of another kind than in the state")
    for label, values in modules.items():
        expected = {name: tuple(value.shape) for name, value in live[label].state_dict().items()}
        found = {name: tuple(value.shape) for name, value in values.items()}
        if found == expected:
            continue
        name = next(each for each in {**found, **expected} if found.get(each) != expected.get(each))
        raise RunError(
            f"node `{label}`: `{name}` is {_shape(found.get(name))} in the state and "
            f"{_shape(expected.get(name))} here"
        )


def _shape(shape: tuple[int, ...] | None) -> str:
    return "missing" if shape is None else f"of shape {shape}"
