"""One trainer for every objective: one loop, exact resume, atomic checkpoints."""

from equirgz.train.batch_norm import settle_batch_norm
from equirgz.train.images import TrainImages
from equirgz.train.log import TrainLog
from equirgz.train.trainer import train
from equirgz.train.validation import make_knn_probe, make_validation

__all__ = ["TrainImages", "TrainLog", "make_knn_probe", "make_validation", "settle_batch_norm", "train"]
