import hashlib
import http.server
import io
import threading
import time
import urllib.parse
import warnings

import numpy as np
import pytest
from astropy.io import fits

from equirgz.data import download
from equirgz.data.download import copy_set, fetch_set
from equirgz.data.facts import SETS, SetInfo
from equirgz.data.formats.fits import load_fits
from equirgz.data.sky.remote import fetch_cutouts, make_client, position_name
from equirgz.errors import DataError, InputError
from tests.data.formats.test_fits import make_header

FORM = """<html><body><form action="/cgi/runquery.pl" method="get">
<input type="text" name="Position"/><input type="text" name="pixels" value="300"/>
<select name="survey" id="Radio"><option value="VLA FIRST (1.4 GHz)">VLA FIRST (1.4 GHz)</option></select>
<input type="submit" value="go"/></form></body></html>"""


class Server(http.server.BaseHTTPRequestHandler):
    """A stand-in for SkyView (form, query, image) and for a file server, on 127.0.0.1."""

    files: dict[str, bytes] = {}
    log: list[tuple[str, float]] = []
    fail: dict[str, int] = {}

    def do_GET(self):
        url = urllib.parse.urlparse(self.path)
        query = {key: values[0] for key, values in urllib.parse.parse_qs(url.query).items()}
        if url.path == "/form":
            self.reply(FORM.encode(), "text/html")
        elif url.path == "/cgi/runquery.pl":
            self.query(query.get("Position") or query.get("position") or "")
        elif url.path.endswith(".fits"):
            self.reply(self.image(url.path), "application/fits")
        elif url.path in self.files:
            content = self.files[url.path]
            self.send_response(200)
            self.send_header("Content-Length", str(len(content) + (100 if "short" in url.path else 0)))
            self.end_headers()
            self.wfile.write(content)
        else:
            self.send_error(404)

    do_POST = do_GET

    def query(self, position):
        self.log.append((position, time.monotonic()))
        ra = position.replace(",", " ").split()[0] if position else ""
        if self.fail.get(ra, 0) > 0:
            self.fail[ra] -= 1
            self.send_error(503, "busy")
        elif ra.startswith("99"):
            self.reply(b"<html><body>no image</body></html>", "text/html")
        else:
            name = "nan" if ra.startswith("77") else f"ra{ra}"
            link = f"http://127.0.0.1:{self.server.server_address[1]}/tempspace/fits/{name}.fits"
            self.reply(f'<html><body><a href="{link}">FITS</a></body></html>'.encode(), "text/html")

    def image(self, path):
        pixels = np.full((12, 12), np.nan) if "nan" in path else np.ones((12, 12))
        buffer = io.BytesIO()
        fits.PrimaryHDU(pixels.astype(np.float32), make_header(1.8, 12)).writeto(buffer)
        return buffer.getvalue()

    def reply(self, content, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    Server.files, Server.log, Server.fail = {}, [], {}
    http_server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{http_server.server_address[1]}"
    http_server.shutdown()
    thread.join()
    http_server.server_close()


CONTENT = np.random.default_rng(0).bytes(3_000_000)
INFO = SetInfo("toy", "a toy", "toy.bin", hashlib.md5(CONTENT).hexdigest(), None, "free", "nobody", ("npz",))


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.setitem(SETS, "toy", INFO)


def test_an_archive_is_fetched_checked_and_kept(server, toy, tmp_path):
    Server.files["/toy.bin"] = CONTENT
    seen = []
    path = fetch_set("toy", tmp_path / "root", url=f"{server}/toy.bin", progress=lambda d, t: seen.append((d, t)))
    assert path.read_bytes() == CONTENT and seen[-1] == (len(CONTENT), len(CONTENT)) and len(seen) >= 3
    Server.files.clear()
    assert fetch_set("toy", tmp_path / "root", url=f"{server}/toy.bin") == path  # nothing asked again
    assert [p.name for p in path.parent.iterdir()] == ["toy.bin"]


def test_a_file_of_the_same_name_is_never_overwritten(server, toy, tmp_path):
    Server.files["/toy.bin"] = CONTENT
    theirs, by_hand = tmp_path / "toy.bin", _write(tmp_path / "by_hand", CONTENT)
    theirs.write_bytes(b"another file of this name")
    asks = (lambda: fetch_set("toy", tmp_path, url=f"{server}/toy.bin"), lambda: copy_set("toy", by_hand, tmp_path))
    for ask in asks:
        with pytest.raises(DataError, match="toy.bin: md5: expected"):
            ask()
    assert theirs.read_bytes() == b"another file of this name" and len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("/toy.bin", CONTENT[:-1], "expected md5:[0-9a-f]+ but got [0-9a-f]+"),
        ("/short.bin", CONTENT, "expected 3000100 bytes, got 3000000|IncompleteRead|cannot fetch"),
        ("/absent.bin", None, "cannot fetch .*Not Found"),
    ],
)
def test_failed_downloads_leave_nothing_behind(server, toy, tmp_path, name, content, expected):
    if content is not None:
        Server.files[name] = content
    with pytest.raises(DataError, match=expected):
        fetch_set("toy", tmp_path, url=server + name)
    assert list(tmp_path.iterdir()) == []


def test_sets_without_address_and_unreachable_servers_are_explained(toy, tmp_path):
    with pytest.raises(DataError, match="no public address; ask its authors"):
        fetch_set("rgz_108k", tmp_path)
    for ask in (lambda: fetch_set("digits", tmp_path), lambda: copy_set("mightee", tmp_path / "x", tmp_path)):
        with pytest.raises(DataError, match=r"expected a set of one file, got one of another form; see https"):
            ask()
    with pytest.raises(DataError) as told:
        fetch_set("toy", tmp_path, url="http://127.0.0.1:9/toy.bin")
    line = (
        "cannot fetch http://127.0.0.1:9/toy.bin: no connection to 127.0.0.1; check the network and fetch it again, or "
    )
    assert str(told.value) == f"{line}download it by hand into {tmp_path}"
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="choose another data root"):
        fetch_set("toy", tmp_path / "file" / "root", url="http://127.0.0.1:9/toy.bin")
    assert download.verify(INFO, _write(tmp_path / "by_hand", CONTENT)) is None
    assert copy_set("toy", tmp_path / "by_hand", tmp_path / "root").read_bytes() == CONTENT


def _write(path, content):
    path.write_bytes(content)
    return path


@pytest.fixture
def client(server):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = make_client(f"{server}/form")
    client.TIMEOUT = 5
    return client


POSITIONS = np.array([[150.1, -2.5], [99.0, 1.0], [77.0, 1.0], [12.25, 60.0]])


def test_cutouts_are_fetched_resumed_and_failures_listed(client, tmp_path):
    Server.fail["12.25"] = 1
    options = {"size": 12, "requests_per_s": 1000.0, "retries": 1, "client": client}
    report = fetch_cutouts(POSITIONS, tmp_path, names=list("abcd"), **options)
    assert report.done == ["a", "d"] and set(report.failed) == {"b", "c"} and report.skipped == []
    assert "NaN" in report.failed["c"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.fits", "d.fits", "failed.txt"]
    assert len((tmp_path / "failed.txt").read_text().splitlines()) == 2
    assert load_fits(tmp_path / "a.fits").pixel_scale_arcsec == pytest.approx(1.8)
    (tmp_path / "d.fits").write_bytes(b"half a file")
    asked = len(Server.log)
    again = fetch_cutouts(POSITIONS[[0, 3]], tmp_path, names=["a", "d"], **options)
    assert again.skipped == ["a"] and again.done == ["d"] and len(Server.log) == asked + 1
    assert not (tmp_path / "failed.txt").exists() and again.lines() == ["1 fetched, 1 there already, 0 failed"]


def test_the_rate_is_kept(client, tmp_path):
    positions = np.stack([np.linspace(10, 20, 4), np.zeros(4)], 1)
    start = time.monotonic()
    fetch_cutouts(positions, tmp_path, size=12, requests_per_s=5.0, client=client)
    assert len(Server.log) == 4 and time.monotonic() - start >= 3 / 5.0  # a busy machine only takes longer
    assert (tmp_path / f"{position_name(10.0, 0.0)}.fits").is_file()


def test_bad_arguments_are_refused(tmp_path):
    with pytest.raises(InputError, match="unknown 'vlass'"):
        fetch_cutouts(POSITIONS, tmp_path, survey="vlass", client=object())
    with pytest.raises(InputError, match="4 different ones"):
        fetch_cutouts(POSITIONS, tmp_path, names=list("aabc"), client=object())
    with pytest.raises(InputError, match="requests_per_s > 0"):
        fetch_cutouts(POSITIONS, tmp_path, requests_per_s=0, client=object())
    assert position_name(12.25, -0.5) == "012.2500-00.5000"
