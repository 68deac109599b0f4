from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest

from curator.options import bind, coerce, first_line, options_of, plain, type_name


@dataclass(frozen=True, slots=True)
class Drop:
    min_chars: int = 2


def step(rows, *, near: float = 0.8, fix: tuple[Literal["a", "b"], ...] = ("a",),
         drop: Drop = Drop(), name: str | None = None, exact: bool = False):  # fmt: skip
    """Find what is near.

    Args:
        rows: The rows.
        near: Likeness, 0..1,
            exclusive.
        exact: Only equal ones.
    """


def test_the_keyword_only_signature_is_the_schema():
    options = options_of(step)

    assert ["near", "fix", "drop", "name", "exact"] == list(options)
    assert "Likeness, 0..1, exclusive." == options["near"].text
    assert {
        "name": "fix", "type": "list of a | b", "required": False, "default": ["a"], "text": "",
    } == options["fix"].describe()  # fmt: skip
    assert "Find what is near." == first_line(step)


def test_a_seed_without_a_default_is_the_callers():
    def augment(*, seed: int, share: float = 0.1): ...

    assert ["share"] == list(options_of(augment))


def test_all_faults_are_found_at_once():
    _, faults = bind("step 'x'", options_of(step), {"nera": 1, "exact": 1, "drop": {"min": 2}})

    assert ["nera", "exact", "drop"] == [option for option, _ in faults]
    assert faults[0][1].endswith("Did you mean 'near'?")
    assert "step 'x', option 'exact': found 1, expected true or false" == faults[1][1]
    assert "it has no key 'min'; it takes ['min_chars']. Did you mean 'min_chars'?" in faults[2][1]


def test_a_required_option_is_asked_for():
    def needs(*, share: float): ...

    assert [(None, "it needs the option 'share'")] == bind("it", options_of(needs), {})[1]


@pytest.mark.parametrize(
    ("value", "wanted", "expected"),
    [
        (1, float, 1.0),
        ("b", tuple[str, ...], ("b",)),
        (["a", "b"], tuple[str, ...], ("a", "b")),
        (None, str | None, None),
        (3, str, "3"),
        ({"min_chars": 4}, Drop, Drop(4)),
    ],
)
def test_values_of_yaml_become_typed(value, wanted, expected):
    found = coerce(value, wanted)

    assert expected == found
    assert type(expected) is type(found)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(True, int), (True, float), (1.5, int), ("x", float), (["a"], str), ([1], Drop), (2, bool)],
)
def test_a_value_of_another_type_is_refused(value, wanted):
    with pytest.raises(ValueError, match=r"found .*, expected "):
        coerce(value, wanted)


def test_options_go_to_json_and_back():
    values, _ = bind("it", options_of(step), {"drop": {"min_chars": 5}, "fix": ["b"]})

    assert values == bind("it", options_of(step), plain(values))[0]
    assert "mapping of min_chars: whole number" == type_name(Drop)
    assert "text | null" == type_name(str | None)
