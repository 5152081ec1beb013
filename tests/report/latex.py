"""A stock pdfLaTeX: that of the machine, or Debian's unpacked into a folder with a format made on the spot."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.debian import unpack_packages

PACKAGES = (
    "texlive-base", "texlive-latex-base", "texlive-latex-recommended", "texlive-binaries", "libkpathsea6",
    "libpng16-16",
)  # fmt: skip
LIBRARIES = Path("usr/lib") / f"{platform.machine()}-linux-gnu"
RUN = {
    "stdout": subprocess.PIPE,
    "stderr": subprocess.STDOUT,
    "text": True,
    "errors": "replace",
    "timeout": 120,
}


@dataclass(frozen=True)
class Latex:
    """The command and the environment of a pdfLaTeX."""

    command: tuple[str, ...]
    environment: dict[str, str]

    def compile(self, document: Path, *more: str) -> subprocess.CompletedProcess:
        """Typeset ``document`` in its own folder; the first error ends it. ``more``: options, e.g. -draftmode."""
        options = ("-interaction=nonstopmode", "-halt-on-error", *more, document.name)
        environment = {**os.environ, **self.environment}
        return subprocess.run([*self.command, *options], cwd=document.parent, env=environment, check=False, **RUN)


def find_latex(folder: Path) -> Latex:
    """Return the machine's pdflatex, else Debian's below ``folder``.

    Raises OSError or SubprocessError where neither is to be had.
    """
    installed = shutil.which("pdflatex")
    if installed:
        return Latex((installed,), {})
    root = unpack_packages(folder, PACKAGES)
    tree, made = root / "usr/share/texlive/texmf-dist", folder / "made"
    environment = {
        "LD_LIBRARY_PATH": str(root / LIBRARIES),
        "TEXMFCNF": str(tree / "web2c"),
        "TEXMF": str(tree),
        "TEXMFDIST": str(tree),
        "TEXMFVAR": str(made),
        "TEXINPUTS": f".:{made}:{tree}/tex/{{latex,generic,}}//:",
        "TEXFONTMAPS": str(made),
        "TEXFORMATS": str(made),
    }
    pdftex = str(root / "usr/bin/pdftex")
    if not (made / "pdflatex.fmt").exists():
        made.mkdir(exist_ok=True)
        (made / "language.dat").write_text("english hyphen.tex\n")
        shutil.copyfile(tree / "fonts/map/dvips/amsfonts/cm.map", made / "pdftex.map")
        start = ("-ini", "-interaction=nonstopmode", "-jobname=pdflatex", "-progname=pdflatex")
        ini = [pdftex, *start, "-translate-file=cp227.tcx", "*pdflatex.ini"]
        subprocess.run(ini, cwd=made, env={**os.environ, **environment}, check=True, **RUN)
    return Latex((pdftex, "-fmt=pdflatex", "-progname=pdflatex"), environment)
