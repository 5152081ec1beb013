"""What is known about every published set: file, md5, address, licence, citation, faults.

Addresses are those published by the authors; a set without one is loaded from an archive that the
user puts into the data root. ``faults`` maps a source id (or a phrase) to what is wrong with it. What is
not known is None, and ``notes`` say why.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from equirgz.errors import check_choice

_FIRST_TERMS = (
    "FIRST pixels: copyright 1994, University of California; publication and reproduction for scholarly, "
    "educational and private non-commercial use"
)
_NVSS_TERMS = (
    "NVSS pixels: copyright 1994, Associated Universities; publication and reproduction for scholarly, "
    "educational and private non-commercial use"
)


@dataclass(frozen=True)
class SetInfo:
    """A published archive and what its dataset card says; ``filename`` is empty where there is no one file."""

    name: str
    title: str
    filename: str
    md5: str | None
    url: str | None
    licence: str | None
    citation: str
    datasets: tuple[str, ...] = ()
    faults: dict[str, str] = field(default_factory=dict)
    notes: str = ""
    sha256: str | None = None


_MIRABEST_FAULTS = {
    "200_147.709-000.888_0.2715_0030.00": "noise only",
    "300_147.428-000.840_0.0810_0043.06": "noise only",
    "200_149.170-000.023_0.1392_0107.66": "wrongly masked",
    "100_209.593+018.300_0.1616_0048.72": "mis-centred by 90 arcsec",
    "110_345.859-000.360_0.3441_0033.79": "part of the field is NaN",
    "210_180.617+058.693_0.1268_0131.60": "patches of exact zeros",
    "100_036.061+000.563_0.1400_0093.07": "black-listed for missing data: not in the archive",
    "102_169.640+031.253_0.2198_0060.00": "near-duplicate of 100_169.641+031.255, which has another label",
    "100_169.641+031.255_0.2181_0081.13": "near-duplicate of 102_169.640+031.253, which has another label",
}
_MIRABEST = ("mirabest_confident", "mirabest_uncertain", "mirabest_hybrid", "mirabest_all")
_MIRABEST_PAPERS = "Porter & Scaife 2023, arXiv 2305.11108; Miraghaei & Best 2017, MNRAS 466, 4346"
_MANCHESTER = "http://www.jb.man.ac.uk/research"
_FRDEEP = "https://github.com/HongmingTang060313/FR-DEEP/raw/master"
_FRDEEP_PAPER = "Tang, Scaife & Leahy 2019, MNRAS 488, 3358, arXiv 1903.11921"
_GZ_DECALS = "Walmsley et al. 2022, MNRAS 509, 3966"

_INFOS = (
    SetInfo(
        "mirabest_f",
        "MiraBest, second version (F): 1256 FIRST radio galaxies with FR class and confidence",
        "MiraBest_F_batches.tar.gz",
        "7d4e3a623d29db7204bce81676ee8ce2",
        f"{_MANCHESTER}/MiraBest/MiraBest_F/MiraBest_F_batches.tar.gz",
        _FIRST_TERMS,
        _MIRABEST_PAPERS,
        _MIRABEST,
        _MIRABEST_FAULTS,
        "76 images (9 of the test part) have their brightest pixel outside the target.",
    ),
    SetInfo(
        "mirabest_v1",
        "MiraBest, first version: the same sources, another split and scaling, no mask",
        "MiraBest_full_batches.tar.gz",
        "965b5daa83b9d8622bb407d718eecb51",
        f"{_MANCHESTER}/MiraBest/full_dataset/MiraBest_full_batches.tar.gz",
        _FIRST_TERMS,
        _MIRABEST_PAPERS,
        _MIRABEST,
        _MIRABEST_FAULTS,
        "132 of F's test sources are in this version's train part.",
    ),
    SetInfo(
        "mirabest_raw",
        "The raw FIRST cutouts behind MiraBest: 300 px, pixels above 3 sigma, Jy/beam",
        "mirabest_first_sparse300.npz",
        "37c9e332f290c2cb256d385f1ff1f1aa",
        None,
        _FIRST_TERMS,
        "Becker, White & Helfand 1995, ApJ 450, 559",
        ("mirabest_raw",),
        _MIRABEST_FAULTS,
    ),
    SetInfo(
        "pool_first150",
        "Unlabelled FIRST pool in MiraBest_F style, clean of F's test sources",
        "pool_first150.npz",
        "67c21a21a3da3aa2fc5722051b9a4aa8",
        None,
        _FIRST_TERMS,
        "Becker, White & Helfand 1995, ApJ 450, 559",
        ("pool_first150",),
    ),
    SetInfo(
        "radio_galaxy_dataset",
        "RadioGalaxyDataset: 2158 FIRST radio galaxies, FRI, FRII, compact, bent",
        "galaxy_data_h5.zip",
        "37659bb2d4bf094fe6ccb9c012d3f163",
        "https://zenodo.org/records/7689127/files/galaxy_data_h5.zip?download=1",
        _FIRST_TERMS,
        "Griese, Kummer & Bruggen, doi 10.5281/zenodo.7120632",
        ("radio_galaxy_dataset",),
        notes="Holds most MiraBest sources: see the leak check.",
    ),
    SetInfo(
        "frdeep_first",
        "FR-DEEP in FIRST: 600 FRI and FRII of FRICAT and CoNFIG",
        "FIRST_PNG_dataset.tar.gz",
        "2f39461e6c62fb45289559915106013a",
        f"{_FRDEEP}/FIRST_data/FIRST_PNG_dataset.tar.gz",
        _FIRST_TERMS,
        _FRDEEP_PAPER,
        ("frdeep_first",),
        {"FRI_13_FRICAT_FR1_example": "all pixels zero"},
        "One duplicate; no positions; the test parts in FIRST and NVSS share 5 objects only.",
    ),
    SetInfo(
        "frdeep_nvss",
        "FR-DEEP in NVSS: 600 FRI and FRII, 15 arcsec/px, 45 arcsec beam",
        "NVSS_PNG_dataset.tar.gz",
        "2584ed1e174ea71f581d0e0d6f32ef38",
        f"{_FRDEEP}/NVSS_data/NVSS_PNG_dataset.tar.gz",
        _NVSS_TERMS,
        _FRDEEP_PAPER,
        ("frdeep_nvss",),
        notes="Most targets are unresolved among about 20 field sources: crop the centre to 18-40 px. One duplicate.",
    ),
    SetInfo(
        "rgz_108k",
        "Radio Galaxy Zoo DR1 cutouts in FIRST, 108k images without labels",
        "rgz108k-batches-python.tar.gz",
        "3fef587aa2aa3ece3b01b125977ae19d",
        None,
        _FIRST_TERMS,
        "Slijepcevic et al. 2024, arXiv 2305.16127",
        ("rgz_dr1",),
        notes="No public address: ask its authors. Published cuts: no duplicates, LAS > 25 arcsec, not in MiraBest.",
    ),
    SetInfo(
        "rgz_20k",
        "Radio Galaxy Zoo cutouts in FIRST, 20k images without labels",
        "rgz20k-batches-python.tar.gz",
        "3a85fb4167fb08619e36e77bbba40896",
        f"{_MANCHESTER}/ascaife/rgz20k-batches-python.tar.gz",
        _FIRST_TERMS,
        "Slijepcevic et al. 2022, MNRAS 514, 2599",
        ("rgz_dr1",),
    ),
    SetInfo(
        "mingo_lotss",
        "LoTSS DR1 radio galaxies at 150 MHz with FR class and size",
        "mingo-batches-python.tar.gz",
        "5e72717d9208fea2a4712ec8b4cde9cf",
        f"{_MANCHESTER}/ascaife/mingo-batches-python.tar.gz",
        "LoTSS: free use with citation",
        "Mingo et al. 2019, MNRAS 488, 2701",
        ("mingo_lotss",),
    ),
    SetInfo(
        "galaxy_mnist_train",
        "Galaxy MNIST, train part: 8000 colour images, 64 px, 4 optical morphologies",
        "train_dataset.hdf5.gz",
        None,
        f"{_MANCHESTER}/MiraBest/MiraBest_F/train_dataset.hdf5.gz",
        "see its authors",
        _GZ_DECALS,
        ("galaxy_mnist",),
    ),
    SetInfo(
        "galaxy_mnist_test",
        "Galaxy MNIST, test part: 2000 colour images, 64 px, 4 optical morphologies",
        "test_dataset.hdf5.gz",
        None,
        f"{_MANCHESTER}/MiraBest/MiraBest_F/test_dataset.hdf5.gz",
        "see its authors",
        _GZ_DECALS,
        ("galaxy_mnist",),
    ),
    SetInfo(
        "galaxy10_decals",
        "Galaxy10 DECaLS: 17736 colour images, 256 px, 10 optical morphologies",
        "Galaxy10_DECals.h5",
        None,
        "https://astro.utoronto.ca/~hleung/shared/Galaxy10/Galaxy10_DECals.h5",
        "see its authors",
        f"Leung & Bovy; {_GZ_DECALS}",
        ("galaxy10",),
        sha256="19aefc477c41bb7f77ff07599a6b82a038dc042f889a111b0d4d98bb755c1571",
    ),
    SetInfo(
        "mnist_m",
        "MNIST-M: digits blended with photographs, 28 px, colour",
        "keras_mnistm.pkl.gz",
        None,
        "https://github.com/VanushVaswani/keras_mnistm/releases/download/1.0/keras_mnistm.pkl.gz",
        "see its authors",
        "Ganin et al. 2016, JMLR 17, arXiv 1505.07818",
        ("mnist_m",),
        notes="Images only: the labels are those of MNIST, which must lie in the data root too.",
    ),
    SetInfo(
        "mightee",
        "MIGHTEE Early Science, COSMOS and XMM-LSS: 117 radio galaxies voted FRI or FRII",
        "",
        None,
        "https://zenodo.org/records/8188867",
        None,
        "Heywood et al. 2022, MNRAS 509, 2150; votes: Slijepcevic et al. 2024, arXiv 2305.16127",
        ("mightee",),
        notes="Several files, named by params.votes, params.catalogue and params.mosaics. The address is the record of "
        "the labelled objects; catalogue and mosaics are the survey's. No md5 or licence was found with the votes.",
    ),
    SetInfo(
        "gz_evo",
        "Galaxy Zoo Evo: colour images of galaxies with volunteers' answers",
        "",
        None,
        "https://huggingface.co/datasets/mwalmsley/gz_evo",
        None,
        "Galaxy Zoo Evo: 1 million human-annotated images of galaxies, 2025, openreview.net/forum?id=8HxzgdrXhG",
        ("gz_evo",),
        notes="A folder of Parquet shards, named by params.path: no one file, so no md5. The licence is stated with "
        "the data set and was not verified.",
    ),
    SetInfo(
        "mnist",
        "MNIST: 60000 train and 10000 test digits, 28 px",
        "train-images-idx3-ubyte.gz",
        None,
        None,
        None,
        "LeCun, Bottou, Bengio & Haffner 1998, Proc. IEEE 86, 2278",
        ("mnist",),
        notes="The first of four idx files, all in the data root, .gz or not, or in MNIST/raw. No address, md5 "
        "or licence of its authors was verified.",
    ),
    SetInfo(
        "digits",
        "Digits of scikit-learn: 1797 of 8 px, the test part of the UCI handwritten digits",
        "",
        None,
        "https://archive.ics.uci.edu/ml/datasets/Optical+Recognition+of+Handwritten+Digits",
        None,
        "Alpaydin & Kaynak 1998, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository",
        ("digits",),
        notes="Comes with scikit-learn: nothing to fetch, so no file and no md5. scikit-learn names no licence of it.",
    ),
)
SETS: dict[str, SetInfo] = {info.name: info for info in _INFOS}


def get_set(name: str) -> SetInfo:
    """Return the entry called ``name``; raise InputError with the nearest valid name."""
    return SETS[check_choice("published set", name, SETS)]
