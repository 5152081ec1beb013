"""When and how a progress bar is shown."""

from __future__ import annotations

import sys
from typing import Any

QUIET_SECONDS = 10.0  # a bar that no terminal shows, but a log keeps, is written so often


def bar_options(shown: bool | None) -> dict[str, Any]:
    """Return the options of a tqdm bar: shown, hidden, or with None shown where somebody looks.

    Somebody looks at a terminal and at a notebook; what else stderr is gets a line now and then where asked for.
    """
    live = sys.stderr.isatty() or "ipykernel" in sys.modules
    return {"disable": not (live if shown is None else shown), "mininterval": 0.1 if live else QUIET_SECONDS}
