"""What to write instead of a value of the wrong type.

`write` puts a value into the language of the text that it is for.
"""

from __future__ import annotations

import json
import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from specplan.components import COMPONENTS
from specplan.spec.suggest import closest, near
from specplan.spec.suggestion import Suggestion

if TYPE_CHECKING:
    from collections.abc import Callable

READERS = {"parquet": "parquet", "arrow": "arrow", "feather": "arrow", "ipc": "arrow"}
"""The source that reads files with an ending."""

CONVERSIONS = {
    "csv": 'polars.read_csv("{0}").write_parquet("{1}")',
    "tsv": 'polars.read_csv("{0}", separator="\\t").write_parquet("{1}")',
    "json": 'polars.read_json("{0}").write_parquet("{1}")',
    "jsonl": 'polars.read_ndjson("{0}").write_parquet("{1}")',
    "ndjson": 'polars.read_ndjson("{0}").write_parquet("{1}")',
    "xlsx": 'polars.read_excel("{0}").write_parquet("{1}")',
    "excel": 'polars.read_excel("{0}").write_parquet("{1}")',
    "pickle": 'pandas.read_pickle("{0}").to_parquet("{1}")',
    "pkl": 'pandas.read_pickle("{0}").to_parquet("{1}")',
    "hdf5": 'pandas.read_hdf("{0}").to_parquet("{1}")',
    "h5": 'pandas.read_hdf("{0}").to_parquet("{1}")',
    "sql": 'pandas.read_sql(query, connection).to_parquet("{1}")',
    "pandas": 'frame.to_parquet("{1}")',
    "dataframe": 'frame.to_parquet("{1}")',
    "polars": 'frame.write_parquet("{1}")',
}
"""One line of Python that makes a file which can be read, by what there is."""

_TRUE = {"true", "yes", "on", "y", "t"}
_FALSE = {"false", "no", "off", "n", "f"}
_NULL = {"null", "none", "nil", "~"}
_EVALUATED = re.compile(
    r"\$?\{\{?\s*(?:params\.)?([\w.]+)\s*\}\}?|\$(?:params\.)?([\w.]+)|params\.([\w.]+)"
)


_COMPUTED = re.compile(r"(\d+(?:\.\d+)?(?:[eE]-?\d+)?)\s*([/*])\s*(\d+(?:\.\d+)?)")
_COMMENT = re.compile(r"([^#\s]+)(#.*)")
_CURLY = "\u201c\u201d\u201e\u2018\u2019"


_NUMBERS = {"sampler": ("simple", "batch_size"), "repetition": ("folds", "n")}
"""The component, and its argument, that a single number is most likely meant as, by kind."""


def _as_one_of(kind: str, name: object) -> dict[str, object]:
    """A component by its name alone; objectives are nothing without a node."""
    return {"use": name, "node": "NODE"} if kind in ("loss", "metric") else {"use": name}


def for_component(
    value: object, kind: str | None, write: Callable[[object], str]
) -> Suggestion | None:
    """The hint where a component is wanted and something else stands there."""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
        return _instead(write(value[0]), "it is one component, not a list of them")
    if kind in _NUMBERS and type(value) is int:
        use, argument = _NUMBERS[kind]
        return _instead(write({"use": use, argument: value}))
    if not isinstance(value, str) or not value:
        return None
    ending = PurePath(value).suffix.removeprefix(".").lower()
    if kind == "source" and ending in READERS:
        return _instead(write({"use": READERS[ending], "path": value}))
    if kind == "source" and ending in CONVERSIONS:
        return _as_parquet(ending, value)
    known = COMPONENTS.get(kind or "", {})  # type: ignore[call-overload]  # kinds are literals
    return _instead(write(_as_one_of(kind or "", closest(value, known) or value)))


def for_unknown_source(name: str, file: object) -> str | None:
    """How the data of another format become a file that can be read."""
    known = name.rpartition(".")[2].lower().removeprefix("read_")
    if known not in CONVERSIONS:
        return None
    reader = READERS.get(PurePath(str(file)).suffix.removeprefix(".").lower())
    if reader is not None:
        return Suggestion(f"write `{reader}`", text=reader, replaces=name)
    return _as_parquet(known, file if isinstance(file, str) else f"data.{known}")


def _as_parquet(name: str, file: str) -> Suggestion:
    line = CONVERSIONS[name].format(file, PurePath(file).with_suffix(".parquet"))
    return Suggestion(
        f"make a Parquet file of it once: `{line}`", text=line, applicability="display"
    )


def for_scalar(
    value: object, expected: set[str], write: Callable[[object], str]
) -> Suggestion | None:
    """The hint where a number, a boolean or a string is wanted and something else stands there."""
    match value:
        case str():
            return _for_word(value, expected, write)
        case bool() if "string" in expected:
            return _instead(json.dumps(str(value).lower()), "words that YAML knows need quotes")
        case int() | float() if "string" in expected and not isinstance(value, bool):
            return _instead(json.dumps(str(value)), "it is a word, not a number")
        case 0 | 1 if "boolean" in expected and not isinstance(value, bool):
            return _instead(write(bool(value)))
        case float() if value.is_integer() and "integer" in expected:
            return _instead(str(int(value)), applicability="safe")
        case [only] if _fits(only, expected):
            return _instead(write(only), "it is one value, not a list")
    return None


def _for_word(value: str, expected: set[str], write: Callable[[object], str]) -> Suggestion | None:
    word = value.strip()
    numeric = expected & {"integer", "number"}
    if parameter := _EVALUATED.fullmatch(word):
        name = next(group for group in parameter.groups() if group)
        words = "text is not evaluated"
        return _instead(write({"$": f"params.{name}"}), words, applicability="unsafe")
    if type_in_quotes(word) & expected:
        return Suggestion("remove the quotes", text=word, applicability="safe")
    if numeric and re.fullmatch(r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?", word):
        return _instead(word.replace(",", "."), "a number has a point, not a comma")
    if numeric and re.fullmatch(r"[-+]?\d[\d_' ]*\d", word):
        return _instead(re.sub(r"\D", "", word), "a number is written in digits only")
    if numeric and (percent := re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", word)):
        return _instead(f"{float(percent[1]) / 100:g}", "shares are numbers up to 1")
    if "number" in expected and (terms := _COMPUTED.fullmatch(word)):
        first, second = float(terms[1]), float(terms[3])
        if terms[2] == "*" or second:
            number = first * second if terms[2] == "*" else first / second
            return _instead(f"{number:.10g}", "nothing is computed in a spec")
    bare = word.strip(_CURLY)
    if bare != word and type_in_quotes(bare) & expected:
        return Suggestion(f"`{word[0]}` is no quote: write `{bare}`", text=bare)
    if (comment := _COMMENT.fullmatch(word)) and type_in_quotes(comment[1]) & expected:
        return _instead(f"{comment[1]} {comment[2]}", "a space stands before a comment")
    if "boolean" in expected and word.casefold() in _TRUE | _FALSE:
        return _instead(write(word.casefold() in _TRUE), applicability="safe")
    if "null" in expected and word.casefold() in _NULL:
        return _instead(write(None), applicability="safe")
    return None


def type_in_quotes(text: str) -> set[str]:
    """The types of JSON that a text would have without its quotes."""
    match _read(text):
        case bool():
            return {"boolean"}
        case int():
            return {"integer", "number"}
        case float():
            return {"number"}
    return set()


def _read(text: str) -> Any:
    """The value that a text is in JSON; None for anything else."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _fits(value: object, expected: set[str]) -> bool:
    types: dict[type, set[str]] = {
        bool: {"boolean"},
        int: {"integer", "number"},
        float: {"number"},
        str: {"string"},
    }
    return bool(types.get(type(value), set()) & expected)


def for_list(
    value: object, write: Callable[[object], str], *, of_phases: bool, kind: str | None = None
) -> Suggestion | str | None:
    """The hint where a list is wanted, of components of a `kind` or of other things."""
    known = COMPONENTS.get(kind or "", {})  # type: ignore[call-overload]  # kinds are literals
    match value:
        case {**named} if named and named.keys() <= known.keys():
            name, arguments = next(iter(named.items()))
            first = {"use": name, **(arguments if isinstance(arguments, dict) else {})}
            return f"it is a list of components: write `- {write(first)}` and so on"
        case str() if value.startswith("[") and isinstance(_read(value), list):
            return Suggestion("remove the quotes", text=value, applicability="safe")
        case dict() if value and all(isinstance(item, str) for item in value.values()):
            return _instead(write(list(value.values())), "it is a list, without names")
        case str() if "," in value and re.fullmatch(r"[\w.$ ,-]+", value):
            return _instead(write([part.strip() for part in value.split(",") if part.strip()]))
        case dict() if of_phases and "phase" not in value:
            return "`plan` is a list, because phases have an order: begin each of them with `- `"
        case dict() if "use" in value or of_phases:
            return "it is a list: begin it with `- `, or put `[` and `]` around it"
        case str() | int() | float():
            return _instead(write([value]), applicability="safe")
    return None


_MAIN_KEYS: dict[object, str] = {"experiment": "id", "results": "dir"}
"""What a single text under a key is most likely meant as."""
_USUAL_SPLITS = {2: ("train", "test"), 3: ("train", "val", "test")}


def for_mapping(name: object, value: object) -> Suggestion | str | None:
    """The hint where a mapping is wanted."""
    match value:
        case None:
            return f"nothing stands under `{name}`; is what belongs to it indented more than it?"
        case [*items] if items and all(isinstance(item, dict) for item in items):
            return f"what has a name stands under it: write `{name}: {{NAME: {{...}}}}`, not a list"
        case [float() | int(), *_] if name == "ratios" and len(value) in _USUAL_SPLITS:
            shares = dict(zip(_USUAL_SPLITS[len(value)], value, strict=True))
            said = ", ".join(f"{split}: {share}" for split, share in shares.items())
            return f"say which split has which share: write `{{{said}}}`"
        case [*words] if name == "tags" and words and all(isinstance(one, str) for one in words):
            tags = ", ".join(f"{word}: null" for word in words)
            return f"a tag has a value or none: write `{{{tags}}}`"
        case str() if name in _MAIN_KEYS and value:
            return f"write `{{{_MAIN_KEYS[name]}: {value}}}`"
        case int() if name == "repeat":
            return f"say how often at most: write `{{max: {value}}}`"
        case str() if missing := re.fullmatch(r"([A-Za-z_]\w*):(\S.*)", value):
            text = f"{missing[1]}: {missing[2]}"
            return _instead(text, "a space follows the colon", applicability="safe")
    return None


def for_nested_list(value: list[Any]) -> str:
    """The hint where a list stands inside of a list of names."""
    return "it is one list of names: remove the inner brackets" if value else "remove the `[]`"


def for_label_of(section: str, value: dict[str, Any]) -> str:
    """The hint where a list of labels has what a label stands for."""
    use = value.get("use")
    label = use if isinstance(use, str) and re.fullmatch(r"[A-Za-z_]\w*", use) else "NAME"
    return f"say it under `{section}` of the spec, as `{label}: {{...}}`, and name it here: `[{label}]`"


def is_null(value: object) -> bool:
    """Whether a value is nothing, in the words of any language."""
    return value is None or (isinstance(value, str) and value.casefold() in _NULL)


def for_null(name: str, default: str | None) -> str:
    """The hint where nothing stands and something is wanted."""
    if written := re.fullmatch(r"(\w+)\s*=\s*(\S+)", name):
        return f"a colon stands behind a key: write `{written[1]}: {written[2]}`"
    if default is None or default in ("null", "{}", "[]"):
        return "write a value, or remove the key"
    return f"write a value, or remove the key, which by default is `{default}`"


_SECTIONS = {
    "checkpoint": "says when a run makes checkpoints",
    "results": "says where runs are written",
    "sweep": "says which values runs are made with",
}


def for_section(name: str) -> str | None:
    """For a component of other tools that is a section of a spec here."""
    section = near(name, _SECTIONS)
    return None if section is None else f"`{section}` at the top of the spec {_SECTIONS[section]}"


_OF_KIND = {
    "model": "others are classes: your own, `./nets.py:Net`, or scikit-learn's, `sklearn.MODULE:CLASS`",
    "loss": "others are `torch.nn:CLASS`, or a function of your own, `./losses.py:function`",
    "metric": "others are functions of your own, `./metrics.py:function`",
    "optimizer": "others are `torch.optim:CLASS`, such as `torch.optim:Adagrad`",
}


def for_other_of_kind(kind: str, name: str) -> str | None:
    """Where components are that have no short name; None where there are no others."""
    if kind == "loss" and re.fullmatch(r"[A-Z]\w+Loss", name):
        return f"a loss of torch is written `torch.nn:{name}`"
    return _OF_KIND.get(kind)


_OF_INPUT = re.compile(r"(in|input)_(channels|dim|features|shape|size)|(n|num)_(features|inputs)")


def for_size_of_input(kind: str | None, argument: str) -> str | None:
    """For an argument by which other tools tell a model what it reads."""
    if kind != "model" or not _OF_INPUT.fullmatch(argument):
        return None
    return "a model fits what its node reads: leave this out"


def for_label(value: object) -> Suggestion | None:
    """A label that is near to a text that is none."""
    if not isinstance(value, str):
        return None
    label = re.sub(r"[^A-Za-z0-9_-]+", "_", value).strip("_")
    if not label:
        return None
    label = label if re.match(r"[A-Za-z_]", label) else f"_{label}"
    return Suggestion(f"such as `{label}`", text=label, replaces=value)


def for_estimator(value: str) -> str:
    """How a class of scikit-learn is written."""
    module, _, name = value.replace(":", ".").rpartition(".")
    if re.fullmatch(r"sklearn(\.[a-z_]+)+", module) and re.fullmatch(r"[A-Z]\w*", name):
        return Suggestion(f"write `{module}:{name}`", text=f"{module}:{name}", replaces=value)
    return "for example `sklearn.linear_model:Ridge`"


def for_unknown_model(name: str) -> str | None:
    """For what looks like a class."""
    if re.fullmatch(r"[A-Z][a-z]+([A-Z][a-z]*)+", name):
        return f"a class of scikit-learn is written with its module: `sklearn.MODULE:{name}`"
    return None


def for_module_of_torch(name: str, kind: str) -> str | None:
    """For a class of torch with its module, as Python writes it."""
    module, _, last = name.rpartition(".")
    if kind == "model" and module.startswith("torch."):
        return "a module of torch is part of a class of your own, such as `./nets.py:Net`"
    if (kind, module) in (("loss", "torch.nn"), ("optimizer", "torch.optim")):
        return Suggestion(f"write `{module}:{last}`", text=f"{module}:{last}", replaces=name)
    return None


def for_share(value: object) -> Suggestion | None:
    """For a percentage where a share is wanted."""
    if isinstance(value, int) and 1 < value <= 100:
        return _instead(f"{value / 100:g}", "shares are numbers up to 1")
    return None


def _instead(text: str, because: str = "", *, applicability: Any = "unsafe") -> Suggestion:
    words = f"{because}: write `{text}`" if because else f"write `{text}`"
    return Suggestion(words, text=text, applicability=applicability)
