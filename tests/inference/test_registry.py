"""Models by name: pulled when that is asked for, whatever the network does, and never used when they are not the right ones."""

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import threading
import traceback
import urllib.request
from pathlib import Path

import pytest

from framehook.inference import download
from framehook.inference import registry as of_framehook
from framehook.inference.download import _SafeRedirects, fetch
from framehook.inference.errors import DownloadError, ModelNotFoundError
from framehook.inference.registry import ENTRIES, Entry, Registry, models_folder

from ..servers.files import FileServer, Served  # noqa: TID252 - servers that several folders of tests share

CONTENT = bytes(range(256)) * 4096
"""A megabyte, so that no buffer holds all of it."""
OTHER = CONTENT[::-1]


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def served():
    return Served(CONTENT)


@pytest.fixture
def server(served):
    with FileServer({"/net.onnx": served}) as server:
        yield server


@pytest.fixture
def make(server, tmp_path):
    """A registry of one model, `net`; what is passed is changed about its entry."""

    def made(**changes):
        entry = {"size": len(CONTENT), "sha256": sha256(CONTENT), **changes}
        known = Entry(
            "net", changes.pop("url", f"{server.url}/net.onnx"), "Apache-2.0", "a net", entry["size"], entry["sha256"]
        )
        return Registry([known], tmp_path / "models")

    return made


def part_of(registry):
    return registry.folder / "net.onnx.part"


def test_nothing_is_found_before_it_was_pulled_and_nobody_is_asked_then_or_later(make, served):
    registry = make()
    assert registry.find("net") is None
    assert registry.how_to_get("net") == "Pull it first: framehook models pull net"
    assert served.asked == []
    told = []
    path = registry.pull("net", progress=lambda done, total: told.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert told[0] == (0, len(CONTENT))
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert told == sorted(told)
    assert registry.find("net") == path == registry.pull("net")
    assert served.asked == [""]
    assert not part_of(registry).exists()
    assert registry.find("other") is None


def test_a_cut_connection_is_taken_up_where_it_broke_off(make, served):
    served.cut, served.cuts = 300_000, 2
    told = []
    path = make().pull("net", progress=lambda done, total: told.append(done))
    assert path.read_bytes() == CONTENT
    assert served.asked == ["", "bytes=300000-", "bytes=600000-"]
    assert told == sorted(told)


def test_one_that_is_cut_too_often_is_kept_and_gone_on_with_by_the_next_call(make, served):
    served.cut, served.cuts = 100_000, 4
    registry = make()
    with pytest.raises(
        DownloadError, match=r"net cannot be pulled: 127\.0\.0\.1:\d+ broke off after 400,000 of 1,048,576 bytes"
    ):
        registry.pull("net")
    assert part_of(registry).stat().st_size == 400_000
    assert registry.find("net") is None
    assert registry.pull("net").read_bytes() == CONTENT
    assert served.asked[-1] == "bytes=400000-"


def test_a_server_without_ranges_starts_over(make, served):
    served.ranges = False
    served.cut = 300_000
    assert make().pull("net").read_bytes() == CONTENT
    assert served.asked == ["", "bytes=300000-"]


def test_a_file_that_changed_meanwhile_is_begun_anew_and_not_patched_together(make, served):
    registry = make(size=None, sha256=None)
    served.cut, served.cuts = 100_000, 4
    with pytest.raises(DownloadError, match="run it again to go on from there"):
        registry.pull("net")
    served.content, served.etag = OTHER, '"2"'
    assert registry.pull("net").read_bytes() == OTHER
    assert served.asked[-1] == "bytes=400000-"


def test_a_part_of_a_file_without_version_or_checksum_is_not_gone_on_with(make, served):
    served.etag, served.cut, served.cuts = None, 100_000, 4
    registry = make(size=None, sha256=None)
    with pytest.raises(DownloadError):
        registry.pull("net")
    served.cut = None
    before = len(served.asked)
    assert registry.pull("net").read_bytes() == CONTENT
    assert served.asked[before:] == [""]


def test_what_is_whole_but_was_not_checked_yet_is_not_asked_for_again(make, served):
    registry = make()
    registry.folder.mkdir()
    part_of(registry).write_bytes(CONTENT)
    assert registry.pull("net").read_bytes() == CONTENT
    assert served.asked == []


def test_more_than_there_is_on_the_server_is_begun_anew(make, served):
    registry = make(size=None)
    registry.folder.mkdir()
    part_of(registry).write_bytes(CONTENT + b"more")
    assert registry.pull("net").read_bytes() == CONTENT
    assert served.asked == [f"bytes={len(CONTENT) + 4}-", ""]


def test_a_wrong_file_is_removed_and_both_checksums_are_told(make, served):
    served.content = OTHER
    registry = make()
    with pytest.raises(DownloadError) as caught:
        registry.pull("net")
    assert sha256(OTHER) in str(caught.value)
    assert sha256(CONTENT) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [path.name for path in registry.folder.iterdir()] == ["net.onnx.lock"]


@pytest.mark.parametrize(
    ("content", "headers", "said"),
    [
        (CONTENT + b"x", {}, "is 1,048,577 bytes long, not 1,048,576 as expected"),
        (CONTENT[:-1], {}, "is 1,048,575 bytes long, not 1,048,576 as expected"),
        (CONTENT + b"x", {"Content-Length": None}, "does not end after 1,048,576 bytes as expected"),
    ],
)
def test_a_file_of_another_length_is_refused(make, served, content, headers, said):
    served.content, served.headers = content, headers
    registry = make()
    with pytest.raises(DownloadError, match=said):
        registry.pull("net")
    assert not part_of(registry).exists()


def test_a_file_of_unknown_length_is_bounded(server, served, tmp_path):
    with pytest.raises(DownloadError, match="is 1,048,576 bytes long, not at most 1,000 as expected"):
        fetch(f"{server.url}/net.onnx", tmp_path / "net.onnx", most=1000)
    served.headers = {"Content-Length": None}
    with pytest.raises(DownloadError, match="does not end after 1,000 bytes"):
        fetch(f"{server.url}/net.onnx", tmp_path / "net.onnx", most=1000, sha256=sha256(CONTENT))
    with pytest.raises(DownloadError, match="does not say how long it is"):
        fetch(f"{server.url}/net.onnx", tmp_path / "net.onnx")


def test_a_file_that_does_not_fit_the_disk_is_not_begun(server, served, tmp_path):
    served.headers = {"Content-Length": str(10**18)}
    with pytest.raises(DownloadError, match=r"1,000,000,000,000,000,000 bytes do not fit into .*; free some space"):
        fetch(f"{server.url}/net.onnx", tmp_path / "net.onnx", most=10**18)
    assert not (tmp_path / "net.onnx.part").exists()


@pytest.fixture
def disk(tmp_path):
    """A folder on a disk of 512 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_disk_that_fills_up_is_told(server, served, disk):
    served.headers = {"Content-Length": None}  # so that nobody can know beforehand
    with pytest.raises(DownloadError, match=r"the disk of .* is full; free some space and run it again"):
        fetch(f"{server.url}/net.onnx", disk / "net.onnx", sha256=sha256(CONTENT))


def test_a_folder_that_cannot_be_written_is_told(server, tmp_path):
    (tmp_path / "models").write_text("a file where the folder should be")
    with pytest.raises(DownloadError, match=r"models.net\.onnx cannot be written: "):
        fetch(f"{server.url}/net.onnx", tmp_path / "models" / "net.onnx")


@pytest.mark.parametrize("status", [404, 403, 500, 503])
def test_an_answer_that_is_no_file_is_told(make, server, served, status):
    served.status = status
    with pytest.raises(DownloadError, match=rf"{server.url}/net\.onnx cannot be had: 127\.0\.0\.1:\d+ answers {status} "):
        make().pull("net")


def test_a_web_page_in_place_of_a_file_is_refused(make, served):
    served.headers = {"Content-Type": "text/html; charset=utf-8"}
    with pytest.raises(DownloadError, match="answers with a web page, not with a file"):
        make().pull("net")


def test_nobody_at_the_address_is_told_with_what_can_be_done_by_hand(make, server):
    registry = make()
    server.close()
    with pytest.raises(DownloadError) as caught:
        registry.pull("net")
    assert "cannot be reached: the connection is refused" in str(caught.value)
    assert f"can be put at {registry.path_of('net')}" in str(caught.value)


def test_a_server_that_falls_silent_is_given_up_on_and_what_it_sent_is_kept(server, served, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "ATTEMPTS", 2)
    served.stall = 100_000
    with pytest.raises(DownloadError, match="sends nothing any more; what has arrived is kept"):
        fetch(f"{server.url}/net.onnx", tmp_path / "net.onnx", sha256=sha256(CONTENT), timeout=1)
    assert (tmp_path / "net.onnx.part").read_bytes() == CONTENT[:200_000]


def test_redirections_are_followed_and_go_on_from_a_part(make, server, served):
    server.files["/moved.onnx"] = Served(b"", status=302, location="/net.onnx")
    served.cut = 300_000
    assert make(url=f"{server.url}/moved.onnx").pull("net").read_bytes() == CONTENT
    assert served.asked == ["", "bytes=300000-"]


@pytest.mark.parametrize("elsewhere", ["http://example.org/net.onnx", "ftp://example.org/net.onnx", "file:///etc/hostname"])
def test_addresses_where_somebody_could_listen_in_are_not_asked(make, server, elsewhere):
    with pytest.raises(DownloadError, match="is no https address"):
        make(url=elsewhere).pull("net")
    server.files["/moved.onnx"] = Served(b"", status=302, location=elsewhere)
    with pytest.raises(DownloadError, match=r"is no https address|cannot be had"):
        make(url=f"{server.url}/moved.onnx").pull("net")


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://127.0.0.1:1/net.onnx?X-Signature=secret", "127.0.0.1:1"),
        ("http://me:secret@127.0.0.1:1/net.onnx?X-Signature=secret", "127.0.0.1:1"),
        ("https://me:secret@nowhere.invalid/net.onnx", "nowhere.invalid"),
        ("https://me:se/secret@nowhere.invalid/net.onnx", "nowhere.invalid"),
        ("https://nowhere.invalid/a net.onnx?token=secret", "nowhere.invalid"),
    ],
)
def test_passwords_and_signatures_in_addresses_are_not_told(make, server, url, host):
    server.files["/moved.onnx"] = Served(b"", status=302, location=url)
    for address in (url, f"{server.url}/moved.onnx"):
        with pytest.raises(DownloadError) as caught:
            make(url=address).pull("net")
        told = "".join(traceback.format_exception(caught.value))
        assert "secret" not in told
        assert host in told or address != url


def test_user_names_in_addresses_are_refused_before_anybody_is_asked(make, server, served):
    for url in (server.url.replace("//", "//me@"), server.url.replace("//", "//me:secret@")):
        with pytest.raises(DownloadError, match="has a user name or password in it, which is not sent; leave that out"):
            make(url=f"{url}/net.onnx").pull("net")
    assert served.asked == []


@pytest.mark.parametrize(
    "location", ["http://[bad/x", "http://127.0.0.1:99999/x", "https:///x", "https://a.invalid/" + "x" * 9000]
)
def test_redirections_to_what_is_no_address_are_told_in_one_line(make, server, location):
    server.files["/moved.onnx"] = Served(b"", status=302, location=location)
    with pytest.raises(DownloadError) as caught:
        make(url=f"{server.url}/moved.onnx").pull("net")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


def test_from_https_nothing_sends_to_plain_http_of_this_machine():
    asked = urllib.request.Request("https://example.org/net.onnx")
    follow = _SafeRedirects().redirect_request
    with pytest.raises(DownloadError, match=r"http://localhost:8000/net\.onnx is no https address"):
        follow(asked, io.BytesIO(), 302, "Found", {}, "http://localhost:8000/net.onnx")
    assert follow(asked, io.BytesIO(), 302, "Found", {}, "https://example.net/net.onnx").full_url.endswith(".net/net.onnx")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"HTTP/1.1 404 Not\x1b[31m found " + b"x" * 5000 + b"\r\nContent-Length: 0\r\n\r\n", r"answers 404 Not Found$"),
        (b"HTTP/1.1 302 Found\r\nLocation: /net.onnx\r\nContent-Length: 0\r\n\r\n", "answers 302, and sends on and on"),
        (b"\x00\x1b[2J garbage\r\n\r\n", "what it answers is no HTTP"),
        (b"", "the connection was closed too early"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: \xb2\r\nETag: \xb2\r\n\r\nabc", "does not say how long it is"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nabc", "does not say how long it is"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n", "the connection was closed too early"),
        (b"HTTP/1.1 206 Partial Content\r\nContent-Length: 3\r\nContent-Range: bytes \xb2-\r\n\r\nabc", "is not the rest"),
    ],
)
def test_what_a_strange_server_says_is_told_in_words_of_ours(make, served, raw, said):
    served.raw = raw
    with pytest.raises(DownloadError, match=said) as caught:
        make(size=None, sha256=None).pull("net")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("content", "headers", "said"),
    [(b"", {}, "is empty"), (gzip.compress(CONTENT), {"Content-Encoding": "gzip"}, "is packed for the way")],
)
def test_nothing_and_packed_answers_are_no_files(make, served, content, headers, said):
    served.content, served.headers = content, headers
    registry = make(size=None, sha256=None)
    with pytest.raises(DownloadError, match=said):
        registry.pull("net")
    assert not registry.path_of("net").exists()
    assert not part_of(registry).exists()


@pytest.mark.parametrize(
    ("changed", "headers"), [(OTHER + b"more", {}), (OTHER, {"ETag": '"2"'})], ids=("another length", "another version")
)
def test_a_rest_that_does_not_belong_to_the_part_is_not_joined_to_it(make, served, changed, headers):
    registry = make(size=None, sha256=None)
    served.cut, served.cuts = 100_000, 4
    with pytest.raises(DownloadError):
        registry.pull("net")
    served.content, served.headers = changed, headers  # while the server claims by its ranges that nothing has changed
    assert registry.pull("net").read_bytes() == changed


@pytest.mark.parametrize("validator", [{}, 5, "a\r\nX: y", "", "\xb2", "x" * 100_000])
def test_damaged_notes_of_a_part_are_no_obstacle(make, served, validator):
    registry = make(size=None, sha256=None)
    registry.folder.mkdir()
    part_of(registry).write_bytes(OTHER[:1000])
    notes = {"url": registry.entries["net"].url, "validator": validator, "total": "many"}
    part_of(registry).with_name("net.onnx.part.json").write_text(json.dumps(notes))
    assert registry.pull("net").read_bytes() == CONTENT
    assert served.asked == [""]


def test_a_checksum_that_cannot_be_noted_is_told_and_leaves_nothing_behind(make):
    registry = make(size=None, sha256=None)
    (registry.folder / "net.json").mkdir(parents=True)
    with pytest.raises(DownloadError, match=r"net is at .*net\.onnx, but its checksum cannot be noted in .*net\.json: "):
        registry.pull("net")
    assert {path.name for path in registry.folder.iterdir()} == {"net.json", "net.onnx", "net.onnx.lock"}


def test_two_pulls_at_once_do_not_mix(make, server, served):
    served.stall = 1000
    registry = make()
    failed = []

    def pull():
        try:
            registry.pull("net")
        except DownloadError as error:
            failed.append(error)

    first = threading.Thread(target=pull)
    first.start()
    assert server.stalling.wait(20)
    with pytest.raises(DownloadError, match=r"is being downloaded to .* already; wait until that is done"):
        registry.pull("net")
    server.close()
    first.join()
    assert len(failed) == 1
    assert "already" not in str(failed[0])


def test_a_checksum_that_nobody_pinned_is_recorded_and_holds_from_then_on(make, served):
    registry = make(size=None, sha256=None)
    path = registry.pull("net")
    record = path.with_suffix(".json")
    assert json.loads(record.read_text())["sha256"] == sha256(CONTENT)
    served.content, served.etag = OTHER, '"2"'
    with pytest.raises(DownloadError, match=rf"has the sha256 {sha256(OTHER)}, not {sha256(CONTENT)} as expected") as caught:
        registry.pull("net", force=True)
    assert str(caught.value).endswith(f"to take it nevertheless, delete {record}")
    assert path.read_bytes() == CONTENT
    assert registry.find("net") == path
    path.unlink()  # even when the file is gone
    with pytest.raises(DownloadError):
        registry.pull("net")
    record.unlink()
    assert registry.pull("net").read_bytes() == OTHER


def test_a_file_that_changed_on_the_disk_is_not_found_and_pulled_again(make, served):
    registry = make()
    path = registry.pull("net")
    path.write_bytes(OTHER)
    assert registry.find("net") is None
    assert registry.how_to_get("net") == f"Its file {path} is damaged; pull it again: framehook models pull net"
    assert registry.pull("net").read_bytes() == CONTENT
    os.utime(path)  # the same content at another time
    assert registry.find("net") == path


def test_a_right_file_that_was_copied_there_is_found_and_a_wrong_one_is_not(make):
    registry = make()
    registry.folder.mkdir()
    registry.path_of("net").write_bytes(CONTENT)
    assert registry.find("net") == registry.path_of("net")
    assert make(sha256=sha256(OTHER)).find("net") is None


def test_what_was_found_once_is_not_read_again(make):
    registry = make()
    path = registry.pull("net")
    when = path.stat()
    path.write_bytes(OTHER)
    os.utime(path, ns=(when.st_atime_ns, when.st_mtime_ns))
    assert registry.find("net") == path  # size and time are all that is looked at: that it is quick matters for every start


def test_damaged_records_are_no_obstacle(make):
    registry = make()
    path = registry.pull("net")
    path.with_suffix(".json").write_text("{")
    assert registry.find("net") == path
    assert json.loads(path.with_suffix(".json").read_text())["sha256"] == sha256(CONTENT)


def test_forced_it_is_pulled_again(make, served):
    registry = make()
    registry.pull("net")
    registry.pull("net", force=True)
    assert served.asked == ["", ""]


def test_unknown_names_tell_the_nearest():
    with pytest.raises(
        ModelNotFoundError, match=r"there is no model 'yolox_nan' to pull\. Did you mean 'yolox_nano'\? Known are"
    ):
        of_framehook.REGISTRY.pull("yolox_nan")


GET = (
    "Framehook downloads nothing by itself: get {}.pt from its makers' releases (github.com/ultralytics/assets, AGPL-3.0) "
    "and pass its path"
)
NONE = "or name no model for the bundled detector"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("yolox_tiny", "Pull it first: framehook models pull yolox_tiny"),
        ("yolox_tiny.onnx", "Pull it first: framehook models pull yolox_tiny"),
        ("models/yolox_tiny.onnx", "Pull it first: framehook models pull yolox_tiny"),
        ("yolox-tiny", "Did you mean 'yolox_tiny'? framehook models lists those that can be pulled"),
        ("yolov8n.pt", f"{GET.format('yolov8n')}, pass yolov8n.yaml for the same net untrained, {NONE}"),
        ("weights/yolo26x-seg.pt", f"{GET.format('yolo26x-seg')}, {NONE}"),
        ("yolo11n.onnx", f"{GET.format('yolo11n')}, export it from a checkpoint at hand: framehook export yolo11n.pt, {NONE}"),
        ("mine.onnx", None),
        ("best.pt", None),
        ("", None),
    ],
)
def test_a_model_that_is_not_there_is_told_with_a_way_to_it(tmp_path, name, said):
    assert Registry(folder=tmp_path).how_to_get(name) == said


def test_one_that_was_pulled_is_told_when_it_is_called_a_file(make):
    registry = make()
    registry.pull("net")
    assert registry.how_to_get("net.onnx") == "It was pulled; pass its name alone: net"


def test_the_table_is_pinned_and_its_licences_are_permissive():
    for entry in ENTRIES:
        assert entry.url.startswith("https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0/")
        assert entry.url.endswith(f"/{entry.name}.onnx")
        assert entry.licence == "Apache-2.0"
        assert len(bytes.fromhex(entry.sha256)) == 32
        assert entry.sha256 == entry.sha256.lower()
        assert 10**6 < entry.size < 2**30
    assert {"yolox_nano", "yolox_tiny", "yolox_s"} <= {entry.name for entry in ENTRIES}
    assert len({entry.sha256 for entry in ENTRIES}) == len(ENTRIES)


@pytest.mark.parametrize(
    ("platform", "environment", "folder"),
    [
        ("linux", {}, "/home/me/.cache/framehook/models"),
        ("linux", {"XDG_CACHE_HOME": "/big/cache"}, "/big/cache/framehook/models"),
        ("linux", {"XDG_CACHE_HOME": "not/absolute"}, "/home/me/.cache/framehook/models"),
        ("darwin", {"XDG_CACHE_HOME": "/big/cache"}, "/home/me/Library/Caches/framehook/models"),
        ("win32", {}, "/home/me/AppData/Local/framehook/models"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/framehook/models"),
        ("win32", {"FRAMEHOOK_HOME": "/mine"}, "/mine/models"),
        ("linux", {"FRAMEHOOK_HOME": "/mine", "XDG_CACHE_HOME": "/big/cache"}, "/mine/models"),
    ],
)
def test_models_lie_where_each_system_keeps_what_can_be_had_again(platform, environment, folder):
    assert models_folder(platform, environment, Path("/home/me")) == Path(folder)


def test_the_registry_of_framehook_looks_in_the_folder_that_the_environment_names(monkeypatch, tmp_path):
    monkeypatch.setenv("FRAMEHOOK_HOME", str(tmp_path))
    assert of_framehook.REGISTRY.folder == tmp_path / "models"
    assert of_framehook.find_model("yolox_nano") is None
    assert of_framehook.how_to_get("yolox_nano") == "Pull it first: framehook models pull yolox_nano"
