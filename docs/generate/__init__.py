"""Pages that are written from the code and the results when the site is built, into ``docs/generated``."""

from __future__ import annotations

from pathlib import Path

from generate import api, bibliography, command_line, notebooks, registered, results, yaml_keys


def write_pages(source: Path, *, fast: bool = False) -> None:
    """Write every generated page below ``source/generated`` anew; a page whose text is the same is left alone."""
    pages: dict[str, str] = {
        "reference/command_line": command_line.page(),
        "reference/yaml_keys": yaml_keys.page(),
        "reference/bibliography": bibliography.page(),
        **{f"reference/{name}": text for name, text in registered.pages(costs=not fast)},
        **{f"notebooks/{name}": text for name, text in notebooks.pages(source / "notebooks")},
        **{f"api/{name}": text for name, text in api.pages()},
        **{f"results/{name}": text for name, text in results.pages(source.parent / "results")},
    }
    folder = source / "generated"
    kept = {folder / f"{name}.md" for name in pages}
    for old in folder.rglob("*.md"):
        if old not in kept:
            old.unlink()
    for name, text in pages.items():
        path = folder / f"{name}.md"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
