"""`parse_text`: values, places and problems of JSON and YAML texts."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from specplan._native import Problem, Span, Text, parse_text

if TYPE_CHECKING:
    from collections.abc import Iterator

Format = Literal["json", "yaml"]
Path = tuple[str | int, ...]

FORMATS: tuple[Format, ...] = ("json", "yaml")
LARGEST = 2**63 - 1


def slice_text(text: str, span: Span) -> str:
    lines = re.split(r"(?<=\n)|(?<=\r)(?!\n)", text)

    def offset(line: int, column: int) -> int:
        return sum(map(len, lines[: line - 1])) + column - 1

    return text[offset(span.line, span.column) : offset(span.end_line, span.end_column)]


def paths_of(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    yield path, value
    if isinstance(value, dict):
        for key, member in value.items():
            yield from paths_of(member, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from paths_of(item, (*path, index))


def value_text(text: str, parsed: Text, path: Path) -> str:
    span = parsed.value_span(path)
    assert span is not None
    return slice_text(text, span)


def key_text(text: str, parsed: Text, path: Path) -> str:
    span = parsed.key_span(path)
    assert span is not None
    return slice_text(text, span)


def parse(text: str, text_format: Format) -> Any:
    parsed = parse_text(text, text_format)
    assert parsed.problems == []
    return parsed.value


def only_problem(text: str, text_format: Format) -> Problem:
    (problem,) = parse_text(text, text_format).problems
    return problem


# ---- JSON ----------------------------------------------------------------------------------------

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-LARGEST - 1, max_value=LARGEST)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4)
    ),
    max_leaves=20,
)


@given(value=json_values, indent=st.sampled_from([None, 0, 2, "\t"]), ascii_only=st.booleans())
@example(value={"😀": ["\U0001f600/é", -0.0, 1e-3]}, indent="\t", ascii_only=True)
def test_json_round_trip(value: Any, indent: int | str | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    parsed = parse_text(text, "json")
    assert parsed.problems == []
    assert repr(parsed.value) == repr(value)
    for path, part in paths_of(value):
        assert json.loads(value_text(text, parsed, path)) == part
        if path and isinstance(path[-1], str):
            assert json.loads(key_text(text, parsed, path)) == path[-1]


@given(value=json_values)
def test_json_without_surrogate_pairs_is_yaml(value: Any) -> None:
    text = json.dumps({"value": value}, ensure_ascii=False, indent=2)
    parsed = parse_text(text, "yaml")
    assert parsed.problems == []
    assert repr(parsed.value) == repr({"value": value})
    for path, part in paths_of(parsed.value):
        assert json.loads(value_text(text, parsed, path)) == part


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'"\/"', "/"),
        (r'"\ud83d\ude00"', "\U0001f600"),
        (r'"\u00e9\b\f\n\r\t\"\\"', 'é\b\f\n\r\t"\\'),
        ('\t{\t"a"\t:\t1\t}\r\n', {"a": 1}),
        ("\ufeff[]", []),
        ("-0", 0),
        ("1E+2", 100.0),
        (f"[{-LARGEST - 1}, {LARGEST}]", [-LARGEST - 1, LARGEST]),
    ],
)
def test_json_value(text: str, value: Any) -> None:
    assert parse(text, "json") == value


@pytest.mark.parametrize(
    ("text", "code", "message", "under"),
    [
        ("", "SP001", "the file is empty", ""),
        (" \n", "SP001", "the file is empty", ""),
        ('{"a": 1\n "b": 2}', "SP001", "a comma is missing here", ""),
        ("[1 2]", "SP001", "a comma is missing here", ""),
        ("[1; 2]", "SP001", "expected ',' here", ";"),
        ("[1, 2", "SP001", "expected ',' or ']' before the file ends", ""),
        ('{"a": [1}', "SP001", "expected ',' or ']' here", "}"),
        ('{"a": [1}, "b": [2]}', "SP001", "expected ']' here", "}"),
        ('{"a": [1, "b": 2}', "SP001", "expected ']' before this key", '"b"'),
        ("[1]]", "SP001", "no bracket is open that this one could close", "]"),
        ('{"a"', "SP001", "expected ':' after the key \"a\"", ""),
        ('{"a" 1}', "SP001", "expected ':' after the key \"a\"", "1"),
        ('{"a" = 1}', "SP001", "expected ':' here, not '='", "="),
        ('{"a"}', "SP001", "expected ':' and a value after the key \"a\"", '"a"'),
        ('{"a": 0,001}', "SP001", "a number has a point, not a comma", "0,001"),
        ('{"a": @}', "SP001", "expected a value here", "@"),
        ("[@]", "SP001", "expected a value here", "@"),
        ("{@}", "SP001", "expected a key here", "@"),
        ("[1 @]", "SP001", "expected ',' or ']' here", "@"),
        ('{"a":}', "SP001", "expected a value here", "}"),
        ("{,}", "SP001", "nothing stands before this comma", ","),
        ('{"a": 1,}', "SP001", "JSON has no comma before '}'", ","),
        ("[1,]", "SP001", "JSON has no comma before ']'", ","),
        ("{a: 1}", "SP001", "keys are written in double quotes", "a"),
        ("{'a': 1}", "SP001", "JSON strings are written in double quotes", "'a'"),
        ("['é', 'b']", "SP001", "JSON strings are written in double quotes", "'é'"),
        ("[1, // x\n2]", "SP001", "JSON has no comments", "// x"),
        ("[/* x */ 2]", "SP001", "JSON has no comments", "/* x */"),
        ("1 # x", "SP001", "JSON has no comments", "# x"),
        ("[tru]", "SP001", "`tru` is not JSON; strings are written in double quotes", "tru"),
        ("[True]", "SP001", "`True` is not JSON", "True"),
        ("[None]", "SP001", "`None` is not JSON", "None"),
        ("[01]", "SP001", "`01` is not a number of JSON", "01"),
        ("[+1]", "SP001", "`+1` is not a number of JSON", "+1"),
        ("[.5]", "SP001", "`.5` is not a number of JSON", ".5"),
        ("[1.]", "SP001", "`1.` is not a number of JSON", "1."),
        ("[1e]", "SP001", "`1e` is not a number of JSON", "1e"),
        ("[0x10]", "SP001", "`0x10` is not a number of JSON", "0x10"),
        ("1 2", "SP001", "the value is complete; nothing may follow it", "2"),
        ('"a', "SP001", "this string is not closed on its line; a line break is written \\n", '"a'),
        (
            '"a\n',
            "SP001",
            "this string is not closed on its line; a line break is written \\n",
            '"a',
        ),
        ('"a\tb"', "SP001", "a string holds this character only as \\u0009", "\t"),
        (r'"\x"', "SP001", "JSON does not know this escape; a backslash is written \\\\", r"\x"),
        (r'"\u12g4"', "SP001", "\\u is followed by four hexadecimal digits", r"\u12"),
        (
            r'"\ud83d"',
            "SP001",
            "this escape is half of a surrogate pair; the other half is missing",
            r"\ud83d",
        ),
        (
            r'"\ude00"',
            "SP001",
            "this escape is half of a surrogate pair; the other half is missing",
            r"\ude00",
        ),
        ('{"a": 1, "a": 2}', "SP002", 'key "a" appears twice; the first is at 1:2', '"a"'),
        ("[" * 65 + "]" * 65, "SP003", "nesting deeper than 64 levels", "["),
        ('{"a": NaN}', "SP004", "`NaN` is not JSON; use a string or omit the key", "NaN"),
        (
            "[-Infinity]",
            "SP004",
            "`-Infinity` is not JSON; use a string or omit the key",
            "-Infinity",
        ),
        (
            f"[{LARGEST + 1}]",
            "SP006",
            "integer 9223372036854775808 cannot be represented exactly; integers reach from -2^63 to 2^63-1",
            "9223372036854775808",
        ),
        ("[1e999]", "SP006", "number 1e999 is beyond the range of float64", "1e999"),
    ],
)
def test_json_problem(text: str, code: str, message: str, under: str) -> None:
    problem = only_problem(text, "json")
    assert (problem.code, problem.message, slice_text(text, problem.span)) == (code, message, under)


@pytest.mark.parametrize("text_format", FORMATS)
def test_deepest_nesting(text_format: Format) -> None:
    value = parse("[" * 64 + "]" * 64, text_format)
    for _ in range(63):
        (value,) = value
    assert value == []


def test_json_bracket_is_the_second_place() -> None:
    related = only_problem('{\n  "a": [1\n}', "json").related
    assert related is not None
    label, span = related
    assert (label, span.line, span.column) == ("array opened here", 2, 8)


# ---- YAML ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("NULL", None),
        ("nULL", "nULL"),
        ("true", True),
        ("TRUE", True),
        ("False", False),
        ("tRue", "tRue"),
        ("on", "on"),
        ("yes", "yes"),
        ("no", "no"),
        ("010", 10),
        ("+12", 12),
        ("-0", 0),
        ("0o17", 15),
        ("0xfF", 255),
        ("-0x1", "-0x1"),
        ("0x", "0x"),
        ("0o8", "0o8"),
        ("1_000", "1_000"),
        ("1e-3", 1e-3),
        ("1.", 1.0),
        (".5", 0.5),
        ("-.5E+2", -50.0),
        (".", "."),
        ("1e", "1e"),
        (".e5", ".e5"),
        (".inf", math.inf),
        ("+.Inf", math.inf),
        ("-.INF", -math.inf),
        ("inf", "inf"),
        ("2024-01-01", "2024-01-01"),
        ("12:30", "12:30"),
        ('"1"', "1"),
        ("'it''s'", "it's"),
        ('"\\u00e9\\x41\\/"', "éA/"),
        ("!!str 1", "1"),
        ("!!str 99999999999999999999", "99999999999999999999"),
        ('!!int "3"', 3),
        ("!!float 3", 3.0),
        ("! 12", "12"),
        ("!!null ''", None),
        ("!!seq [a]", ["a"]),
        ("!!map {a: b}", {"a": "b"}),
        ("|\n  one\n  two\n", "one\ntwo\n"),
        (">-\n  one\n  two\n", "one two"),
    ],
)
def test_yaml_value(scalar: str, value: Any) -> None:
    assert repr(parse(f"a: {scalar}", "yaml")) == repr({"a": value})


def test_yaml_not_a_number() -> None:
    assert all(math.isnan(item) for item in parse("[.nan, .NaN, .NAN]", "yaml"))


YAML_TEXT = """\
# comment
plain: value  # comment
"quoted é" : "ü \\" x"  # comment
'single': 'it''s'
multi: one
  two
flow: [1, {x: 2, y: }, "b"]
block:
  - é: 1
    z: [ ]
  - - deep
empty:
anchored: &name
  inner: 1
tagged: !!str 12
literal: &text |
  first
    second

again: *name
"""


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        (("plain",), "value", "plain"),
        (("quoted é",), '"ü \\" x"', '"quoted é"'),
        (("single",), "'it''s'", "'single'"),
        (("multi",), "one\n  two", "multi"),
        (("flow",), '[1, {x: 2, y: }, "b"]', "flow"),
        (("flow", 0), "1", None),
        (("flow", 1), "{x: 2, y: }", None),
        (("flow", 1, "x"), "2", "x"),
        (("flow", 1, "y"), "", "y"),
        (("flow", 2), '"b"', None),
        (("block",), "- é: 1\n    z: [ ]\n  - - deep", "block"),
        (("block", 0), "é: 1\n    z: [ ]", None),
        (("block", 0, "é"), "1", "é"),
        (("block", 1), "- deep", None),
        (("empty",), "", "empty"),
        (("anchored",), "inner: 1", "anchored"),
        (("tagged",), "12", "tagged"),
        (("literal",), "first\n    second", "literal"),
        (("again",), "*name", "again"),
        (("again", "inner"), "1", "inner"),
    ],
)
def test_yaml_places(path: Path, value: str, key: str | None, line_end: str) -> None:
    text = YAML_TEXT.replace("\n", line_end)
    parsed = parse_text(text, "yaml")
    assert parsed.problems == []
    assert value_text(text, parsed, path) == value.replace("\n", line_end)
    if key is None:
        assert parsed.key_span(path) is None
    else:
        assert key_text(text, parsed, path) == key


def test_columns_count_characters_from_one() -> None:
    span = parse_text('é: 1\r\n😀é: "ü"\r\n', "yaml").value_span(["😀é"])
    assert span is not None
    assert (span.line, span.column, span.end_line, span.end_column) == (2, 5, 2, 8)


def test_last_value_of_an_unfinished_block_is_in_it() -> None:
    text = "a:\n  b: 1\n  b: 22\n"
    assert value_text(text, parse_text(text, "yaml"), ("a",)) == "b: 1\n  b: 22"


@pytest.mark.parametrize(
    ("text", "code", "message", "under"),
    [
        ("", "SP001", "the file is empty", ""),
        ("# comment\n", "SP001", "the file is empty", ""),
        ("---\n", "SP001", "the file is empty", ""),
        ("a: {b: 1\nc: 2", "SP001", "the mapping is not closed: expected '}' here", ""),
        ("a: [1, [2]", "SP001", "the list is not closed: expected ']' here", ""),
        ("a: b: c", "SP001", "a value that contains ': ' is written in quotes", "b: c"),
        ("a:\n  b: 1\n c: 2", "SP001", "this line is indented by 1, which fits no line above", " "),
        (
            "a:\n - b\n  - c\nd: 1\n e: 2",
            "SP001",
            "this line is indented by 1, which fits no line above",
            " ",
        ),
        ("a: 1\nb:2\nc: 3", "SP001", "a space is missing after this colon", ":"),
        ("a 1\nb: 2", "SP001", "a colon is missing after `a`", "a"),
        ("a = 1\nb: 2", "SP001", "a colon is missing after `a`", "a"),
        ('a: "b', "SP001", "this string is not closed", '"b'),
        ("a:\tb", "SP001", "':' is followed by a space, not a tab", "\t"),
        ("a: @b", "SP001", "`@` cannot begin a value", "@b"),
        ("a: *.csv", "SP001", "`*` cannot begin a value", "*.csv"),
        ("a: {b: ${c}}", "SP001", "`${...}` is not evaluated", "${c}"),
        ("a: *b", "SP001", "no anchor of this name stands above", "*"),
        ("a: &b [*b]", "SP001", "this alias stands inside the value that it names", "*b"),
        ("a: 1\n---\nb: 2", "SP001", "a second document starts here; a file holds one", "---"),
        ("1: a", "SP001", 'keys are strings; write "1"', "1"),
        ("true: a", "SP001", 'keys are strings; write "true"', "true"),
        ("? [a]\n: b", "SP001", "keys are strings; this one is a collection", "[a]"),
        (": b", "SP001", "a key is missing here", ""),
        (
            "a: &x {b: 1}\n<<: *x",
            "SP001",
            "merge keys (`<<`) are not supported; write the keys out, or use `imports`",
            "<<",
        ),
        (
            "- a\nb: 1",
            "SP001",
            "expected '-' here; is the indentation that of the lines above?",
            "b",
        ),
        ("a: - b", "SP001", "a list cannot start here; put it on a line of its own", "-"),
        ("a:\n\tb: 1", "SP001", "indentation is made of spaces, not tabs", "\t"),
        ("a: [1, 2\nb: 3", "SP001", "the list is not closed: expected ']' here", ""),
        ("? a\nb", "SP001", "expected ':' after this key", ""),
        ("a: [1,, 2]", "SP001", "nothing stands before this comma", ","),
        ("a: ]", "SP001", "no bracket is open that this one could close", "]"),
        ("a: 'b' c", "SP001", "nothing may follow the closing quote", "c"),
        (
            'a: "\\q"',
            "SP001",
            "YAML does not know this escape; in single quotes a backslash is itself",
            "\\q",
        ),
        (
            "a: b # c\n  d",
            "SP001",
            "a value does not go on after a comment; put it in quotes or on one line",
            "#",
        ),
        ("a: !b!c d", "SP001", "no %TAG line declares this tag", "!"),
        ("{a: 1} b", "SP001", "the value is complete; nothing may follow it", "b"),
        ("a: !mine 1", "SP001", "tag !mine is not supported here", "!mine "),
        ("a: !!set {b}", "SP001", "tag !!set is not supported here", "!!set "),
        ("a: !!int b", "SP001", "`b` is not a value of !!int", "b"),
        (
            r'a: "\ud83d\ude00"',
            "SP001",
            "this string has an escape that is no character; YAML knows no surrogate pairs",
            '"',
        ),
        ("a: 1\nb: 2\n'a': 3", "SP002", 'key "a" appears twice; the first is at 1:1', "'a'"),
        ("- " * 65 + "x", "SP003", "nesting deeper than 64 levels", "-"),
        ("[" * 65, "SP003", "nesting deeper than 64 levels", "["),
        ("[" * 300, "SP003", "nesting deeper than 64 levels", "["),
        (
            "a: 9223372036854775808",
            "SP006",
            "integer 9223372036854775808 cannot be represented exactly; integers reach from -2^63 to 2^63-1",
            "9223372036854775808",
        ),
        ('a: !!float "1e999"', "SP006", "number 1e999 is beyond the range of float64", '"1e999"'),
        ("a: 1e999", "SP006", "number 1e999 is beyond the range of float64", "1e999"),
    ],
)
def test_yaml_problem(text: str, code: str, message: str, under: str) -> None:
    problem = only_problem(text, "yaml")
    assert (problem.code, problem.message, slice_text(text, problem.span)) == (code, message, under)


def test_a_wrong_key_keeps_its_value() -> None:
    assert parse_text("1: a\ntrue: b\n", "yaml").value == {"1": "a", "true": "b"}


def test_quoted_merge_key_is_a_key() -> None:
    assert parse("'<<': 1", "yaml") == {"<<": 1}


# ---- both ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text_format", FORMATS)
def test_every_duplicate_is_reported_and_the_first_value_kept(text_format: Format) -> None:
    text = '{"a": 1, "b": {"c": 1, "c": 2}, "a": 2, "a": 3}'
    parsed = parse_text(text, text_format)
    assert parsed.value == {"a": 1, "b": {"c": 1}}
    assert [(problem.code, problem.span.column) for problem in parsed.problems] == [
        ("SP002", 24),
        ("SP002", 33),
        ("SP002", 41),
    ]
    assert parsed.problems[2].related == ("first defined here", parsed.key_span(["a"]))


@pytest.mark.parametrize("text_format", FORMATS)
def test_problems_stand_in_the_order_of_the_text(text_format: Format) -> None:
    problems = parse_text('{"a": 1, "a": {"b": 1, "b": 2}}', text_format).problems
    assert [problem.span.column for problem in problems] == [10, 24]


@pytest.mark.parametrize("text_format", FORMATS)
def test_file_above_the_limit(text_format: Format) -> None:
    problem = only_problem(" " * (16 * 1024 * 1024 + 1), text_format)
    assert (problem.code, problem.message) == ("SP003", "file above 16 MiB")


@pytest.mark.parametrize("text_format", FORMATS)
def test_more_problems_than_anyone_reads(text_format: Format) -> None:
    problems = parse_text("{" + '"a": 1, ' * 1000 + '"b": 1}', text_format).problems
    assert len(problems) == 101
    assert problems[-1].code == "SP003"


@pytest.mark.parametrize("text_format", FORMATS)
def test_lone_surrogate(text_format: Format) -> None:
    problem = only_problem('{"a": 1,\n "é\ud800"}', text_format)
    assert (problem.code, problem.message) == (
        "SP005",
        "a lone surrogate stands here, so the text is not UTF-8",
    )
    assert (problem.span.line, problem.span.column) == (2, 4)


def test_aliases_are_counted() -> None:
    assert len(parse("a: &a 1\nb: [" + "*a, " * 100 + "]", "yaml")["b"]) == 100
    problem = only_problem("a: &a 1\nb: [" + "*a, " * 101 + "]", "yaml")
    assert (problem.code, problem.message) == ("SP003", "more than 100 aliases")


def test_alias_bomb() -> None:
    levels = [
        f"a{level}: &a{level} [" + ", ".join([f"*a{level - 1}"] * 9) + "]" for level in range(1, 10)
    ]
    problem = only_problem("a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "\n".join(levels), "yaml")
    assert (problem.code, problem.message) == (
        "SP003",
        "anchors and aliases stand for more than 100000 values",
    )


def test_aliases_do_not_deepen_the_nesting() -> None:
    deep = "[" * 40 + "]" * 40
    problem = only_problem(f"a: &a {deep}\nb: " + "[" * 40 + "*a" + "]" * 40, "yaml")
    assert (problem.code, problem.message) == ("SP003", "nesting deeper than 64 levels")


def test_aliased_values_are_not_shared() -> None:
    value = parse("a: &a {x: 1}\nb: *a", "yaml")
    value["b"]["x"] = 2
    assert value["a"] == {"x": 1}


@pytest.mark.parametrize(
    "path", [("b",), ("a", 2), ("a", -1), ("a", "0"), ("a", 0, 0), (0,), ("a", 2**62)]
)
def test_unknown_paths_have_no_place(path: Path) -> None:
    parsed = parse_text('{"a": [1, 2]}', "json")
    assert parsed.value_span(path) is None
    assert parsed.key_span(path) is None


def test_the_whole_text_has_no_key() -> None:
    assert parse_text("{}", "json").key_span(()) is None


def test_an_unreadable_text_has_no_places() -> None:
    parsed = parse_text("@", "json")
    assert parsed.value is None
    assert parsed.value_span(()) is None


@pytest.mark.parametrize(
    ("text", "text_format", "value", "cut"),
    [
        ('{"a": 1, "b": {"c": 2', "json", {"a": 1, "b": {"c": 2}}, (1, 22)),
        ('{"a": 1, "b": @, "c": 2}', "json", {"a": 1, "b": None}, (1, 15)),
        ('{"a": 1}, "b": 2}', "json", {"a": 1}, (1, 8)),
        ("a: 1\nb: {c: [2}\nd: 3\n", "yaml", {"a": 1, "b": {"c": [2]}, "d": 3}, None),
        ("a: 1\nb: {c: [2}}\nd: 3\n", "yaml", {"a": 1, "b": {"c": [2]}, "d": 3}, None),
        ("a: 1\nb: !x!y z\nc: 3\n", "yaml", {"a": 1}, (1, 1)),
    ],
)
def test_what_stands_before_a_fault_is_read(
    text: str, text_format: Format, value: Any, cut: tuple[int, int] | None
) -> None:
    parsed = parse_text(text, text_format)
    place = None if parsed.cut is None else (parsed.cut.line, parsed.cut.column)
    assert (len(parsed.problems), parsed.value, place) == (1, value, cut)


MEANT = {"a": [1, {"b": "c d"}], "e": 0.5, "f": True, "g": None}


@pytest.mark.parametrize(
    "text",
    [
        '{"a": [1, {"b": "c d"}] "e": 0.5, "f": true, "g": null}',
        '{"a": [1, {"b": "c d"},], "e": 0.5, "f": true, "g": null,}',
        '{"a": [1 {"b": "c d"}], "e": .5, "f": True, "g": None}',
        "{'a': [1, {b: 'c d'}], // e\n e: 0.5, f: true, g: null} # end",
        '{"a" [1, {"b" = "c d"}], "e": 0,5, "f": TRUE; "g": null}',
        '{"a": [1, {"b": "c d"], "e": 0.5, "f": true, "g": null}',
        '{"a": [1, {"b": "c d"}, "e": 0.5, "f": true, "g": null}',
        '{"a": [1, {"b": "c d\n}], "e": 0.5, "f": true, "g": null}',
        '{"a": [1,, {"b": c d}], "e": 0.5, "f": true, "g": null}}',
    ],
)
def test_json_is_read_as_it_was_meant(text: str) -> None:
    parsed = parse_text(text, "json")
    assert parsed.problems != []
    assert (parsed.value, parsed.cut) == (MEANT, None)
    assert parse_text(mended(text, parsed), "json").value == MEANT


@pytest.mark.parametrize(
    "text",
    [
        "a:\n  - 1\n  - b:c d\n    x: 1\ne: 0.5\nf: true\ng:\n".replace("    x: 1\n", ""),
        "a: [1, {b: c d}\ne: 0.5\nf: true\ng:\n",
        "a:\n\t- 1\n\t- b: c d\ne: 0.5\nf: true\ng:\n",
        "a:\n  - 1\n   - b: c d\ne: 0.5\nf: true\ng:\n",
        "a:\n  - 1\n  - b: c d\n e: 0.5\nf: true\ng:\n",
        'a:\n  - 1\n  - b: "c d\ne: 0.5\nf: true\ng:\n',
        "a: [1, {b: c d}]]\ne 0.5\nf = true\ng:\n",
    ],
)
def test_yaml_is_read_as_it_was_meant(text: str) -> None:
    parsed = parse_text(text, "yaml")
    if parsed.problems:
        assert (parsed.value, parsed.cut) == (MEANT, None)
        assert parse_text(mended(text, parsed), "yaml").value == MEANT


def mended(text: str, parsed: Text) -> str:
    """The text with the edits of all its problems."""
    lines = [0, *(match.end() for match in re.finditer("\n", text))]
    edits = {
        (
            lines[span.line - 1] + span.column - 1,
            lines[span.end_line - 1] + span.end_column - 1,
            new,
        )
        for problem in parsed.problems
        for span, new in problem.edits
    }
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def test_unknown_format() -> None:
    with pytest.raises(ValueError, match="format is \"toml\", must be 'json' or 'yaml'"):
        parse_text("", "toml")  # type: ignore[arg-type]


fragments = st.sampled_from(
    [
        *"{}[]:,-?&*!|>%@`\"'#\\\n\r\t ~<",
        "a",
        "é",
        "1",
        "null",
        ": ",
        "- ",
        "? ",
        "&a ",
        "*a",
        "!!int ",
        "---\n",
        "...\n",
        "\\u",
        "\ufeff",
        "\x00",
        "\x85",
        "\u2028",
        "  ",
        "%TAG ! a\n",
        "!<x> ",
    ]
)


@given(text=st.lists(fragments, max_size=40).map("".join) | st.text())
@pytest.mark.parametrize("text_format", FORMATS)
def test_no_text_raises(text: str, text_format: Format) -> None:
    check_consistent(text, text_format)


@given(data=st.binary(max_size=200))
@pytest.mark.parametrize("text_format", FORMATS)
def test_no_bytes_raise(data: bytes, text_format: Format) -> None:
    check_consistent(data.decode("utf-8", "surrogateescape"), text_format)
    check_consistent(data.decode("latin-1"), text_format)


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_no_truncation_raises(line_end: str) -> None:
    text = YAML_TEXT.replace("\n", line_end)
    for end in range(len(text)):
        check_consistent(text[:end], "yaml")
        check_consistent(text[end:], "yaml")
    text = json.dumps(parse(text, "yaml"), indent=1)
    for end in range(len(text)):
        assert parse_text(text[:end], "json").problems
        check_consistent(text[:end] + text[end + 1 :], "json")


def check_consistent(text: str, text_format: Format) -> None:
    parsed = parse_text(text, text_format)
    lines = re.split(r"\r\n|\n|\r", text)
    spans = [problem.span for problem in parsed.problems]
    assert parsed.value is not None or parsed.problems or parsed.value_span(())
    for path, _ in paths_of(parsed.value):
        spans.extend(span for span in (parsed.value_span(path), parsed.key_span(path)) if span)
    for span in spans:
        assert (span.line, span.column) <= (span.end_line, span.end_column)
        assert 1 <= span.line <= len(lines)
        assert 1 <= span.end_column <= len(lines[span.end_line - 1]) + 2
    assert all(
        problem.message != "the YAML parser failed on this text" for problem in parsed.problems
    )
