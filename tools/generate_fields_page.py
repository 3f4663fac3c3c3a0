"""Write docs/fields.md from schemas/plan.schema.json and schemas/record.schema.json.

python tools/generate_fields_page.py            write the page
python tools/generate_fields_page.py --check    exit with 1 if it would change
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from page import write_or_check

ROOT = Path(__file__).resolve().parent.parent

HEAD = """# Every field of a plan and of a run

`tools/generate_fields_page.py` writes this page from `schemas/plan.schema.json` and `schemas/record.schema.json`, which
`mlx schema plan` and `mlx schema record` print. [plan.md](plan.md) and [format.md](format.md) say how the parts work together.
"""
PARTS = {
    "plan": "## The plan\n\nA field that has its default is left out of the file, `plan` aside.\n",
    "record": "## The files of a run\n",
}

Schema = dict[str, Any]


def page() -> str:
    """The whole text."""
    parts = [HEAD]
    for name, head in PARTS.items():
        schema: Schema = json.loads((ROOT / f"schemas/{name}.schema.json").read_text())
        parts.append(head)
        for title, definition in schema["$defs"].items():
            if "properties" in definition:
                parts += _definition(title, definition)
    return "\n".join(parts)


def _definition(title: str, definition: Schema) -> list[str]:
    first = definition["description"].partition("\n")[0]
    rows = ["| field | type | default | meaning |", "| --- | --- | --- | --- |"]
    required = definition.get("required", ())
    for name, value in definition["properties"].items():
        default = json.dumps(value["default"], ensure_ascii=False) if "default" in value else "null"
        shown = "required" if name in required else f"`{default}`"
        rows.append(f"| `{name}` | {_type(value)} | {shown} | {value['description']} |")
    return [f"### {title}\n\n{first}\n", "\n".join(rows) + "\n"]


def _type(value: Schema) -> str:
    if "$ref" in value:
        return str(value["$ref"]).rpartition("/")[2]
    if "const" in value:
        return f"`{json.dumps(value['const'])}`"
    if "enum" in value:
        return ", ".join(f"`{choice}`" for choice in value["enum"])
    if "anyOf" in value:
        return " or ".join(_type(choice) for choice in value["anyOf"])
    if isinstance(value.get("items"), dict):
        return f"array of {_type(value['items'])}"
    if isinstance(value.get("additionalProperties"), dict):
        return f"object of {_type(value['additionalProperties'])}"
    kind = value.get("type", "any")
    return kind if isinstance(kind, str) else " or ".join(kind)


if __name__ == "__main__":
    raise SystemExit(write_or_check("fields.md", page()))
