"""What servers can do wrong: each is a real one on this computer, of a few lines."""

import base64
import json
import logging
import socket
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise

import pytest

from framehook.training.callbacks.remote import RemoteSession, send_left, uploader
from framehook.training.callbacks.remote.server import RefusedError, Run, Server, UnreachableError

pytest.importorskip("torch")

from .trainings import Training

SECRET = "hunter2/?#"


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.seen.append((self.path, dict(self.headers)))
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        status, answer, more = self.server.answer(self.path, body)
        self.send_response(status)
        for name, value in more.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def do_POST(self):
        self.do_GET()

    def do_PUT(self):
        self.do_GET()

    def log_message(self, *_):
        pass


@contextmanager
def answering(answer):
    """A server that answers what `answer(path, body)` says: status, content, headers."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    server.answer, server.seen, server.daemon_threads = answer, [], True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


LONG = 300.0
"""Seconds to wait for what must come; a machine with much else to do may hold any thread up."""


def until(condition):
    """Wait for it."""
    deadline = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def said(**content):
    return json.dumps(content).encode()


def test_credentials_reach_the_server_and_nothing_else(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    with answering(lambda path, body: (401, b"who is hunter2?", {})) as (server, url):
        session = RemoteSession(url.replace("://", f"://me:{SECRET}@"), wait=0, timeout=LONG)
        Training(tmp_path / "train", session, epochs=1).run(lambda epoch: until(lambda: "takes nothing" in caplog.text))
    assert {each["Authorization"] for _, each in server.seen} == {"Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode()}
    assert "it answers 401: check MLFLOW_TRACKING_USERNAME" in caplog.text
    kept = b"".join(path.read_bytes() for path in (tmp_path / "train").rglob("*") if path.is_file())
    for text in (caplog.text, kept.decode(errors="replace"), repr(session.status)):
        assert "hunter2" not in text
    assert session.status.waiting == 4


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, None),
        ({"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": "you"}, "Basic bWU6eW91"),
        ({"MLFLOW_TRACKING_TOKEN": "abc"}, "Bearer abc"),
    ],
)
def test_credentials_are_taken_from_the_variables_mlflow_has_for_them(variables, expected, monkeypatch):
    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with answering(lambda path, body: (200, b"{}", {})) as (server, url):
        Server(url, timeout=LONG).set_tag("run", "key", "value")
    assert server.seen[0][1].get("Authorization") == expected


def test_a_redirection_is_not_followed(tmp_path):
    with answering(lambda path, body: (200, b"{}", {})) as (other, elsewhere):
        answer = (302, b"", {"Location": elsewhere})
        with answering(lambda path, body: answer) as (_, url), pytest.raises(UnreachableError, match="it answers 302"):
            Server(url, timeout=LONG).get("run")
    assert other.seen == []


@pytest.mark.parametrize(
    ("status", "content", "error", "message"),
    [
        (503, b"<html>", UnreachableError, "503"),
        (404, b"<html>", UnreachableError, r"404 \(Not Found\)"),
        (429, said(error_code="RESOURCE_EXHAUSTED", message="slowly"), UnreachableError, "slowly"),
        (400, said(error_code="INVALID_PARAMETER_VALUE", message="no\nsuch"), RefusedError, r"400 \(no such\)"),
        (413, b"", RefusedError, "413"),
        (200, b"<html>hello", UnreachableError, "no MLflow server"),
        (200, b"[" * 100_000, UnreachableError, "no MLflow server"),
        (200, b"[1, 2]", UnreachableError, "no MLflow server"),
        (200, b"", UnreachableError, "no MLflow server"),
        (200, b"{}", UnreachableError, "no MLflow server"),
        (200, said(run={"info": {"run_id": 7}}), UnreachableError, "no MLflow server"),
    ],
)
def test_what_is_of_the_moment_is_told_from_what_stays_refused(status, content, error, message):
    with answering(lambda path, body: (status, content, {})) as (_, url), pytest.raises(error, match=message):
        Server(url, timeout=LONG).get("run")


def test_a_file_of_which_a_part_arrived_counts_as_not_sent(tmp_path):
    file = tmp_path / "best.pt"
    file.write_bytes(bytes(3_000_000))
    sizes = iter((1_000_000, 3_000_000))

    def answer(path, body):
        if "artifacts/list" not in path:
            return 200, b"", {}
        return 200, said(files=[{"path": "weights/best.pt", "is_dir": False, "file_size": next(sizes)}]), {}

    run = Run("abc", "1", "mlflow-artifacts:/1/abc/artifacts")
    with answering(answer) as (server, url):
        with pytest.raises(UnreachableError, match=r"of the 3,000,000 bytes of best\.pt it has 1,000,000"):
            Server(url, timeout=LONG).upload(run, "weights/best.pt", file)
        Server(url, timeout=LONG).upload(run, "weights/best.pt", file)
    assert server.seen[0][0] == "/api/2.0/mlflow-artifacts/artifacts/1/abc/artifacts/weights/best.pt"
    with pytest.raises(RefusedError, match="start it with --serve-artifacts"):
        Server(url, timeout=LONG).upload(Run("abc", "1", "s3://bucket/1"), "weights/best.pt", file)


def test_a_server_that_takes_connections_and_says_nothing_holds_nothing_up(tmp_path, caplog):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        session = RemoteSession(f"http://127.0.0.1:{silent.getsockname()[1]}", wait=0.3, timeout=3600)
        training = Training(tmp_path, session, epochs=3)
        training.run()
    assert session.status.waiting == 6
    assert session.status.waited < 30  # and the request under way was broken off: no thread is left
    assert "6 entries" in caplog.text


def test_a_file_that_is_being_sent_to_a_server_that_stopped_reading_can_be_broken_off(tmp_path):
    file = tmp_path / "best.pt"
    file.write_bytes(bytes(30_000_000))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = Server(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=3600)
        failures = []

        def upload():
            try:
                server.upload(Run("abc", "1", "mlflow-artifacts:/1"), "weights/best.pt", file)
            except UnreachableError as error:
                failures.append(error)

        sending = threading.Thread(target=upload)
        sending.start()
        taken, _ = silent.accept()
        with taken:
            assert taken.recv(1)
            server.abort()
            sending.join(LONG)
        assert not sending.is_alive()
    assert len(failures) == 1


@contextmanager
def trickling(begin):
    """A server that answers `begin`, and then a letter every few milliseconds, for ever."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ended = threading.Event()

        def answer():
            taken, _ = listening.accept()
            with taken, suppress(OSError):
                taken.sendall(begin)
                while not ended.wait(0.02):
                    taken.sendall(b" ")

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            ended.set()
            thread.join()


BEGUN = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{"


@pytest.mark.parametrize("begin", [BEGUN, b"HTTP/1.1 200 OK\r\nX: "])
def test_an_answer_that_trickles_in_is_given_up(begin):
    with trickling(begin) as url, pytest.raises(UnreachableError, match="it does not answer"):
        Server(url, timeout=0.1).get("run")


def test_an_answer_that_trickles_in_can_be_broken_off():
    with trickling(BEGUN) as url:
        server = Server(url, timeout=3600)
        failures = []

        def ask():
            try:
                server.get("run")
            except UnreachableError as error:
                failures.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        asking.join(0.2)  # it is among the letters by now, or will be told before
        assert asking.is_alive()
        server.abort()
        asking.join(LONG)
        assert not asking.is_alive()
    assert len(failures) == 1


class Tracking:
    """As much of an MLflow server as a session needs: what runs were made, and what figures they have."""

    def __init__(self):
        self.runs = {}

    def __call__(self, path, body):
        asked = json.loads(body) if body.startswith(b"{") else {}
        if "get-by-name" in path:
            return 200, said(experiment={"experiment_id": "1"}), {}
        if "runs/create" in path or "runs/get" in path:
            run = f"run{len(self.runs)}" if "create" in path else path.partition("=")[2]
            self.runs.setdefault(run, [])
            return 200, said(run={"info": {"run_id": run, "experiment_id": "1", "artifact_uri": "s3://bucket"}}), {}
        if "log-batch" in path:
            self.runs[asked["run_id"]] += [each["value"] for each in asked["params"] if each["key"] == "lr0"]
            self.runs[asked["run_id"]] += [each["step"] for each in asked["metrics"] if each["key"] == "fitness"]
        return 200, b"{}", {}


def test_a_training_that_begins_anew_in_a_used_folder_has_a_run_of_its_own(tmp_path):
    with answering(Tracking()) as (server, url):
        session = RemoteSession(url, wait=LONG, timeout=LONG)
        Training(tmp_path, session, epochs=2, lr0=0.25).run()
        Training(tmp_path, session, epochs=1, lr0=0.5).run()
        Training(tmp_path, session, epochs=2, start_epoch=1, lr0=0.5).run()
    assert server.answer.runs == {"run0": ["0.25", 1, 2], "run1": ["0.5", 1, 2]}


def test_what_an_earlier_training_left_in_the_folder_goes_to_its_own_run(tmp_path, caplog):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        away = f"http://127.0.0.1:{silent.getsockname()[1]}"
        Training(tmp_path, RemoteSession(away, wait=0), epochs=1, lr0=0.25).run()
    with answering(Tracking()) as (server, url):
        Training(tmp_path, RemoteSession(url, wait=LONG, timeout=LONG), epochs=2, lr0=0.5).run()
        assert "what an earlier training left waits in" in caplog.text
        assert server.answer.runs == {"run0": ["0.5", 1, 2]}
        sent = send_left(tmp_path, url=url, wait=LONG, timeout=LONG)
        assert (sent.sent, sent.left, sent.host) == (3, 0, url[7:])
    assert server.answer.runs == {"run0": ["0.5", 1, 2], "run1": ["0.25", 1]}


def test_attempts_come_seldomer_the_longer_a_server_is_away(tmp_path, monkeypatch):
    monkeypatch.setattr(uploader, "FIRST", 0.05)
    times = []

    def answer(path, body):
        times.append(time.monotonic())
        return 503, b"", {}

    with answering(answer) as (_, url):
        session = RemoteSession(url, wait=0, timeout=LONG, metrics_every=0)
        Training(tmp_path, session, epochs=1).run(lambda epoch: until(lambda: session.status.failures >= 4))
    pauses = [after - before for before, after in pairwise(times)]
    assert len(pauses) >= 3
    assert all(pause >= 0.8 * 0.05 * 2**number for number, pause in enumerate(pauses[:3]))
    assert len(times) <= session.status.failures + 1
