"""How autodoc reads the docstrings of this package: plain English, ``code``, and lines ``name : meaning``."""

from __future__ import annotations

import re
from typing import Any

ITEM = re.compile(r"(\*{0,2}\w[\w, ]*) : (.*)")
CODE = re.compile(r"(``.+?``|:\w+:`[^`]+`|`[^`]+`)")


def rewrite(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Turn lines ``name : meaning`` into lists and headings into bold words, in place; marks stay as they are."""
    new: list[str] = []
    inside, literal = False, False  # of a list item; of an indented block after "::", or an example
    for index, line in enumerate(lines):
        if re.fullmatch(r"-{3,}", line.strip()):
            continue
        if line.strip() and index + 1 < len(lines) and re.fullmatch(r"-{3,}", lines[index + 1].strip()):
            new += ["", f"**{line.strip()}**", ""]
            inside = False
            continue
        literal = literal and (line.startswith(" ") or not line.strip()) or line.startswith(">>>")
        found = None if literal else ITEM.fullmatch(line)
        if found:
            new += [*([] if inside else [""]), f"- ``{found[1]}``: {escape(found[2])}"]
            inside = True
        elif inside and line.startswith(" "):
            new.append(f"  {escape(line.strip())}")
        else:
            new += [*([""] if inside else []), line if literal else escape(line)]
            inside = False
        literal = literal or line.rstrip().endswith("::")
    lines[:] = [*new, ""]


def escape(line: str) -> str:
    """Return a line in which ``|``, ``*`` and a last underscore outside of code mean themselves; bullets stay."""
    bullet = re.match(r" *\* ", line)
    if bullet:
        return bullet[0] + escape(line[bullet.end() :])
    parts = CODE.split(line)
    parts[::2] = [re.sub(r"([|*]|(?<=\w)_(?!\w))", r"\\\1", part) for part in parts[::2]]
    return "".join(parts)
