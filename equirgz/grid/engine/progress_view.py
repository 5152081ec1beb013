"""The live line of a running grid: runs done, failed and running, and the time left."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from equirgz.paths import as_path

QUIET_SECONDS = 30.0  # without a terminal: at most one line in so many seconds


class ProgressView:
    """Shows what ``run_grid`` reports; on a terminal as one live line, else as a few plain lines."""

    def __init__(self, out: Path, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self.out = as_path(out)
        self.failed = 0
        self._last_line = 0.0
        self._bar = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[facts]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
            transient=False,
        )
        self._task: Any = None
        self._count = {"done": 0, "todo": 0}
        self._start = time.monotonic()

    def __enter__(self) -> ProgressView:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def say(self, line: str) -> None:
        """Show a plain line above the bar."""
        self.console.print(line, highlight=False, markup=False)

    def __call__(self, event: str, facts: dict[str, Any]) -> None:
        """Take one event of ``run_grid``."""
        if event == "start":
            for note in facts["notes"]:
                self.say(note)
            if facts["done"]:
                self.say(f"{facts['done']} runs are finished already, {facts['todo']} to do")
            self._count["todo"] = facts["todo"]
            if facts["todo"]:
                self._task = self._bar.add_task("runs", total=facts["todo"], facts="")
            return
        if event == "pretrained":
            self.say(f"pre-training for {facts['runs']} runs is done")
            return
        if event == "waiting":
            self.say(f"no worker yet: {facts['reason']}")
            return
        if event == "retry":
            self.say(f"run {facts['run_key']}: {facts['error']}; attempt {facts['attempt']}")
            return
        self._count["done"] += 1
        if event == "failed":
            self.failed += 1
            self.say(f"run {facts['run_key']} failed: {facts['error']}")
        running = len(list((self.out / "running").glob("*.json")))
        self._bar.update(self._task, advance=1, facts=f"{running} running, {self.failed} failed")
        self._plain_line()

    def _plain_line(self) -> None:
        now, done, todo = time.monotonic(), self._count["done"], self._count["todo"]
        if self.console.is_terminal or (done < todo and now - self._last_line < QUIET_SECONDS):
            return
        self._last_line = now
        left = (now - self._start) / done * (todo - done)
        self.say(f"{done} of {todo} runs done, {self.failed} failed, about {left:.0f} s left")
