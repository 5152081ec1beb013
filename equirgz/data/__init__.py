"""Images of radio galaxies from archives, folders, mosaics or the simulator: one loader for all.

>>> from equirgz.data import load_data
>>> data = load_data("synthetic_fr", params={"n_train": 8, "n_test": 4})
>>> data.train.image_NHW.shape
(8, 65, 65)
"""

from equirgz.data.datasets import DATASETS, list_datasets
from equirgz.data.imageset import Data, ImageSet
from equirgz.data.load import load_data
from equirgz.data.root import data_root
from equirgz.data.splits.folds import split_data
from equirgz.data.splits.labelled import Split, make_split

__all__ = [
    "DATASETS",
    "Data",
    "ImageSet",
    "Split",
    "data_root",
    "list_datasets",
    "load_data",
    "make_split",
    "split_data",
]
