"""Write docs/components.md from the declarations of the components.

python tools/generate_components_page.py            write the page
python tools/generate_components_page.py --check    exit with 1 if it would change
"""

from __future__ import annotations

import inspect
from typing import Any

import msgspec
from page import write_or_check

from specplan.components import COMPONENTS, KINDS

HEAD = """# Components

What a spec can name with `use`, and the arguments that stand beside it. `tools/generate_components_page.py`
writes this page from `python/specplan/components`; a Python program has the same names and defaults.

A `model` can also be an estimator of scikit-learn, `sklearn.<module>:<Class>`, with the arguments of its
constructor: regressors, classifiers, and transformers whose output width is known.
"""


def page() -> str:
    """The whole text."""
    classes = [cls for by_name in COMPONENTS.values() for cls in by_name.values()]
    _, declared = msgspec.json.schema_components(classes, ref_template="{name}")
    parts = [HEAD]
    for kind in KINDS:
        parts.append(f"## {kind.capitalize()}{'es' if kind.endswith('s') else 's'}\n")
        for use, cls in COMPONENTS[kind].items():
            parts.append(f"### `{use}`\n\n{inspect.cleandoc(cls.__doc__ or '')}\n")
            parts.extend(_arguments(declared[cls.__name__]))
    return "\n".join(parts)


def _arguments(schema: dict[str, Any]) -> list[str]:
    properties = {name: item for name, item in schema["properties"].items() if name != "use"}
    if not properties:
        return []
    rows = ["| argument | default | what it is |", "| --- | --- | --- |"]
    for name, item in properties.items():
        default = (
            "required" if name in schema.get("required", ()) else f"`{_json(item['default'])}`"
        )
        choices = f" One of {', '.join(item['enum'])}." if "enum" in item else ""
        rows.append(f"| `{name}` | {default} | {item.get('description', '')}{choices} |")
    return ["\n".join(rows) + "\n"]


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


if __name__ == "__main__":
    raise SystemExit(write_or_check("components.md", page()))
