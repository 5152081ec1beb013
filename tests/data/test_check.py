import shutil

import pytest

from equirgz.data.check.data_root import check_data, list_data
from equirgz.errors import DataError


def test_check_of_the_real_data_reports_leaks_and_faults(data_root):
    report = check_data(data_root)
    text = "\n".join(report.lines())
    assert report.ok
    assert "leaks: MiraBest F test sources also in other sets: 105 of 157, 97 of the 104 confident ones" in text
    assert "in RadioGalaxyDataset: 101 of 157 (93 confident); inside one of its fields (270 arcsec): 102" in text
    assert "in FR-DEEP by image: 8 of 157 (8 confident)" in text
    assert "objects in FR-DEEP NVSS train: 6\n  of these objects in FR-DEEP NVSS test: 1" in text
    assert "pool_first150: clean: 0 MiraBest F test sources" in text
    assert "md5 7d4e3a623d29db7204bce81676ee8ce2 ok" in text and "test: 157 (100 42, 102 6" in text
    assert (
        "FRI_13_FRICAT_FR1_example: all pixels equal" in text
        and "FRII_182_example: same pixels as FRII_134_example" in text
    )
    assert "fits: 23 files, 6 with faults" in text and "known: noise only" in text
    assert "44166 NaN pixels (49.1 %); known: black-listed" in text and "5197 NaN pixels" in text
    assert text.splitlines()[-1].startswith("not in the data root: galaxy10_decals, galaxy_mnist_test")


def test_damaged_archives_are_reported_and_the_rest_checked(data_root, tmp_path):
    shutil.copy(data_root / "MiraBest_full_batches.tar.gz", tmp_path)
    content = (data_root / "FIRST_PNG_dataset.tar.gz").read_bytes()
    (tmp_path / "FIRST_PNG_dataset.tar.gz").write_bytes(content[:-9])
    (tmp_path / "fits").mkdir()
    (tmp_path / "fits" / "x.fits").write_bytes(b"nothing")
    report = check_data(tmp_path)
    text = "\n".join(report.lines())
    assert not report.ok and "frdeep_first: BAD:" in text and "2f39461e6c62fb45289559915106013a, got" in text
    assert "mirabest_v1: MiraBest_full_batches.tar.gz, md5 965b5daa83b9d8622bb407d718eecb51 ok" in text
    assert "x.fits" in text and "readable FITS" in text and report.leaks == []


def test_listing_says_what_is_there(tmp_path):
    (tmp_path / "pool_first150.npz").write_bytes(b"")
    lines = list_data(tmp_path)
    assert any(line.startswith("found   pool_first150") for line in lines)
    assert any(line.startswith("absent  mirabest_f:") for line in lines) and "synthetic_fr" in lines[-1]
    assert any(line.startswith("other   digits:") for line in lines)
    last = check_data(tmp_path, leaks=False).lines()[-1]
    assert "mnist, mnist_m" in last and "digits" not in last  # sets without a file are not missed


def test_a_missing_root_is_an_error(tmp_path):
    with pytest.raises(DataError, match="expected a folder, got none"):
        check_data(tmp_path / "nowhere")
    assert check_data(tmp_path).ok
