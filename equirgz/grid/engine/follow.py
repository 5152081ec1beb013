"""Processes that end when another process of this host ends, even if that was killed.

``python -m equirgz.grid.engine.follow PID COMMAND...`` is how the harness starts Parsl's own processes:
without it a SIGKILL to the harness would leave them behind.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time


def follow(leader: int, period_s: float = 1.0) -> None:
    """Watch process ``leader`` from a thread, and end this process when it is gone."""

    def watch() -> None:
        while is_alive(leader):
            time.sleep(period_s)
        os._exit(1)

    threading.Thread(target=watch, name="follow", daemon=True).start()


def is_alive(pid: int) -> bool:
    """Return whether a process of this host with this id exists and is no zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return True


def main() -> None:
    """Become the command ``sys.argv[2:]``, with a child that kills it when process ``sys.argv[1]`` is gone."""
    leader, command = int(sys.argv[1]), sys.argv[2:]
    follower = os.getpid()
    alone = is_alive(leader) and os.getpgrp() != os.getpgid(leader)
    if os.fork() == 0:
        _guard(leader, follower, alone)
    os.execvp(command[0], command)


def _guard(leader: int, follower: int, whole_group: bool, period_s: float = 1.0) -> None:
    """Kill process ``follower`` (with its group) once ``leader`` is gone; end with either."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):  # hold no pipe open that others wait on
        os.dup2(nowhere, stream)
    while os.getppid() == follower:
        if not is_alive(leader):
            if whole_group:
                os.killpg(os.getpgrp(), signal.SIGKILL)
            os.kill(follower, signal.SIGKILL)
            break
        time.sleep(period_s)
    os._exit(0)


if __name__ == "__main__":
    main()
