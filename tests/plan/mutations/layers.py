"""Writing a spec as three files that lie over each other, and knowing where each key and value stands."""

from __future__ import annotations

import json
import random
import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

SpecPath = tuple[str | int, ...]
LAYERS = ("base.yaml", "middle.json", "top.yaml")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off"}


class Place(NamedTuple):
    """Lines and columns from 1; the key of a list item is the item."""

    file: str
    key: tuple[int, int]
    value: tuple[int, int]


def split(value: dict[str, Any], seed: int) -> tuple[dict[str, Any], ...]:
    """`value` as mappings that give it again when each is laid over those before it.

    What lies low is sometimes said again above; what is said again is what counts.
    """
    generator = random.Random(seed)
    layers: tuple[dict[str, Any], ...] = ({}, {}, {})

    def put(whole: dict[str, Any], parts: tuple[dict[str, Any], ...], among: list[int]) -> None:
        for key, item in whole.items():
            # Splits are cut in the order in which their ratios are written: that mapping stays whole.
            parted = isinstance(item, dict) and item and key != "ratios" and len(among) > 1
            if parted and generator.random() < 0.7:
                inner: tuple[dict[str, Any], ...] = ({}, {}, {})
                put(item, inner, sorted(generator.sample(range(3), generator.choice([1, 2, 3]))))
                for part, piece in zip(parts, inner, strict=True):
                    if piece:
                        part[key] = piece
                continue
            highest = generator.choice(among)
            for index in among:
                if index == highest or (index < highest and generator.random() < 0.2):
                    parts[index][key] = item

    put(value, layers, [0, 1, 2])
    return layers


def write(layers: tuple[dict[str, Any], ...], folder: Path) -> tuple[Path, dict[SpecPath, Place]]:
    """Write the layers; returns the file on top, and the place of all that counts."""
    places: dict[SpecPath, Place] = {}
    below: str | None = None
    for name, layer in zip(LAYERS, layers, strict=True):
        whole = {"x-layer": name} if below is None else {"imports": [below]}
        whole |= layer
        text = _Text(name, is_json=name.endswith(".json"))
        text.mapping(whole, (), 0)
        (folder / name).write_text(text.text)
        places |= text.places
        below = name
    return folder / LAYERS[-1], places


class _Text:
    """The text of one file."""

    def __init__(self, name: str, *, is_json: bool) -> None:
        self.text = ""
        self.places: dict[SpecPath, Place] = {}
        self._name = name
        self._is_json = is_json

    def mapping(self, value: dict[str, Any], path: SpecPath, indent: int) -> None:
        if self._is_json:
            self._flow(value, path, indent)
            return
        for position, (key, item) in enumerate(value.items()):
            # The first key of a list's item stands behind the dash.
            if position or not self.text.endswith("- "):
                self.text += " " * indent
            here = (*path, key)
            at = self._here()
            self.text += f"{self._scalar(key)}:"
            if self._is_block(item):
                self.text += "\n"
                self.places[here] = Place(self._name, at, self._start_of_block(indent))
                self._block(item, here, indent + 2)
            else:
                self.text += " "
                self.places[here] = Place(self._name, at, self._here())
                self._flow(item, here, 0)
                self.text += "\n"

    def _block(self, value: Any, path: SpecPath, indent: int) -> None:
        if isinstance(value, dict):
            self.mapping(value, path, indent)
            return
        for index, item in enumerate(value):
            self.text += " " * indent + "- "
            at = self._here()
            self.places[*path, index] = Place(self._name, at, at)
            if isinstance(item, dict):
                self.mapping(item, (*path, index), indent + 2)
            else:
                self._flow(item, (*path, index), 0)
                self.text += "\n"

    def _flow(self, value: Any, path: SpecPath, indent: int) -> None:
        inner = indent + 2 if self._is_json and len(path) < 3 else 0
        between = f",\n{' ' * inner}" if inner else ", "
        if isinstance(value, dict):
            self.text += "{" + (f"\n{' ' * inner}" if inner and value else "")
            for position, (key, item) in enumerate(value.items()):
                self.text += between if position else ""
                at = self._here()
                self.text += f"{self._scalar(key)}: "
                self.places[*path, key] = Place(self._name, at, self._here())
                self._flow(item, (*path, key), inner)
            self.text += "}"
        elif isinstance(value, list):
            self.text += "["
            for index, item in enumerate(value):
                self.text += ", " if index else ""
                at = self._here()
                self.places[*path, index] = Place(self._name, at, at)
                self._flow(item, (*path, index), inner)
            self.text += "]"
        else:
            self.text += self._scalar(value)

    def _is_block(self, value: Any) -> bool:
        if isinstance(value, list):
            return bool(value) and all(isinstance(item, dict) for item in value)
        return isinstance(value, dict) and bool(value) and "use" not in value

    def _start_of_block(self, indent: int) -> tuple[int, int]:
        line, _ = self._here()
        return line, indent + 3

    def _here(self) -> tuple[int, int]:
        line = self.text.count("\n") + 1
        return line, len(self.text) - (self.text.rfind("\n") + 1) + 1

    def _scalar(self, value: Any) -> str:
        plain = isinstance(value, str) and _PLAIN.fullmatch(value) and value not in _WORDS
        return value if plain and not self._is_json else json.dumps(value)
