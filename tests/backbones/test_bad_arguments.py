"""What ``create_backbone`` refuses: one line each, with what was expected, what was got and the mend."""

import math

import pytest

from equirgz import create_backbone
from equirgz.errors import InputError

WIDTH = "width: expected a finite number above 0, got"


def refuse(message: str, *arguments, **keywords) -> None:
    with pytest.raises(InputError, match=message) as refused:
        create_backbone(*arguments, **keywords)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["steerable_cnn", "steerable_resnet18", "lenet", "steerable_transformer"])
@pytest.mark.parametrize("width", [0, 0.0, -1, math.nan, math.inf, "1", True], ids=repr)
def test_width(name, width):
    refuse(rf"^{WIDTH} {width!r}; use 1 for the default", name, width=width)


@pytest.mark.parametrize("name", ["steerable_cnn", "resnet18"])
@pytest.mark.parametrize("what", ["image_size", "in_channels"])
@pytest.mark.parametrize(
    ("value", "got", "mend"),
    [
        (65.0, r"65.0 \(float\)", "write 65"),
        ("65", r"'65' \(str\)", "write 65"),
        ("many", r"'many' \(str\)", "such as 1"),
        (math.nan, r"nan \(float\)", "such as 1"),
        (True, r"True \(bool\)", "such as 1"),
        (0, "0", "use 1 or more"),
        (-65, "-65", "use 1 or more"),
    ],
    ids=repr,
)
def test_whole_numbers(name, what, value, got, mend):
    refuse(rf"^{what}: expected a whole number, at least 1, got {got}; {mend}$", name, **{what: value})


@pytest.mark.parametrize("name", ["steerable_cnn", "resnet18"])
def test_none_is_no_size_and_the_channels_of_the_kind(name):
    message = r"^image_size: expected a whole number, at least 1, got None \(NoneType\); such as 1$"
    refuse(message, name, image_size=None)
    assert create_backbone(name, width=0.25, image_size=33, in_channels=None).config["in_channels"] == 1


@pytest.mark.parametrize(
    ("name", "group", "size", "message"),
    [
        ("steerable_resnet18", "D8", 64, r"expected 1 mod 16 .*keep D8 exact.*, got 64; use 49 or 65$"),
        ("steerable_resnet18", "D8", 70, r"1 mod 16 .*got 70; use 65 or 81$"),
        ("steerable_resnet18", "D8", 16, "expected at least 17, got 16; use 17$"),
        ("steerable_attention", "D8", 64, r"1 mod 8 \(3 stages of stride 2.*got 64; use 57 or 65$"),
        ("steerable_attention", "C4", 9, "expected at least 17, got 9; use 17$"),
        ("steerable_lenet", "D8", 64, r"1 mod 4 .*got 64; use 61 or 65$"),
        ("lenet", "C1", 9, "expected at least 10, got 9; use 10$"),
        ("steerable_cnn_published", "D4", 7, "expected at least 8, got 7; use 8$"),
        ("steerable_attention_published", "D4", 7, "expected at least 8, got 7; use 8$"),
    ],
)
def test_sizes(name, group, size, message):
    refuse(rf"^{name} image_size: .*{message}", name, group=group, image_size=size)


@pytest.mark.parametrize(
    ("name", "keywords", "message"),
    [
        ("steerable_lenett", {}, "backbone: unknown 'steerable_lenett'; did you mean 'steerable_lenet'"),
        ("steerable_cnn", {"kernel_size": 3}, "unknown keyword 'kernel_size'; did you mean 'kernel_sizes'"),
        ("lenet", {"head": "flatten"}, "unknown keyword 'head'; .*Valid: "),
        ("lenet", {"group": "D4"}, "expected group C1, got D4; steerable backbones: steerable_"),
        ("steerable_cnn", {"group": "E8"}, "group: expected C or D .* got 'E8'; did you mean C8 or D8"),
        ("steerable_cnn", {"group": 8}, "group: expected C or D .* got 8; did you mean C8 or D8"),
        ("steerable_cnn", {"group": ["D4"]}, r"group: expected C or D .* got \['D4'\]; did you mean C4 or D4"),
        ("steerable_cnn", {"engine": "escn"}, "engine: unknown 'escn'; did you mean 'escnn'"),
        ("steerable_cnn", {"match": 30000}, "match: expected QUANTITY:TARGET, got 30000; QUANTITY is one of"),
        ("steerable_cnn", {"fields": 8}, r"field counts: expected a sequence, got 8; .*\(8, 16\)"),
        ("steerable_cnn", {"fields": (8, 0)}, "field count: expected a whole number, at least 1, got 0"),
        ("steerable_cnn", {"fields": (8, 2.5)}, r"field count: expected a whole number.*got 2.5 \(float\)"),
        ("steerable_cnn", {"fields": ()}, r"fields: expected at least one stage, got none; use"),
        ("steerable_cnn", {"kernel_sizes": 4}, "kernel_size: expected an odd number.*got 4; use 3 or 5"),
        ("steerable_cnn", {"kernel_sizes": "5"}, r"kernel_sizes: expected a whole number.*write 5"),
        ("steerable_cnn", {"kernel_sizes": (5, 3)}, "kernel_sizes: expected 4 numbers, got 2; give one"),
        ("steerable_cnn", {"stem_stride": 3}, "stem_stride: expected 1 or 2, got 3; use 2"),
        ("steerable_attention", {"group": "C1", "kernel_size": "5"}, "expected an odd number, got '5'; write"),
        ("steerable_resnet18", {"head": "flaten"}, "head: unknown 'flaten'; did you mean 'flatten'"),
    ],
    ids=str,
)
def test_names_and_options(name, keywords, message):
    refuse(message, name, **keywords)


def test_a_bad_width_is_refused_with_match_and_reference_engines_too():
    refuse("width and match: expected one of them", "steerable_cnn", width=1.0, match="params:lenet")
    refuse(WIDTH, "steerable_cnn", group="D4", width=0, engine="escnn")


ABOVE_ZERO = "a finite number above 0"


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        *[({"heads": value}, "a whole number, at least 1") for value in (0, -1, 2.0, "4")],
        *[({"depth": value}, "a whole number, at least 1") for value in (0, 1.5, "2")],
        *[({"window": value}, "a whole number, at least 1") for value in (0, 1.5, "3")],
        *[({"max_frequency": value}, "a whole number, at least 0") for value in (-1, 1.5, None)],
        *[({"mlp_ratio": value}, ABOVE_ZERO) for value in ("a", -1, 0, math.nan)],
        *[({"memory_budget_mib": value}, ABOVE_ZERO) for value in ("64", -1, 0)],
    ],
    ids=str,
)
def test_ranges_of_the_transformer(keywords, expected):
    ((what, value),) = keywords.items()
    refuse(f"^steerable_transformer {what}: expected {expected}, got {value!r}", "steerable_transformer", **keywords)


@pytest.mark.parametrize("name", ["steerable_cnn", "steerable_lenet", "steerable_cnn_published"])
@pytest.mark.parametrize("dropout", [1.5, 1, -0.1, math.nan, "0.2", None, True], ids=repr)
def test_dropout(name, dropout):
    message = rf"^dropout: expected a number with 0 <= p < 1, got {dropout!r}; use 0 to drop nothing"
    refuse(message, name, group="C4", dropout=dropout)


def test_the_ends_of_the_ranges_are_valid():
    create_backbone("steerable_cnn", group="C4", dropout=0)
    create_backbone("steerable_transformer", group="C4", heads=1, depth=1, window=1, max_frequency=0, mlp_ratio=1)
