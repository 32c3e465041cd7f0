"""The YAML reader: YAML 1.2's scalars, where things stand, and texts that are broken or hostile."""

import json
import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinynet.config.reader import parse_value, read


def problem(text):
    """The only problem of a text."""
    (found,) = read(text).problems
    return found


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E5", 1e5),
        ("1.5e+2", 150.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("-.5", -0.5),
        ("0", 0),
        ("+5", 5),
        ("-5", -5),
        ("010", 10),
        ("0x1F", 31),
        ("0o17", 15),
        ("true", True),
        ("False", False),
        ("TRUE", True),
        ("~", None),
        ("null", None),
        ("", None),
        (".inf", math.inf),
        ("-.Inf", -math.inf),
        ("[1, 2.0, a]", [1, 2.0, "a"]),
        ("{}", {}),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text, value):
    found = parse_value(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "text", ["no", "off", "yes", "on", "y", "NO", "12:30", "1_000", "0b1", "0o8", "2026-01-01", "e5", "<<", "=", "1e"]
)
def test_what_only_yaml_1_1_converts_stays_text(text):
    assert parse_value(text) == text


@pytest.mark.parametrize("text", ["1", "1e-3", "true", "~", "", "0x1F", ".nan"])
@pytest.mark.parametrize("quote", ["'", '"'])
def test_what_is_quoted_stays_text(text, quote):
    assert parse_value(f"{quote}{text}{quote}") == text


def test_nan():
    assert math.isnan(parse_value(".nan"))


def test_keys_are_texts():
    assert read("1: a\ntrue: b\n").value == {"1": "a", "true": "b"}


def test_marks_are_the_line_and_column_of_keys_and_items():
    text = "a: 1\nlayers:\n  - Linear: 25\n  - ReLU\n  - {Linear: {out_features: 2}}\nb: [x, {c: 3}]\n"
    assert read(text).marks == {
        (): (1, 1),
        ("a",): (1, 1),
        ("layers",): (2, 1),
        ("layers", 0): (3, 5),
        ("layers", 0, "Linear"): (3, 5),
        ("layers", 1): (4, 5),
        ("layers", 2): (5, 5),
        ("layers", 2, "Linear"): (5, 6),
        ("layers", 2, "Linear", "out_features"): (5, 15),
        ("b",): (6, 1),
        ("b", 0): (6, 5),
        ("b", 1): (6, 8),
        ("b", 1, "c"): (6, 9),
    }


def test_columns_count_characters_not_bytes():
    assert read("é: {ü: 1, b: 2}").marks["é", "b"] == (1, 11)


def test_a_key_given_twice_names_both_lines():
    document = read("a: 1\nb:\n  c: 2\n  d: 3\n  c: 4\na: 5\n")
    assert document.problems == [
        (5, 3, "'c' is there twice, first in line 3. Remove one of them."),
        (6, 1, "'a' is there twice, first in line 1. Remove one of them."),
    ]


def test_a_key_may_return_on_another_level():
    assert read("a: {a: 1}\nb: {a: 2}").problems == []


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.mkdir ['{folder}']",
        "a: !!python/object/apply:os.mkdir ['{folder}']",
        "!!python/object/new:os.mkdir ['{folder}']",
        "- !!python/name:os.mkdir ''",
        "!!set {{a}}",
        "a: !own 5",
        "a: !!binary aGk=",
        "a: !!timestamp 2026-01-01",
    ],
)
def test_tags_are_refused_and_never_run(text, tmp_path):
    folder = tmp_path / "made"
    assert "is not used here. Remove it." in problem(text.format(folder=folder))[2]
    assert not folder.exists()


@pytest.mark.parametrize("text", ["!!int abc", "!!float abc", "!!bool maybe", "!!null x"])
def test_a_tag_that_does_not_fit_its_text_is_a_problem(text):
    assert problem(f"a:\n  b: {text}")[:2] == (2, 6)


@pytest.mark.parametrize("text", ["a: &x [*x]", "a: &x {b: *x}", "&x [[[*x]]]"])
def test_an_alias_that_contains_itself_is_refused(text):
    assert "an alias contains itself" in problem(text)[2]


def test_an_alias_gives_the_value_again():
    assert read("a: &x [1, 2]\nb: *x\n").value == {"a": [1, 2], "b": [1, 2]}


@pytest.mark.parametrize("item", ["[{}]", "{{{}}}"])
def test_ten_levels_of_ten_aliases_are_refused_quickly(item):
    keys = [f"k{i}: " if "{{" in item else "" for i in range(10)]
    lines = ["a0: &a0 x"]
    lines += [f"a{i}: &a{i} {item.format(', '.join(f'{key}*a{i - 1}' for key in keys))}" for i in range(1, 11)]
    start = time.perf_counter()
    assert "more than 100,000 values" in problem("\n".join(lines))[2]
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("text", ["[" * 10_000, "[" * 10_000 + "]" * 10_000, "{a: " * 10_000, "- " * 10_000])
def test_deep_nesting_is_refused(text):
    assert "nested too deep" in problem(text)[2]


@pytest.mark.parametrize(
    ("text", "place", "part"),
    [
        ("a: b: c", (1, 5), "missing space after ':' or '-'"),
        ("a:\n\tb: 1", (2, 1), "not with tabs"),
        ("a: [1, 2", (1, 9), "not valid YAML"),
        ("a: 'x", (1, 6), "quoted scalar"),
        ("a: *nope", (1, 4), "undefined alias 'nope'"),
        ("- a\nb: 1", (2, 1), "expected <block end>"),
        ("a: 1\n---\nb: 2\n", (2, 1), "another document"),
        ("%YAML 3.0\n---\na: 1", (1, 1), "incompatible YAML"),
        ("a: @x", (1, 4), "'@'"),
    ],
)
def test_broken_yaml_says_where(text, place, part):
    line, column, message = problem(text)
    assert (line, column) == place
    assert message.startswith("this is not valid YAML: ")
    assert part in message
    assert read(text).value is None


@pytest.mark.parametrize("text", ["\x00\x01\x02", "a: \x07"])
def test_what_is_binary_is_no_text(text):
    assert "not a text file" in problem(text)[2]


def test_a_key_that_is_a_list_is_refused_and_the_rest_is_read():
    document = read("? [a]\n: 1\nb: 2\n")
    assert document.problems == [(1, 3, "a name before a colon has to be a plain text")]
    assert document.value == {"b": 2}


def test_a_number_of_thousands_of_digits_is_refused():
    # Python itself refuses such a conversion with an error of its own.
    assert problem("a: " + "9" * 5000) == (1, 4, "a number of 5000 digits")


@pytest.mark.parametrize("text", ["", "# only a comment\n", "\n\n", "---\n"])
def test_an_empty_text_has_no_value_and_no_problem(text):
    document = read(text)
    assert document.value is None
    assert document.problems == []


def test_parse_value_says_what_is_wrong():
    with pytest.raises(ValueError, match="not valid YAML"):
        parse_value("{a: ")
    with pytest.raises(ValueError, match="there twice"):
        parse_value("{a: 1, a: 2}")


TEXTS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=15,
)


@given(JSON)
def test_json_is_read_as_what_it_says(value):
    assert read(json.dumps(value, ensure_ascii=False)).value == value


@given(st.text(max_size=60))
def test_any_text_gives_a_value_or_problems_and_no_exception(text):
    document = read(text)
    assert all(line >= 1 and column >= 1 and message for line, column, message in document.problems)
