"""Write docs/fields.md from schemas/plan.schema.json and schemas/record.schema.json.

python tools/generate_fields_page.py            write the page
python tools/generate_fields_page.py --check    exit with 1 if it would change
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/fields.md"

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


def main() -> int:
    """Write, or with `--check` compare."""
    parser = argparse.ArgumentParser(description="Write docs/fields.md.")
    parser.add_argument("--check", action="store_true", help="change nothing, report drift")
    check: bool = parser.parse_args().check
    text = page()
    if PAGE.is_file() and PAGE.read_text() == text:
        return 0
    state = "is out of date; run tools/generate_fields_page.py" if check else "written"
    sys.stderr.write(f"docs/fields.md {state}\n")
    if not check:
        PAGE.write_text(text)
    return 1 if check else 0


if __name__ == "__main__":
    sys.exit(main())
