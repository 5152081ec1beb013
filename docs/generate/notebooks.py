"""A page per notebook, as it was executed: its text, its code, and what that printed and drew."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def pages(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield name and text of the page of every notebook in ``folder``."""
    for path in sorted(folder.glob("*.ipynb")):
        where = f"The notebook: `docs/notebooks/{path.name}` of the repository."
        title, *cells = [cell for found in read_cells(path) for cell in show(found)]
        yield path.stem, "\n\n".join([title, *cells, where]) + "\n"


def read_cells(path: Path) -> list[dict[str, Any]]:
    """Return the cells of a notebook."""
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def code_of(cell: dict[str, Any]) -> str:
    """Return the source of a cell."""
    return "".join(cell["source"])


def show(cell: dict[str, Any]) -> Iterator[str]:
    """Yield the Markdown of one cell and of its outputs; a picture is a part of its page."""
    if cell["cell_type"] == "markdown":
        yield code_of(cell)
        return
    yield f"```python\n{code_of(cell)}\n```"
    for output in cell["outputs"]:
        data = output.get("data", {})
        if "image/png" in data:
            yield f"![drawn by the cell above](data:image/png;base64,{''.join(data['image/png']).strip()})"
        else:
            text = "".join(output.get("text") or data.get("text/plain", ""))
            yield f"```text\n{text.rstrip()}\n```"
