"""Annotations of options: what fits them, what they make of it, and the limits that they know."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NotRequired, Required, TypedDict

import annotated_types as limits
import numpy as np
import pytest

import tinynet
from tinynet.common import annotations
from tinynet.common.annotations import AnyInt, PositiveInt, converted, fits, in_words


class Named(TypedDict):
    size: PositiveInt
    scale: NotRequired[float]


class Loose(TypedDict, total=False):
    size: Required[int]
    scale: float


@pytest.mark.parametrize(
    ("annotation", "words", "good", "bad"),
    [
        (dict[str, float], "{a text: a number, ...}", [{}, {"a": 1}], [{"a": "1"}, {1: 1.0}, [], None]),
        (list[PositiveInt], "[a whole number > 0, ...]", [[], [1, 2]], [[0], (1, 2), "12", None]),
        (Literal[1, "a"], "1 or 'a'", [1, "a"], [True, 1.0, "1", [1]]),
        (Literal[True], "True", [True], [1, "true"]),
        (Named, "{size: …}", [{"size": 1}, {"size": 1, "scale": 2}], [{}, {"size": 0}, {"size": 1, "a": 2}, [1]]),
        (Loose, "{size: …}", [{"size": 1}, {"size": 1, "scale": 2}], [{}, {"scale": 2}, {"size": 1, "a": 2}]),
        (Annotated[AnyInt, limits.Ge(0)], "a whole number >= 0", [0, 2**63, 10**400], [-1, True, 0.0]),
        (Annotated[int, limits.Interval(gt=0, le=3)], "a whole number > 0 and <= 3", [1, 3], [0, 4]),
        (Annotated[int, limits.MultipleOf(4)], "a whole number divisible by 4", [0, 8], [6, 10**15 + 1]),
        (Annotated[float, limits.MultipleOf(0.1)], "a number divisible by 0.1", [0, 0.3, -0.7, 5], [0.25, 1e-12]),
        (Annotated[float, limits.Predicate(float.is_integer)], "a number as is_integer says", [2.0, 3], [2.5, "2"]),
        (Annotated[int, limits.Gt(0), limits.Predicate(lambda n: n % 2)], "a whole number > 0 and as Annotated says",
         [1, 3], [2, -1]),
        (Annotated[float, limits.Not(float.is_integer)], "a number as Annotated says", [2.5], [2.0, 3]),
        (Annotated[float, limits.Predicate(limits.Not(float.is_integer))], "a number as Annotated says", [0.5], [2]),
        (limits.IsFinite[float | None], "a number or null as isfinite says", [2.5, 3], [None, "a"]),
        (limits.LowerCase[str], "a text as islower says", ["a"], ["A", 1]),
        (Sequence[float], "[a number, ...]", [[], [1, 2.5], (1,)], ["abc", "", ["x", "y"], {}, 1, None]),
        (Mapping[str, int], "{a text: a whole number, ...}", [{}, {"a": 1}], [{"a": "b"}, {1: 1}, [], "a"]),
        (list, "[Any, ...]", [[], [1, "a"]], [(1,), "abc", {}]),
        (tuple, "[Any, ...]", [(), [1, "a"]], ["abc", {}]),
        (Sequence, "[Any, ...]", [[], (1, "a")], ["abc", {}]),
        (dict, "{Any: Any, ...}", [{}, {"a": 1, 2: []}], [[], "a"]),
        (Annotated[list[int], limits.MinLen(1)], "[a whole number, ...] of length >= 1", [[1]], [[]]),
        (Annotated[str, limits.Len(1, 3)], "a text of length >= 1 and of length <= 3", ["a", "abc"], ["", "abcd"]),
    ],
)  # fmt: skip
def test_what_fits_and_how_it_reads(annotation, words, good, bad):
    assert in_words(annotation) == words
    assert [value for value in good if not fits(value, annotation)] == []
    assert [value for value in bad if fits(value, annotation)] == []


@pytest.mark.parametrize("annotation", [int, PositiveInt, int | None, tuple[int, int]])
def test_a_whole_number_has_64_bits(annotation):
    def given(number):
        return [1, number] if annotation == tuple[int, int] else number

    assert fits(given(2**63 - 1), annotation)
    assert not fits(given(2**63), annotation)


@pytest.mark.parametrize(
    "name",
    ["PositiveInt", "NonNegativeInt", "PositiveFloat", "NonNegativeFloat", "Probability", "Share", "FilePath"],
)
def test_the_limits_have_public_names(name):
    assert getattr(tinynet, name) is getattr(annotations, name)
    assert name in dir(tinynet)


def test_numbers_of_numpy_are_numbers():
    assert fits(np.int64(3), PositiveInt)
    assert fits(np.float32(0.5), float)
    assert not fits(np.float32("nan"), float)


def test_a_text_of_numpy_is_a_text():
    assert fits(np.str_("same"), Literal["same"])
    assert not fits(np.str_("same"), Literal["other"])


def test_a_limit_that_nobody_checks_is_refused():
    class Prime(limits.BaseMetadata):
        pass

    with pytest.raises(TypeError, match="Prime is no limit that tinynet checks"):
        fits(3, Annotated[int, Prime()])


@pytest.mark.parametrize("mark", ["what it is for", limits.Unit("m"), limits.Timezone(None), limits.doc("Its use.")])
def test_what_only_documents_is_let_through(mark):
    assert fits(3, Annotated[int, mark])
    assert in_words(Annotated[int, mark]) == "a whole number"


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        (1, float, 1.0),
        (1, Annotated[float, limits.Gt(0)], 1.0),
        (2, float | None, 2.0),
        (None, float | None, None),
        (1, int | float, 1),
        (1, float | int, 1),
        (1.0, int | float, 1.0),
        ("same", float | Literal["same"], "same"),
        (True, bool | int, True),
        ([1, 2], tuple[int, int], (1, 2)),
        ([1, 0.5], tuple[float, float], (1.0, 0.5)),
        ([1, 2, 3], tuple[float, ...], (1.0, 2.0, 3.0)),
        ([1, 2], int | tuple[int, int], (1, 2)),
        (["a", "b"], str | tuple[str, ...] | None, ("a", "b")),
        ([], tuple[int, ...], ()),
        ([1, 2], list[float], [1.0, 2.0]),
        ([[1, 2]], list[tuple[int, int]], [(1, 2)]),
        ({"a": 1}, dict[str, float], {"a": 1.0}),
        ([1, "x"], Any, [1, "x"]),
        ([1, 2], Sequence[float], [1.0, 2.0]),
        ({"a": 1}, Mapping[str, float], {"a": 1.0}),
        ([1, "x"], tuple, (1, "x")),
    ],
)
def test_a_value_is_converted_to_what_the_annotation_says(value, annotation, expected):
    found = converted(value, annotation)
    assert repr(found) == repr(expected)  # 1 == 1.0 == True
