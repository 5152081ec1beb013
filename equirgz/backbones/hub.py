"""``save_pretrained``, ``from_pretrained`` and ``push_to_hub``, as huggingface_hub's PyTorchModelHubMixin has them.

A folder on disk needs nothing of it; the Hub needs the extra ``hub``. Such a folder holds ``model.safetensors``,
``model.json`` (what :func:`equirgz.load_encoder` reads), ``config.json`` (the arguments of ``create_backbone``, where
the Hub and the mixin look for them) and ``README.md``, the card.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, Self

import equirgz
from equirgz.errors import DataError, InputError, require, require_package
from equirgz.paths import as_path
from equirgz.records import write_bytes_atomic, write_json_atomic

FILES = ("model.safetensors", "model.json", "config.json", "README.md")
TAGS = ["astronomy", "equivariance", "image-feature-extraction", "radio-galaxies"]


class HubMethods:
    """The three methods, for a network with ``config`` and ``facts`` that ``equirgz.save_encoder`` takes."""

    config: dict[str, Any]
    facts: dict[str, Any]

    def save_pretrained(
        self,
        save_directory: str | Path,
        *,
        config: None = None,
        repo_id: str | None = None,
        push_to_hub: bool = False,
        model_card_kwargs: dict[str, Any] | None = None,
        **push_to_hub_kwargs: Any,
    ) -> str | None:
        """Write the network into a folder; a README.md that is there stays.

        Parameters
        ----------
        save_directory : made if it is not there.
        config : None; the network knows its own.
        repo_id, push_to_hub : push it as well, to that repository or one named as the folder; the address returns.
        model_card_kwargs : entries of the card's head, such as ``license`` or ``datasets``.
        push_to_hub_kwargs : of :meth:`push_to_hub`.

        Raises InputError, before anything is written, for a network that ``equirgz.save_encoder`` refuses.
        """
        _refuse_config(config)
        folder = as_path(save_directory)
        equirgz.save_encoder(self, folder / "model", **self.facts)
        write_json_atomic(folder / "config.json", self.config)
        if not (folder / "README.md").exists():
            write_bytes_atomic(folder / "README.md", _make_card(self, model_card_kwargs or {}).encode())
        if push_to_hub:
            return self.push_to_hub(repo_id or folder.name, model_card_kwargs=model_card_kwargs, **push_to_hub_kwargs)
        require(not push_to_hub_kwargs, "save_pretrained", expected="no more options", got=sorted(push_to_hub_kwargs))
        return None

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        force_download: bool = False,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
        revision: str | None = None,
        map_location: Any = "cpu",
        **model_kwargs: Any,
    ) -> Self:
        """Return the network of a folder, or of a repository on the Hub (``user/name``), in eval mode.

        Parameters
        ----------
        pretrained_model_name_or_path : a folder of :meth:`save_pretrained`, else the name of a repository.
        force_download, token, cache_dir, local_files_only, revision : of huggingface_hub's ``snapshot_download``.
        map_location : device that it comes on.

        Raises InputError for arguments of the network, which its ``config`` gives, and for a network of another class;
        DataError for files that are missing or damaged, or a repository that cannot be reached;
        MissingPackageError without huggingface_hub where it is needed.
        """
        mend = "they are in the saved config; build another network with create_backbone"
        require(not model_kwargs, "from_pretrained", expected="no arguments", got=sorted(model_kwargs), mend=mend)
        folder = as_path(pretrained_model_name_or_path)
        if not folder.is_dir():
            download = {"force_download": force_download, "token": token, "cache_dir": cache_dir,
                        "local_files_only": local_files_only, "revision": revision}  # fmt: skip
            folder = _download(str(pretrained_model_name_or_path), download)
        network = equirgz.load_encoder(folder / "model").to(map_location)
        if not isinstance(network, cls):
            mend = "call Backbone.from_pretrained, which takes any"
            raise InputError(str(folder), expected=cls.__name__, got=type(network).__name__, mend=mend)
        return network

    def push_to_hub(
        self,
        repo_id: str,
        *,
        config: None = None,
        commit_message: str = "Push an equirgz encoder",
        private: bool | None = None,
        token: str | None = None,
        branch: str | None = None,
        create_pr: bool | None = None,
        allow_patterns: list[str] | str | None = None,
        ignore_patterns: list[str] | str | None = None,
        delete_patterns: list[str] | str | None = None,
        model_card_kwargs: dict[str, Any] | None = None,
    ) -> str:
        """Upload the network to a repository on the Hub, made if it is not there; return the address of the commit.

        Parameters
        ----------
        config : None; the network knows its own.
        repo_id, commit_message, private, token, branch, create_pr, allow_patterns, ignore_patterns, delete_patterns :
            of huggingface_hub's ``HfApi``.
        model_card_kwargs : as of :meth:`save_pretrained`; a card that the repository has is replaced.
        """
        _refuse_config(config)
        hub = require_package("huggingface_hub", "push_to_hub")
        with tempfile.TemporaryDirectory(prefix="equirgz_hub_") as folder:
            self.save_pretrained(folder, model_card_kwargs=model_card_kwargs)
            api = hub.HfApi(token=token)
            try:
                repo_id = api.create_repo(repo_id=repo_id, private=private, exist_ok=True).repo_id
                if branch is not None:
                    api.create_branch(repo_id=repo_id, branch=branch, exist_ok=True)
                done = api.upload_folder(
                    repo_id=repo_id, folder_path=folder, commit_message=commit_message, revision=branch,
                    create_pr=create_pr, allow_patterns=allow_patterns, ignore_patterns=ignore_patterns,
                    delete_patterns=delete_patterns,
                )  # fmt: skip
            except (OSError, ValueError) as error:
                raise _unreachable(repo_id, error) from error
        return str(done)


def _refuse_config(config: object) -> None:
    require(config is None, "config", expected="None", got=config, mend="the network writes its own")


def _download(repo_id: str, options: dict[str, Any]) -> Path:
    hub = require_package("huggingface_hub", f"from_pretrained({repo_id!r}), which is no folder here,")
    try:
        return Path(hub.snapshot_download(repo_id, allow_patterns=list(FILES), library_name="equirgz", **options))
    except (OSError, ValueError) as error:
        raise _unreachable(repo_id, error) from error


def _unreachable(repo_id: str, error: Exception) -> DataError:
    got = " ".join(str(error).split())[:200] or type(error).__name__
    mend = "check the name and the network, or give a folder of save_pretrained"
    return DataError(f"repository {repo_id!r}", expected="one on the Hub", got=got, mend=mend)


def _make_card(network: Any, head: dict[str, Any]) -> str:
    import yaml

    head = {"library_name": "equirgz", "tags": TAGS, **head}
    what = ", ".join(f"{key} {value}" for key, value in network.config.items() if value is not None)
    facts = json.dumps(network.facts, indent=1, sort_keys=True, ensure_ascii=False)
    return f"""---
{yaml.safe_dump(head, sort_keys=False, allow_unicode=True).strip()}
---

# {network.config.get("name", "encoder")}

An image encoder of [equirgz](https://pypi.org/project/equirgz): {what}. It gives {network.num_features} features.

```python
from equirgz.backbones import Backbone

encoder = Backbone.from_pretrained("REPOSITORY")  # or a folder
```

What was saved with it:

```json
{facts}
```
"""
