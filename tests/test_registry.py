"""Keywords of registered factories are judged by the types that the factories declare."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from equirgz.errors import InputError
from equirgz.registry import Registry

THINGS: Registry = Registry("thing")


@THINGS.register("plain")
def make_plain(n: int = 1, share: float = 0.5, on: bool = True, sizes: tuple[int, ...] = (), title: str | None = None,
               options: Mapping[str, float] | None = None, free=None) -> dict:  # fmt: skip
    return {"n": n, "share": share, "sizes": sizes}


@THINGS.register("made")
class Made:
    def __init__(self, width: float = 1.0) -> None:
        self.width = width


@pytest.mark.parametrize(
    "keywords, words",
    [
        ({"n": "40"}, "thing 'plain': n: expected a whole number, got '40'"),
        ({"n": 40.5}, "n: expected a whole number, got 40.5"),
        ({"n": True}, "n: expected a whole number, got True"),
        ({"share": "0.5"}, "share: expected a number, got '0.5'"),
        ({"on": 1}, "on: expected true or false, got 1"),
        ({"sizes": 3}, "sizes: expected a list, got 3"),
        ({"sizes": [3, 4.5]}, "sizes: expected a whole number, got 4.5"),
        ({"options": 5}, "options: expected a mapping, got 5"),
        ({"options": {"a": "b"}}, "options: expected a number, got 'b'"),
        ({"nn": 1}, "unknown keyword 'nn'; did you mean 'n'"),
    ],
)
def test_values_of_other_types_are_refused(keywords, words):
    with pytest.raises(InputError, match=words):
        THINGS.create("plain", **keywords)


def test_what_yaml_and_python_write_for_a_type_is_taken():
    made = THINGS.create("plain", n=2, share=1, sizes=[3, 5], options={"a": 1}, free=object(), title=None)
    assert made == {"n": 2, "share": 1, "sizes": [3, 5]}
    assert THINGS.create("plain", n=np.int64(3), sizes=np.arange(2))["n"] == 3, "arrays are the factory's business"
    assert THINGS.create("made", width=2).width == 2
    with pytest.raises(InputError, match="thing 'made': width: expected a number, got 'wide'"):
        THINGS.create("made", width="wide")
