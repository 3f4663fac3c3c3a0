"""Every way to get a spec wrong is found when it is compiled, at its place, with the right suggestion."""

from __future__ import annotations

import copy
import json
import os
import random
import re
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from specplan.errors import SpecError
from specplan.plan.compile import compile_path
from specplan.spec.render import render
from tests.plan.mutations.layers import split, write
from tests.plan.mutations.mutants import Mutant, mutants, mutations, right_specs

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from specplan.spec.diagnostics import Diagnostic
    from tests.plan.mutations.layers import Place, SpecPath

# A few places for each mutation in the test command; all of them with SPECPLAN_ALL_MUTANTS=1.
MOST = None if os.environ.get("SPECPLAN_ALL_MUTANTS") else 3


class Verdict(NamedTuple):
    """How good the answer of the compiler was."""

    mutant: Mutant
    caught: bool
    alone: bool
    code: bool
    place: bool
    suggestion: bool | None
    said: str

    def __str__(self) -> str:
        lacks = [
            name
            for name in ("caught", "alone", "code", "place", "suggestion")
            if getattr(self, name) is False
        ]
        return f"{self.mutant.name}: {self.mutant.mutation}: not {', '.join(lacks)}:\n{self.said}"


def chosen(mutation: dict[str, Any]) -> list[Mutant]:
    """The mutants that are compiled."""
    found = list(mutants(mutation))
    if MOST is None or len(found) <= MOST:
        return found
    return random.Random(zlib.crc32(repr(mutation).encode())).sample(found, MOST)


def verdict(mutant: Mutant, folder: Path) -> Verdict:
    """Write a mutant as three files, compile it, and judge what is said."""
    layers = split(mutant.value, seed=zlib.crc32(mutant.name.encode()))
    top, places = write(layers, folder)
    try:
        compile_path(top)
    except SpecError as error:
        found = [one for one in error.diagnostics if one.severity == "error"]
    else:
        found = []
    said = "\n".join(map(str, found)) or "nothing"
    if not found:
        suggestion = None if mutant.suggests is None else False
        return Verdict(mutant, False, False, False, False, suggestion, said)
    codes = mutant.mutation["code"]
    right = [one for one in found if one.code in ([codes] if isinstance(codes, str) else codes)]
    place = any(_stands(one, mutant, places, folder) for one in right)
    suggestion = None
    if mutant.suggests is not None:
        suggestion = any(_first(one.hint) == mutant.suggests for one in right)
    return Verdict(mutant, True, len(found) == 1, bool(right), place, suggestion, said)


def _stands(found: Diagnostic, mutant: Mutant, places: dict[SpecPath, Place], folder: Path) -> bool:
    origin = found.origin
    what = mutant.mutation["place"]
    if what == "phase":
        return origin.path[:1] == ("plan",)
    if what == "mapping":
        # It may stand in several files: any place of it will do.
        return origin.path[: len(mutant.at)] == mutant.at or mutant.at[:-1] == origin.path
    place = places[mutant.at]
    expected = place.value if what == "value" else place.key
    return (origin.file, origin.line, origin.column) == (str(folder / place.file), *expected)


def _first(hint: str | None) -> str | None:
    match = re.search(r"`([^`]*)`", hint or "")
    return match.group(1) if match else None


def test_there_are_many_and_layers_change_nothing(folder: Path) -> None:
    assert len(mutations()) >= 60
    assert len(right_specs()) >= 15
    for number, value in enumerate(right_specs().values()):
        top, _ = write(split(value, seed=number), folder)
        (folder / "whole.json").write_text(json.dumps(value))
        compiled = compile_path(top, strict=True)
        assert compiled.warnings == ()
        assert compiled.plan.id == compile_path(folder / "whole.json").plan.id
    for mutation in mutations():
        assert next(mutants(mutation), None) is not None, mutation


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_mutant_is_caught(folder: Path) -> None:
    verdicts = [verdict(mutant, folder) for way in mutations() for mutant in chosen(way)]
    suggested = [one for one in verdicts if one.suggestion is not None]
    shares = {
        "caught": share(one.caught for one in verdicts),
        "with the right code": share(one.code for one in verdicts),
        "at the right place": share(one.place for one in verdicts),
        "with nothing else": share(one.alone for one in verdicts),
        "with the right suggestion": share(bool(one.suggestion) for one in suggested),
    }
    faults = [one for one in verdicts if not (one.caught and one.alone and one.code and one.place)]
    faults += [one for one in suggested if not one.suggestion and one not in faults]
    listed = ", ".join(f"{value:.1%} {name}" for name, value in shares.items())
    report = "\n\n".join([f"{len(verdicts)} wrong specs: {listed}", *map(str, faults)])
    assert shares["caught"] == 1.0, report
    assert shares["with the right code"] >= 0.98, report
    assert shares["at the right place"] >= 0.98, report
    assert shares["with nothing else"] >= 0.95, report
    assert shares["with the right suggestion"] >= 0.9, report


def share(values: Iterable[bool]) -> float:
    """The share of what is true."""
    known = list(values)
    return sum(known) / len(known)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("run: {seed: 7, threads: 1}", "params: {$: params.x}", "SP106"),
        ("features: [curve, temperature, image]", "features: []", "SP302"),
    ],
)
def test_what_junk_found(folder: Path, spec_text: str, old: str, new: str, code: str) -> None:
    text = spec_text.replace(old, new).replace(
        "input: [Cells.curve, Cells.temperature]", "input: Cells.features"
    )
    (folder / "junk.yaml").write_text(text)
    with pytest.raises(SpecError) as raised:
        compile_path(folder / "junk.yaml")
    assert code in {one.code for one in raised.value.diagnostics}


JUNK: list[Any] = [
    None, True, 0, -1, 2.5, 1e308, 2**53, 10**400, "", "x", "Cells.", ".", "Cells.curve", "a" * 300, "1e-3",
    "\N{WARNING SIGN}", [], {}, [[]], [None], {"": 1}, {"use": "mlp"}, {"use": []}, {"$": "params.x"},
    {"$": 1}, {"group": "g", "do": []}, {"phase": "train"}, ["Cells.curve", "Cells.curve"], {"x-": 1},
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_junk_is_an_error_or_right_and_never_a_crash(folder: Path) -> None:
    generator = random.Random(0)
    specs = right_specs()
    for _ in range(200 if MOST else 5000):
        value = copy.deepcopy(generator.choice(list(specs.values())))
        said = [spoil(value, generator) for _ in range(generator.choice([1, 1, 2, 4]))]
        (folder / "junk.json").write_text(json.dumps(value))
        found: tuple[Diagnostic, ...] = ()
        try:
            compile_path(folder / "junk.json")
        except SpecError as error:
            found = error.diagnostics
        except Exception as exception:
            raise AssertionError(f"{type(exception).__name__} after {said}") from exception
        assert not {one.code for one in found} & {"SP900", "SP901"}, said
        assert all(map(render, found))


def spoil(value: dict[str, Any], generator: random.Random) -> str:
    """Replace, add or remove something somewhere; returns what was done."""
    owner: Any = value
    path: list[object] = []
    while True:
        keys = list(owner) if isinstance(owner, dict) else list(range(len(owner)))
        if not keys:
            return "nothing"
        key = generator.choice(keys)
        path.append(key)
        if isinstance(owner[key], dict | list) and owner[key] and generator.random() < 0.75:
            owner = owner[key]
            continue
        junk = copy.deepcopy(generator.choice(JUNK))
        match generator.randrange(4):
            case 0:
                del owner[key]
                return f"del {path}"
            case 1 if isinstance(owner, dict):
                owner[generator.choice(["x", "use", "label", "phase", "group", "do", "$"])] = junk
                return f"beside {path}: {junk!r}"
            case _:
                owner[key] = junk
                return f"{path} = {junk!r}"
