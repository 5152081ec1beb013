"""Catalogues as people have them: separators, headers, encodings, columns; loaded right, or refused by name."""

import csv
import io
import unicodedata

import numpy as np
import pandas as pd
import pytest
from astropy import units
from astropy.table import Table
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from equirgz.data import load_data
from equirgz.data.catalogues.catalogue import CatalogueOptions, get_positions, read_catalogue
from equirgz.data.catalogues.join import count_votes
from equirgz.data.catalogues.labels import encode_labels, tidy_text
from equirgz.data.formats.image_folder import load_folder
from equirgz.data.notes import note
from equirgz.errors import DataError, EquirgzError, InputError


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    note.cache_clear()
    monkeypatch.setenv("EQUIRGZ_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def pictures(tmp_path):
    """Six pictures called 0.png to 5.png."""
    folder = tmp_path / "img"
    folder.mkdir()
    for i in range(6):
        pixels = np.random.default_rng(i).integers(0, 255, (9, 9), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


ROWS = [("0", "FRI", "10.0", "-5.0"), ("1", "FRII", "12.0", "-3.0"), ("2", "FRI", "14.0", "-1.0")]


def load(folder, text, ending="csv", **reading):
    path = folder.parent / f"c.{ending}"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    images = load_folder(folder, catalogue=path, **reading)
    return [images.class_names[k] if k >= 0 else None for k in images.label_N]


@pytest.mark.parametrize(
    ("text", "ending"),
    [
        ("id,label,ra,dec\n{,}", "csv"),
        ("id;label;ra;dec\n{;}", "csv"),
        ("id\tlabel\tra\tdec\n{\t}", "tsv"),
        ("id\tlabel\tra\tdec\n{\t}", "csv"),
        ("id|label|ra|dec\n{|}", "txt"),
        ("id  label  ra  dec\n{ }", "txt"),
        ("sep=;\nid;label;ra;dec\n{;}", "csv"),
        ("# made by hand\n# id label ra dec\n{ }", "dat"),
        ("ID , Label ,RA,DEC\n{,}\n\n", "csv"),
        ('"id","label","ra","dec"\r\n{,}', "csv"),
        ("#RESOURCE=x\n#\nid\tlabel\tra\tdec\n\t\tdeg\tdeg\n--\t----\t---\t---\n{\t}", "tsv"),
    ],
)
def test_every_usual_form_of_text_is_read(pictures, text, ending):
    head, separator, tail = *text.partition("{")[:1], text.partition("{")[2][0], text.partition("}")[2]
    body = "\n".join(separator.join(row) for row in ROWS)
    assert load(pictures, head + body + tail, ending) == ["FRI", "FRII", "FRI", None, None, None]


def test_a_table_without_a_header_is_told_so(pictures):
    text = "\n".join(",".join(row) for row in ROWS)
    with pytest.raises(InputError, match="a first line that names the columns, got 0, FRI, 10.0, -5.0; set header to"):
        load(pictures, text)
    assert load(pictures, text, header=False, id_column=1, label_column=2)[:3] == ["FRI", "FRII", "FRI"]
    assert load(pictures, text, header=False, id_column="1", label_column="2")[:3] == ["FRI", "FRII", "FRI"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"])
def test_names_survive_the_encoding(pictures, encoding, caplog):
    text = "id,label\n0,Bänder\n1,FRI\n"
    assert load(pictures, text.encode(encoding))[:2] == ["Bänder", "FRI"]
    assert ("not UTF-8" in caplog.text) == (encoding in ("latin-1", "cp1252"))
    assert load(pictures, text.encode("cp437"), encoding="cp437")[0] == "Bänder"
    for wrong in ("ascii", "nonsense"):
        with pytest.raises(EquirgzError, match=r"ascii|nonsense"):
            load(pictures, text.encode("utf-8"), encoding=wrong)


@pytest.mark.parametrize(
    ("text", "reading", "message"),
    [
        ("id,kind\n0,FRI\n", {}, "a column of labels such as label or class, got id, kind; name it with label_column"),
        ("id,label,class\n0,a,b\n", {}, "expected one column of labels, got label and class; name the one"),
        ("id,kind\n0,FRI\n", {"label_column": "type"}, r"a column 'type', got \['id', 'kind'\]"),
        ("id,label\n0,\n1,\n", {}, "label: expected labels, got none in the 6 rows of the images; choose"),
        ("id,label\n0,0.3\n1,0.7\n", {}, "continuous numbers such as 0.3"),
        ("id,label\n0,FRI\n1,fri\n", {}, "differ in more than case"),
        ("id,label\n0,FRI,3\n1,FRII\n", {}, "line 2: expected 2 cells as in the first line, got 3"),
        ("id,label,x\n0,FRI,3\n1,FRII\n", {}, "line 3: expected 3 cells as in the first line, got 2"),
        ("id,label;x\n0,FRI;3\n", {}, "one separator that fits, got ',' or ';'; set separator"),
        (",label\n0,FRI\n", {}, "id column such as name or file, got Unnamed: 0, label; name it with id_column"),
        ('id,label\n0,"FRI" b\n', {}, "line 2: expected whole quoted cells"),
        ("id,label,label\n0,FRI,b\n", {}, "expected one column 'label', got 2; give each column a name of its own"),
        ("id,label\n0,FRI\n", {"separator": "::"}, "separator: expected one character, got '::'"),
        ("id,label\n0,FRI\n", {"labels": "label"}, "unknown keyword 'labels'; did you mean 'label_column'"),
        ("id,label\n0,FRI\n", {"match_radius_arcsec": 0.0}, "match_radius_arcsec: expected above 0"),
    ],
)
def test_catalogues_that_cannot_be_used_say_why(pictures, text, reading, message):
    with pytest.raises(EquirgzError, match=message):
        load(pictures, text, **reading)


def test_options_of_a_catalogue_need_one(pictures):
    with pytest.raises(InputError, match="expected a catalogue with label_column, got none"):
        load_folder(pictures, label_column="label")
    assert load(pictures, "id,kind\n0,FRI\n", label_column="") == [None] * 6


def test_images_without_a_row_and_rows_without_an_image_are_counted(pictures, caplog):
    load(pictures, "id,label\n0,FRI\n1,FRII\n77,FRI\n78,FRI\n")
    images, rows = caplog.messages
    assert "no label for 4 images, e.g. 2.png: no row in the catalogue; listed in" in images
    assert "left out 2 rows, e.g. 77 (row 2): no image" in rows


def test_classes_are_names_as_written(pictures):
    text = "id,label\n0,NA\n1,None\n2,null\n3, FRI \n4,\n5,FRI\n"
    assert load(pictures, text) == ["NA", "None", "null", "FRI", None, "FRI"]
    assert load(pictures, text, missing=["null", "None"])[:4] == ["NA", None, None, "FRI"]
    assert load(pictures, "id,label\n0,1.0\n1,2.0\n2,\n3,nan\n4,1.0\n5,-1\n") == ["1", "2", None, None, "1", None]


def test_votes_become_labels(pictures):
    text = "id,p\n0,0.91\n1,0.2\n2,0.5\n3,\n4,0.7\n5,0.1\n"
    assert load(pictures, text, votes={"FRI": "p"}) == ["FRI", "other", None, None, "FRI", "other"]
    assert load(pictures, text, votes={"FRI": "p"}, min_vote=0.8) == ["FRI", "other", None, None, None, "other"]
    counts = "id,a,b,c\n0,5,1,0\n1,0,2,2\n2,1,1,8\n3,,,\n4,0,0,0\n5,3,0,1\n"
    votes = {"FRI": "a", "FRII": "b", "bent": "c"}
    assert load(pictures, counts, votes=votes) == ["FRI", None, "bent", None, None, "FRI"]
    assert load(pictures, counts, votes=votes, min_vote=0.8)[5] is None
    for wrong, message in (({"FRI": "a"}, "fractions from 0 to 1"), ({"FRI": "z"}, "'z'")):
        with pytest.raises(EquirgzError, match=message):
            load(pictures, counts, votes=wrong)


def test_positions_as_people_write_them(tmp_path):
    expected = [[187.70583, 12.39111], [10.0, -0.5]]
    forms = {
        "ra,dec\n187.70583,12.39111\n10,-0.5\n": {},
        "ra,dec\n12:30:49.4,+12:23:28\n00:40:00,-00:30:00\n": {},
        "RA (J2000),Dec (J2000)\n12 30 49.4,+12 23 28\n00 40 00,-00 30 00\n": {},
        "RA/deg,DEC/deg\n187.70583,12.39111\n10,-0.5\n": {},
        "_RAJ2000;_DEJ2000\n12h30m49.4s;12d23m28s\n0h40m0s;-0d30m0s\n": {},
        "east,north\n187.70583,12.39111\n10,-0.5\n": {"ra": "east", "dec": 2},
        "RAh,RAm,RAs,DE-,DEd,DEm,DEs\n12,30,49.4,+,12,23,28\n0,40,0,-,0,30,0\n": {},
        "rgz_name\nRGZJ123049.4+122328\nRGZJ004000.0-003000\n": {},
    }
    for text, columns in forms.items():
        (tmp_path / "c.csv").write_text(text)
        np.testing.assert_allclose(get_positions(read_catalogue(tmp_path / "c.csv"), **columns), expected, atol=1e-5)
    for text in ("ra,dec\n12:30:49.4,12\n10.0,3\n", "ra,dec\nnoon,1\n", "ra,dec\n25:00:00,1\n"):
        (tmp_path / "c.csv").write_text(text)
        with pytest.raises(DataError, match="expected"):
            get_positions(read_catalogue(tmp_path / "c.csv"))


def test_rows_that_fit_a_place_twice_are_counted(tmp_path, caplog):
    folder = tmp_path / "img"
    folder.mkdir()
    for k, name in enumerate(("100.0000+10.0000", "100.0010+10.0000", "120.0+20.0", "J080000.0+200000")):
        Image.fromarray(np.arange(25, dtype=np.uint8).reshape(5, 5) + k).save(folder / f"{name}.png")
    text = "ra,dec,label\n100.0002,10,FRI\n100.0014,10,FRII\n120,20.0001,bent\n"
    found = load(folder, text, match="position", match_radius_arcsec=5.0)
    assert found == ["FRI", "FRII", "bent", "bent"]
    assert "2 images have several rows within 5 arcsec; the nearest row counts" in caplog.text
    assert "1 rows serve several images within 5 arcsec" in caplog.text
    assert load(folder, text, match="position", match_radius_arcsec=0.5) == [None, None, "bent", "bent"]


@pytest.mark.parametrize("ending", ["fits", "vot", "ecsv"])
def test_units_of_columns_are_obeyed(tmp_path, ending):
    table = Table({"ra": np.array([0.5, 1.0]) * units.rad, "dec": np.array([30.0, -6.0]) * units.arcmin})
    table["class"] = ["FRI ", "NA"]
    path = tmp_path / f"c.{ending}"
    table.write(path, format={"vot": "votable", "ecsv": "ascii.ecsv"}.get(ending, "fits"))
    read = read_catalogue(path)
    np.testing.assert_allclose(get_positions(read), [[np.rad2deg(0.5), 0.5], [np.rad2deg(1.0), -0.1]])
    assert [tidy_text(v) for v in read["class"]] == ["FRI", "NA"]


def test_the_published_split_of_a_column(pictures):
    text = "id,label,part\n0,a,train\n1,b,Train \n2,a,test\n3,b,validation\n4,a,unlabelled\n5,b,\n"
    (pictures.parent / "c.csv").write_text(text)
    params = {"path": "img", "catalogue": "c.csv", "split_column": "part"}
    data = load_data("folder", pictures.parent, params=params, image_size=9)
    assert data.train.source_id_N.tolist() == ["0", "1"] and data.unlabelled.source_id_N.tolist() == ["4"]
    assert {name: part.source_id_N.tolist() for name, part in data.tests.items()} == {"valid": ["3"], "test": ["2"]}
    for change, message in (
        ({"test_fraction": 0.5}, "one way to tell who tests"),
        ({"split_column": "label"}, r"label: expected the words train, .* got a \(3\), b \(3\)"),
        ({"split_column": "fold"}, "'fold'"),
    ):
        with pytest.raises(EquirgzError, match=message):
            load_data("folder", pictures.parent, params={**params, **change}, image_size=9)


def test_a_column_that_divides_copies_is_refused(pictures):
    (pictures / "9.png").write_bytes((pictures / "0.png").read_bytes())
    (pictures.parent / "c.csv").write_text("id,label,part\n0,a,train\n1,b,train\n9,a,test\n2,b,test\n")
    params = {"path": "img", "catalogue": "c.csv", "split_column": "part"}
    with pytest.raises(InputError, match="img/train: expected no image of a source that is tested on, got 1 of 2"):
        load_data("folder", pictures.parent, params=params, image_size=9)
    data = load_data("folder", pictures.parent, params=params, image_size=9, drop_leaks=True)
    assert data.train.source_id_N.tolist() == ["1"] and data.tests["test"].source_id_N.tolist() == ["2", "9"]


def test_numbers_to_regress_on_are_no_labels(pictures):
    (pictures.parent / "c.csv").write_text("id,target\n0,0.5\n1,1.5\n2,\n")
    images = load_folder(pictures, catalogue=pictures.parent / "c.csv", label_column="")
    np.testing.assert_array_equal(images.table["target"], [0.5, 1.5, *[np.nan] * 4])
    assert images.class_names == ()


def test_several_own_folders_are_extra_tests(tmp_path):
    for k, name in enumerate(("mine", "survey_a", "survey_b")):
        for i in range(4):
            path = tmp_path / name / ("FRI" if i % 2 else "FRII") / f"{name}_{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(10 * k + i).integers(0, 255, (17, 17), dtype=np.uint8)
            Image.fromarray(pixels).save(path)
    others = {name: {"name": "folder", "path": name} for name in ("survey_a", "survey_b")}
    options = {"params": {"path": "mine"}, "image_size": 17, "extra_tests": others, "allow_unchecked": True}
    data = load_data("folder", tmp_path, **options)
    assert sorted(data.tests) == ["survey_a_all", "survey_b_all"]
    assert {len(part) for part in data.tests.values()} == {4}


LETTERS = st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zl", "Zp"))
WRITTEN = ["NA", "None", "nan", "1", "1.0", "01", "-1", "", " FRI", "a,b", "a;b", 'q"q', "e\u0301", "0.5", "#x"]
CELLS = st.text(LETTERS, max_size=5) | st.sampled_from(WRITTEN)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(CELLS, min_size=6, max_size=6),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"]),
    st.booleans(),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(["\n", "\r\n"]),
)
@example(["NA", "FRI", "None", "", "NA", "FRI"], ";", "latin-1", True, csv.QUOTE_MINIMAL, "\r\n")
def test_generated_catalogues_are_read_as_written_or_refused(
    pictures, cells, separator, encoding, header, quoting, end
):
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=separator, quoting=quoting, lineterminator=end)
    writer.writerows(([("id", "kind")] if header else []) + [(f"{i}.png", cell) for i, cell in enumerate(cells)])
    reading = {"separator": separator, "header": header, "id_column": 1, "label_column": 2}
    try:
        content = stream.getvalue().encode(encoding)
    except UnicodeEncodeError:
        return
    try:
        found = load(pictures, content, encoding=None if encoding.startswith("utf") else encoding, **reading)
    except EquirgzError as error:
        assert "\n" not in str(error) and ("expected" in str(error) or "unknown" in str(error))
        return
    for cell, label in zip(cells, found, strict=True):
        tidy = unicodedata.normalize("NFC", cell).strip()
        if label is None:
            assert tidy in ("", "-1", "\ufeff") or tidy.lower() == "nan"
        else:
            assert label == tidy_text(tidy) or float(tidy) == int(label)


def test_options_are_values(tmp_path):
    assert CatalogueOptions().told() == {}
    assert CatalogueOptions(id_column="x", missing=("?",)).told() == {"id_column": "x", "missing": ("?",)}
    (tmp_path / "c.csv").write_text("id,flux,flag\n007,1.5,True\n1,NA,False\n")
    table = read_catalogue(tmp_path / "c.csv")
    assert table["id"].tolist() == ["007", "1"] and table["flag"].tolist() == [True, False]
    pd.testing.assert_series_equal(table["flux"], pd.Series([1.5, np.nan], name="flux"))


@pytest.mark.parametrize(
    ("text", "use"),
    [
        ("name;ra;dec\na;12,5;-3,25\nb;13;-3,5\n", lambda table, source: get_positions(table, source=source)),
        ("name;label\na;0,25\nb;,75\nc;\n", lambda table, source: encode_labels(table["label"], source=source)),
        ("name;FRI\na;0,25\nb;1\n", lambda table, source: count_votes(table, {"FRI": "FRI"}, 0.5, source)),
    ],
)
def test_numbers_with_decimal_commas_are_refused_where_they_are_used(tmp_path, text, use):
    path = tmp_path / "table.csv"
    path.write_text(text)
    table = read_catalogue(path)
    with pytest.raises(DataError, match="expected numbers with a decimal point, got '.*,.*'; write points in place"):
        use(table, str(path))
    path.write_text(text.replace(",", "."))
    if "label" not in text:
        use(read_catalogue(path), str(path))


def test_lists_with_commas_are_no_numbers(tmp_path):
    (tmp_path / "table.csv").write_text("name;label\na;x,y\nb;1,2\n")
    assert encode_labels(read_catalogue(tmp_path / "table.csv")["label"])[1] == ("1,2", "x,y")
