"""`framehook models pull`: what is typed, told and left on the disk."""

import hashlib
import os
import signal
import subprocess
import sys
import time

import pytest

from framehook.inference import registry
from framehook.inference.load import bundled_model
from framehook.inference.registry import Entry, Registry

from ..servers.files import FileServer, Served  # noqa: TID252 - servers that several folders of tests share


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("FRAMEHOOK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def served():
    """A model that runs."""
    return Served(bundled_model().read_bytes())


@pytest.fixture
def server(served):
    with FileServer({"/net.onnx": served}) as server:
        yield server


@pytest.fixture
def table(served, server, monkeypatch):
    """The registry of the command line, with models of the local server."""
    entries = [
        Entry("little_net", f"{server.url}/net.onnx", "MIT", "a little net", len(served.content), sha256(served.content)),
        Entry("lost_net", f"{server.url}/lost.onnx", "MIT", "another"),
    ]
    monkeypatch.setattr(registry, "REGISTRY", Registry(entries))
    return registry.REGISTRY


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def test_a_model_is_pulled_listed_and_described_by_its_name(framehook, table, served):
    listed = framehook("models")
    assert "  little_net  a little net, 3.4 MB, MIT; not pulled\n" in listed.out
    assert "  lost_net    another, MIT; not pulled\n" in listed.out
    assert served.asked == []
    told = framehook("models", "pull", "little_net")
    path = table.path_of("little_net")
    assert (told.code, told.err) == (0, "")
    assert told.out.startswith("little_net: a little net; 3.4 MB, pulled in ")
    assert f"  file     {path}\n" in told.out
    assert "  licence  MIT\n" in told.out
    assert "--model little_net\n" in told.out
    assert f"3.4 MB, MIT; pulled: {path}\n" in framehook("models").out
    described = framehook("models", "little_net")
    assert described.code == 0
    assert described.out.startswith("little_net.onnx  (3.4 MB)\n")
    assert "1: person" in described.out


def test_a_run_uses_it_by_its_name_and_downloads_nothing_by_itself(framehook, table, served):
    told = framehook("predict", "testsrc:64x48:2", "--model", "little_net")
    assert told.err == "error: no model file at little_net. Pull it first: framehook models pull little_net.\n"
    assert told.code == 2
    assert served.asked == []
    framehook("models", "pull", "little_net")
    told = framehook("predict", "testsrc:64x48:2", "--model", "little_net")
    assert (told.code, told.err) == (0, "")
    assert told.out.startswith("testsrc")
    assert len(served.asked) == 1


def test_one_that_is_there_is_not_pulled_again_unless_forced(framehook, table, served):
    framehook("models", "pull", "little_net")
    assert "3.4 MB, is there already\n" in framehook("models", "pull", "little_net").out
    assert len(served.asked) == 1
    assert "pulled in" in framehook("models", "pull", "little_net", "--force").out
    assert len(served.asked) == 2


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (["pull"], "models pull needs a name; known are little_net, lost_net (a file named pull is ./pull)", 2),
        (["pull", "litle_net"], "there is no model 'litle_net' to pull. Did you mean 'little_net'? Known are little_net, ", 2),
        (["pull", "little_net", "nonsense"], "there is no model 'nonsense' to pull", 2),
        (["pull", "person320"], "person320 comes with the package, there is nothing to pull", 2),
        (["little_net", "lost_net"], "models little_net lost_net is not clear; pass one file or name, or pull and names", 2),
        (["little_net", "--force"], "models little_net --force is not clear", 2),
        (["pull", "lost_net"], "/lost.onnx cannot be had: 127.0.0.1:", 1),
    ],
)
def test_what_cannot_be_pulled_is_told_in_one_line(framehook, table, served, words, said, code):
    told = framehook("models", *words)
    assert told.err.startswith("error: ")
    assert said in told.err
    assert len(told.err.splitlines()) == 1
    assert (told.code, told.out) == (code, "")
    assert served.asked == []


def test_a_file_goes_before_a_name_and_one_called_pull_can_be_named(framehook, table, tmp_path):
    for name in ("pull", "little_net"):
        (tmp_path / name).write_bytes(bundled_model().read_bytes())
        told = framehook("models", f"./{name}")
        assert told.out.startswith(f"{name}  (3.4 MB)\n")
    assert framehook("models", "little_net").out.startswith("little_net  (3.4 MB)\n")


PROGRAM = """
import sys
from framehook.inference import registry
from framehook.app.cli import main
url, sha256 = sys.argv[1:]
registry.REGISTRY = registry.Registry([registry.Entry("little_net", url, "MIT", "a little net", None, sha256)])
main(["models", "pull", "little_net"])
"""


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent to whole consoles there")
def test_ctrl_c_keeps_what_has_arrived_and_the_same_command_goes_on_from_there(served, server, tmp_path):
    def start():
        command = [sys.executable, "-c", PROGRAM, f"{server.url}/net.onnx", sha256(served.content)]
        return subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    served.stall = 1_000_000
    process = start()
    part = tmp_path / "home" / "models" / "little_net.onnx.part"
    deadline = time.monotonic() + 180
    while not (part.exists() and part.stat().st_size):
        assert time.monotonic() < deadline, "nothing arrived"
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=180)
    assert (process.returncode, out, err) == (130, "", "little_net is not whole yet; the same command goes on from here\n")
    arrived = part.stat().st_size
    assert 0 < arrived <= 1_000_000
    assert part.read_bytes() == served.content[:arrived]
    served.stall = None
    process = start()
    out, err = process.communicate(timeout=180)
    assert (process.returncode, err) == (0, "")
    assert (part.parent / "little_net.onnx").read_bytes() == served.content
    assert served.asked == ["", f"bytes={arrived}-"]
