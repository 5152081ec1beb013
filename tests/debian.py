"""Debian packages unpacked into a folder: programs that tests run for real, without installing anything."""

from __future__ import annotations

import getpass
import subprocess
from pathlib import Path


def unpack_packages(folder: Path, packages: tuple[str, ...]) -> Path:
    """Download ``packages`` and unpack them below ``folder``, once; return the root of their files.

    Nothing is installed and no root is needed. Raises OSError or CalledProcessError where there is no apt-get or
    no such package.
    """
    folder = folder.absolute()
    root, stamp = folder / "root", folder / "unpacked"
    if stamp.exists() and stamp.read_text().split() == list(packages):
        return root
    debs, state = folder / "debs", folder / "apt"
    for path in (debs, state / "lists/partial", root):
        path.mkdir(parents=True, exist_ok=True)
    own_lists = ["-o", f"Dir::State::Lists={state / 'lists'}", "-o", f"Dir::Cache={state}"]
    sandbox = ["-o", f"APT::Sandbox::User={getpass.getuser()}"]
    run = {"cwd": debs, "check": True, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "timeout": 300}
    try:
        subprocess.run(["apt-get", *sandbox, "download", *packages], **run)
    except subprocess.CalledProcessError:  # no package lists yet: fetch some of our own
        subprocess.run(["apt-get", *sandbox, *own_lists, "update"], **run)
        subprocess.run(["apt-get", *sandbox, *own_lists, "download", *packages], **run)
    for deb in sorted(debs.glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", str(deb), str(root)], **run)
        deb.unlink()
    stamp.write_text("\n".join(packages))
    return root
