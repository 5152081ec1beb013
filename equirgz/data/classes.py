"""Labels as indices of named classes: from codes or names, and from one set's classes to another's.

Legend: N sources.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from equirgz.data.imageset import ImageSet
from equirgz.errors import DataError, InputError, explain


def encode_labels(
    values: pd.Series, class_names: tuple[str, ...] = (), source: str = "labels"
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return label indices and class names; missing values, empty names and the code -1 give the label -1.

    Integer codes of 0 or more become classes named by the codes, in their order: 0..K-1 stay as they are, and
    100 and 200 give the labels 0 and 1 of the classes "100" and "200". Names are sorted. With ``class_names``
    integers are indices of these, and names are looked up in them. Raises DataError for other negative codes
    and for names or indices outside ``class_names``.
    """
    missing_N = values.isna().to_numpy()
    if pd.api.types.is_numeric_dtype(values) and _are_whole(values[~missing_N]):
        code_N = np.where(missing_N, -1, values.where(~missing_N, -1)).astype(np.int64)
        if code_N.min(initial=-1) < -1:
            raise DataError(explain(source, expected="labels of 0 or more, or -1 for none", got=int(code_N.min())))
        if class_names:
            if code_N.max(initial=-1) >= len(class_names):
                expected = f"labels up to {len(class_names) - 1} ({', '.join(class_names)})"
                raise DataError(explain(source, expected=expected, got=int(code_N.max())))
            return code_N, tuple(class_names)
        codes = np.unique(code_N[code_N >= 0])
        return np.where(code_N < 0, -1, np.searchsorted(codes, code_N)), tuple(str(code) for code in codes)
    text = values.map(lambda value: value.decode() if isinstance(value, bytes) else str(value)).to_numpy(str)
    missing_N = missing_N | (text == "")
    names = tuple(class_names) or tuple(sorted(set(text[~missing_N].tolist())))
    unknown = sorted(set(text[~missing_N].tolist()) - set(names))
    if unknown:
        raise DataError(explain(source, expected=f"classes {', '.join(names)}", got=unknown[0]))
    place = {name: k for k, name in enumerate(names)}
    return np.array([-1 if gone else place[v] for v, gone in zip(text, missing_N, strict=True)], np.int64), names


def _are_whole(values: pd.Series) -> bool:
    number_N = values.to_numpy(np.float64)
    return bool((np.isfinite(number_N) & (number_N == np.floor(number_N))).all())


def match_classes(images: ImageSet, class_names: tuple[str, ...]) -> ImageSet:
    """Return a set with the labels of another one, matched by class name (case is ignored).

    Sources whose class the other set does not have get the label -1. Raises InputError when the two
    sets have no class in common.
    """
    place = {name.lower(): k for k, name in enumerate(class_names)}
    new_label = np.array([*(place.get(name.lower(), -1) for name in images.class_names), -1])
    if images.class_names and (new_label < 0).all():
        raise InputError(
            f"{images.name}: expected a class of {', '.join(class_names)}, got {', '.join(images.class_names)}; "
            "choose a test set with classes in common"
        )
    return replace(images, label_N=new_label[images.label_N], class_names=tuple(class_names))
