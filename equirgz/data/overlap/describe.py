"""What was found to be the same among one's own images, in numbers and in names. Legend: N images."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from equirgz.data.imageset import Data, ImageSet
from equirgz.data.overlap.groups import GROUP, LOOKS, PIXELS, PLACE, group_sources


def count_groups(data: Data) -> dict[str, int]:
    """Return the numbers of the groups of training and test images; empty for sets without such groups.

    ``images``; ``groups`` that no split divides; ``copies`` with the pixels of another image, ``look_alikes`` whose
    image otherwise shows another's source, ``neighbours`` at another's place, each beyond the first of its group;
    ``largest`` group.
    """
    parts = [part for part in (data.train, *data.tests.values()) if GROUP in part.table]
    if not parts or GROUP not in data.train.table:
        return {}
    n = sum(map(len, parts))
    columns = (GROUP, PIXELS, LOOKS, PLACE)
    number = {column: np.concatenate([part.table[column] for part in parts]) for column in columns}
    kinds = {column: len(np.unique(value_N)) for column, value_N in number.items()}
    return {
        "images": n,
        "groups": kinds[GROUP],
        "copies": n - kinds[PIXELS],
        "look_alikes": kinds[PIXELS] - kinds[LOOKS],
        "neighbours": n - kinds[PLACE],
        "largest": int(np.unique(number[GROUP], return_counts=True)[1].max(initial=0)),
    }


def describe_groups(data: Data) -> str:
    """Return one line of :func:`count_groups`, or nothing where there is nothing to say."""
    found = count_groups(data)
    if not found:
        return ""
    name = data.train.name.partition("/")[0]
    kinds = f"{found['copies']} copies, {found['look_alikes']} look-alikes, {found['neighbours']} neighbours on the sky"
    return (
        f"{name}: {found['images']} images in {found['groups']} groups that no split divides ({kinds}; "
        f"largest group {found['largest']})"
    )


def list_same(images: ImageSet) -> Iterator[str]:
    """Yield a line per image that repeats another one: its id, how, and the id of the first of its group.

    Equal pixels come first. Copies with another label than the first are said to have one. What looks like another
    may be another source of the same shape (:data:`equirgz.data.overlap.near.MAY_BE`).
    """
    images = images if GROUP in images.table else group_sources([images])[0]
    words = ((PIXELS, "same pixels as"), (LOOKS, "looks like"), (PLACE, "at the place of"))
    seen: dict[str, dict[int, int]] = {column: {} for column, _ in words}
    values = {column: images.table[column].to_numpy() for column, _ in words}
    lines: dict[str, list[str]] = {column: [] for column, _ in words}
    for k in range(len(images)):
        said = False
        for column, word in words:
            first = seen[column].setdefault(int(values[column][k]), k)
            if first == k or said:
                continue
            said = True
            here, there = images.label_N[[k, first]]
            line = f"{images.source_id_N[k]}: {word} {images.source_id_N[first]}"
            differ = here != there and min(here, there) >= 0
            labels = f", but labelled {images.class_names[here]} and not {images.class_names[there]}" if differ else ""
            lines[column].append(line + labels)
    for found in lines.values():
        yield from found
