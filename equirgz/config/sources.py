"""Which sources a run sees, how their pixels reach the network, and who of them trains and tests."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from equirgz.config.section import Section


class PoolConfig(Section):
    """One of several sets used without labels, and its share of every batch."""

    name: str = Field(description="registered dataset")
    share: float | None = Field(None, gt=0, description="part of every batch, relative to others; unset: by size")
    params: dict[str, Any] = Field(default_factory=dict, description="options of the set")


class DataConfig(Section):
    """Which sources are used and how their pixels reach the network.

    ``unlabelled_class_share`` thins the unlabelled set, or without one the training sources used without labels,
    to a class balance (see :mod:`equirgz.data.splits.class_share`). Their labels serve this
    selection alone and are discarded after it. ``unlabelled`` may be a list of sets with shares: every batch holds
    each of them in its share, or, where none has one, all of them as one set. ``unlabelled_with_train`` adds the
    training sources outside validation, without their labels, to the unlabelled set, as arXiv 2206.11927 trains.
    ``allow_unchecked`` takes sources whose overlap with the test set cannot be found. Unset, the three are no part of
    a run's identity.
    """

    name: str = Field("synthetic_fr", description="registered dataset, e.g. mirabest_confident")
    image_size: int = Field(65, ge=1, description="side of the network's input, pixels")
    crop: int | None = Field(None, ge=1, description="side cut from the centre before resampling; default: all")
    stretch: Literal["linear", "sqrt", "asinh"] = Field("sqrt", description="intensity stretch of [0, 1] images")
    crop_arcsec: float | None = Field(None, gt=0, description="in place of crop: side of the cut on the sky, arcsec")
    softening: float = Field(0.05, gt=0, description="of the asinh stretch, in the units of the images")
    mask: bool = Field(True, description="zero the corners outside the inscribed disk")
    normalise: bool = Field(True, description="divide by the root mean square of the training images")
    unlabelled: str | tuple[PoolConfig, ...] | None = Field(
        None, description="registered dataset used without labels, or a list of {name, share, params}"
    )
    unlabelled_params: dict[str, Any] = Field(default_factory=dict, description="options of the unlabelled set")
    unlabelled_class_share: dict[str, float] | None = Field(
        None,
        min_length=1,
        description="classes and the shares (above 0, at most 1 in all) to which the unlabelled set is thinned, "
        "e.g. {FRI: 0.3}; the other classes share the rest; None: as it is",
    )
    unlabelled_with_train: bool = Field(False, description="add the training sources to the unlabelled set")
    extra_tests: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="other test sets: datasets by name, or name inside, with options"
    )
    drop_leaks: bool = Field(False, description="drop leaking unlabelled and extra test sources; else refuse")
    allow_unchecked: bool = Field(False, description="take sources that cannot be compared with the test set")
    params: dict[str, Any] = Field(default_factory=dict, description="options of the dataset")

    @model_validator(mode="after")
    def _one_meaning(self) -> DataConfig:
        if self.crop is not None and self.crop_arcsec is not None:
            raise ValueError("expected crop or crop_arcsec, got both; leave one out (crop: null)")
        shares = (self.unlabelled_class_share or {}).values()
        if not all(share > 0 for share in shares) or sum(shares) > 1 + 1e-9:
            raise ValueError("expected unlabelled_class_share of numbers above 0 that add up to at most 1")
        if self.unlabelled_with_train and self.unlabelled is None:
            raise ValueError("expected unlabelled with unlabelled_with_train; without it the training sources are all")
        if isinstance(self.unlabelled, tuple):
            self._check_pools(self.unlabelled)
        return self

    def _check_pools(self, pools: tuple[PoolConfig, ...]) -> None:
        shared = [pool.share is not None for pool in pools]
        if not pools:
            raise ValueError("expected at least one set in unlabelled; leave it out for none")
        if any(shared) and not all(shared):
            raise ValueError("expected a share for every set in unlabelled, or for none")
        if any(shared) and self.unlabelled_with_train:
            raise ValueError("expected unlabelled sets without shares with unlabelled_with_train")
        if self.unlabelled_params or self.unlabelled_class_share is not None:
            raise ValueError(
                "expected params in the list unlabelled, without unlabelled_params, unlabelled_class_share"
            )

    @model_serializer(mode="wrap")
    def _leave_out_unset(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = dump(self)
        younger = ("crop_arcsec", "softening", "unlabelled_class_share", "unlabelled_with_train", "allow_unchecked")
        unset = {key for key in younger if fields.get(key) == type(self).model_fields[key].default}
        return {key: value for key, value in fields.items() if key not in unset}


class SplitConfig(Section):
    """Which training sources carry labels; depends on ``split_seed`` alone.

    With ``fold`` and ``n_folds`` training and test sources are pooled, and the run is tested on one of
    ``n_folds`` parts and trained on the others: see :func:`equirgz.data.splits.folds.make_folds`. With ``hold_out``
    it is tested on training sources and the test set is not used, as a search for a recipe must: see
    :func:`equirgz.data.splits.folds.hold_out`. Unset, the three are no part of a run's identity.
    """

    n_labels: int | None = Field(None, ge=1, description="labelled training sources; None: all")
    n_val: int = Field(0, ge=0, description="training sources held out for validation")
    split_seed: int = Field(
        0, ge=0, description="decides who is labelled, held out and in which fold; nothing else does"
    )
    fold: int | None = Field(None, ge=0, description="the part of the pooled sources that tests, from 0")
    n_folds: int | None = Field(None, ge=2, description="parts of a cross-validation over all sources")
    hold_out: int | None = Field(None, ge=1, description="training sources tested on in place of the test set")

    @model_validator(mode="after")
    def _fold_of_how_many(self) -> SplitConfig:
        if (self.fold is None) != (self.n_folds is None):
            raise ValueError("expected both or neither of fold and n_folds")
        if self.fold is not None and self.fold >= self.n_folds:
            raise ValueError("expected fold below n_folds")
        if self.fold is not None and self.hold_out is not None:
            raise ValueError("expected fold or hold_out, not both")
        return self

    @model_serializer(mode="wrap")
    def _leave_out_unset(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = dump(self)
        optional = ("fold", "n_folds", "hold_out")
        return {key: value for key, value in fields.items() if key not in optional or value is not None}
