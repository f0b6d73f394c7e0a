"""Sessions on a real `mlflow server`; all of these are in one file, as it takes seconds to start."""

import logging
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from framehook import Model
from framehook.inference.callbacks import Callbacks
from framehook.inference.errors import CallbackError, OptionError, TrainingError
from framehook.training.callbacks.remote import RemoteSession, UsageEvents, send_left
from framehook.training.callbacks.remote import session as session_module
from framehook.training.callbacks.remote import usage as usage_module
from framehook.training.callbacks.remote.__main__ import main as send_left_command
from framehook.training.callbacks.remote.facts import private_texts, texts
from framehook.training.callbacks.remote.lock import FolderLock
from framehook.training.data.description import DataSpec
from framehook.training.options import ValOptions

pytest.importorskip("torch")
pytest.importorskip("mlflow.server")
pytest.importorskip("sqlalchemy")

from .mlflow_server import MlflowServer
from .trainings import Training, fitness_of

# MLflow's own, in its client.
pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning"), pytest.mark.filterwarnings("ignore::FutureWarning")]

LONG = 300.0
"""Seconds to wait for what must come; a machine with much else to do may hold any process up."""
ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    server = MlflowServer(tmp_path_factory.mktemp("mlflow"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def server(started):
    started.wait()
    return started


@pytest.fixture
def nowhere():
    """Address at which no server is, nor comes to be: its port is taken."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def session_on(server, **options):
    """A session that waits for the server as long as it takes."""
    return RemoteSession(server.url, wait=LONG, timeout=LONG, **options)


def until(condition):
    """Wait for it."""
    deadline = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Seen:
    """What MLflow's own client sees of the one run of an experiment."""

    def __init__(self, server, experiment):
        from mlflow.tracking import MlflowClient

        self._client = MlflowClient(tracking_uri=server.url)
        found = self._client.get_experiment_by_name(experiment)
        self.runs = self._client.search_runs([found.experiment_id])
        self._files = server.files / found.experiment_id

    @property
    def run(self):
        assert len(self.runs) == 1
        return self.runs[0]

    def history(self, name):
        """Values by step; each step must be there once."""
        entries = self._client.get_metric_history(self.run.info.run_id, name)
        assert set(Counter(each.step for each in entries).values()) <= {1}
        return {each.step: each.value for each in entries}

    def file(self, name):
        return (self._files / self.run.info.run_id / "artifacts" / name).read_bytes()


def fitnesses(epochs):
    return {epoch + 1: fitness_of(epoch) for epoch in epochs}


# Without a server -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://me:hunter2@host", "no address of an MLflow server"),
        ("host:5000", "no address of an MLflow server"),
        ("http:/me:hunter2@host", "no address of an MLflow server"),
        ("http://me:hunter2@host:port", "no address of an MLflow server"),
        ("http://me:hunter2@host:5000/#/experiments/0", "; pass http://host:5000$"),
        ("http://me:hunter2@host:5000?x=1", "; pass http://host:5000$"),
        ("http://me:hunter2@ho st:5000", "; pass one like http://host:5000$"),
        ("http://host:5000 ", "; pass http://host:5000$"),
        ("", "no MLflow server was named"),
    ],
)
def test_what_is_no_server_is_told_when_the_session_is_made_and_no_password_is_shown(url, message, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for kind in (RemoteSession, UsageEvents):
        with pytest.raises(OptionError, match=message) as told:
            kind(url or None)
        assert "hunter2" not in str(told.value)


@pytest.mark.parametrize("option", ["metrics_every", "checkpoints_every", "heartbeat", "wait", "timeout", "limit_mb"])
def test_a_value_that_is_not_possible_is_told_when_the_session_is_made(option):
    with pytest.raises(OptionError, match=option):
        RemoteSession("http://127.0.0.1:5000", **{option: -1})


@pytest.mark.parametrize("value", [100.5, float("nan"), True, "5"])
def test_the_room_on_the_disk_is_a_whole_number(value):
    with pytest.raises(OptionError, match=r"limit_mb=.* is not possible; pass a whole number"):
        RemoteSession("http://127.0.0.1:5000", limit_mb=value)


@pytest.mark.parametrize("option", ["wait", "timeout"])
@pytest.mark.parametrize("value", [-1, float("inf"), float("nan")])
def test_a_time_that_is_not_possible_is_told_before_anything_is_sent(nowhere, tmp_path, option, value):
    Training(tmp_path, RemoteSession(nowhere, wait=0), epochs=1).run()
    with pytest.raises(OptionError, match=f"{option}=.* is not possible; pass seconds"):
        send_left(tmp_path, **{option: value})


def test_a_training_takes_one_session(nowhere, tmp_path):
    with pytest.raises(CallbackError, match="a training takes one RemoteSession, and this one has 2") as told:
        Training(tmp_path, RemoteSession(nowhere, wait=0), RemoteSession(nowhere, wait=0), epochs=1).run()
    assert "\n" not in str(told.value)
    assert not (tmp_path / ".remote").exists()


def test_usage_events_name_no_folders_of_a_dataset_or_within_a_mapping():
    data = DataSpec(Path("/home/me/shapes.yaml"), Path("/home/me"), {0: "cat"}, {})
    args = ValOptions(data={"a": data, "b": [Path("/home/me/b.yaml"), "http://me:hunter2@host/me/c.yaml", 0.5, None]})
    assert private_texts(args)["data"] == "{a: shapes.yaml, b: [b.yaml, c.yaml, 0.5, None]}"
    assert texts(args)["data"] == "{a: /home/me/shapes.yaml, b: [/home/me/b.yaml, http://host/me/c.yaml, 0.5, None]}"


def test_with_no_server_all_of_it_waits_on_the_disk_and_one_line_tells_how_to_send_it(nowhere, tmp_path, caplog):
    session = RemoteSession(nowhere, wait=0.3)
    Training(tmp_path / "my train", session, epochs=4).run()
    status = session.status
    assert (status.run, status.sent, status.dropped) == (None, 0, 0)
    assert status.waiting == 7  # options, four epochs, the final model, how it ended
    last = [each for each in caplog.records if each.levelno >= logging.WARNING][-1].getMessage()
    assert f"7 entries (0.0 MB) for {nowhere[7:]} could not be sent" in last
    assert last.endswith(f"python -m framehook.training.callbacks.remote '{tmp_path / 'my train'}'")
    assert sum("takes nothing" in each.getMessage() for each in caplog.records) <= 1


def test_what_another_process_sends_is_left_to_it(nowhere, tmp_path, caplog):
    with pytest.raises(OptionError, match="no folder of a training with a remote session"):
        send_left(tmp_path)
    Training(tmp_path, RemoteSession(nowhere, wait=0), epochs=1).run()
    (folder,) = (tmp_path / ".remote").iterdir()
    lock = FolderLock(folder)
    assert lock.take()
    with pytest.raises(TrainingError, match="still goes on"):
        send_left(tmp_path)
    session = RemoteSession(nowhere, wait=LONG)
    Training(tmp_path, session, epochs=2, start_epoch=1).run()  # it does not wait for what it does not send
    assert session.status.sent == 0
    assert "another process sends what waits" in caplog.text
    lock.release()


# With a server --------------------------------------------------------------------------------------------------------


def test_a_training_is_on_the_server_with_all_that_belongs_to_it(server, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    session = session_on(server, experiment="whole", checkpoints_every=0, heartbeat=0.1)
    training = Training(tmp_path / "train7", session, epochs=6, data="http://me:hunter2@host/shapes.yaml")

    def wait_for_heartbeat(epoch):
        if epoch == 2:
            until(lambda: Seen(server, "whole").run.data.tags.get("framehook.heartbeat"))

    training.callbacks.fire("on_pretrain_routine_start", training)
    until(lambda: session.status.run)  # it is made at once, and not when there is something to say
    training.run(wait_for_heartbeat)  # it goes on with the session that is there
    seen = Seen(server, "whole")
    assert (seen.run.info.run_name, seen.run.info.status) == ("train7", "FINISHED")
    assert seen.run.info.end_time >= seen.run.info.start_time
    assert (seen.run.data.params["epochs"], seen.run.data.params["data"]) == ("6", "http://host/shapes.yaml")
    assert seen.history("metrics/mAP50-95B") == fitnesses(range(6))
    assert list(seen.history("train/box_loss")) == list(seen.history("lr/pg0")) == [1, 2, 3, 4, 5, 6]
    assert seen.history("model/parameters") == {1: 112}
    assert seen.history("model/layers") == {1: 2}
    assert seen.history("model/GFLOPs") == {1: 2 * 3 * 3 * 3 * 4 * 32 * 32 / 1e9}
    assert seen.history("model/speed_inference_ms") == {1: 1.5}
    tags = seen.run.data.tags
    assert (tags["framehook.best.epoch"], tags["framehook.final"]) == ("5", "weights/best.pt")
    assert seen.file("weights/best.pt") == training.best.read_bytes()
    assert b"last of epoch" in seen.file("weights/last.pt")
    assert session.status.page in caplog.text
    assert (session.status.waiting, session.status.refused) == (0, 0)
    (folder,) = (tmp_path / "train7" / ".remote").iterdir()
    assert {each.name for each in folder.iterdir()} == {"session.json", "lock"}


def test_checkpoints_are_sent_at_most_once_in_an_interval_and_the_final_model_always(server, tmp_path):
    session = session_on(server, experiment="seldom", checkpoints_every=3600)
    training = Training(tmp_path / "train", session, epochs=3)
    training.run()
    seen = Seen(server, "seldom")
    assert seen.file("weights/best.pt") == training.best.read_bytes()
    with pytest.raises(FileNotFoundError):
        seen.file("weights/last.pt")


@pytest.mark.parametrize(("error", "status"), [(RuntimeError("out of luck"), "FAILED"), (KeyboardInterrupt(), "KILLED")])
def test_how_a_training_ended_is_told(server, tmp_path, monkeypatch, error, status):
    monkeypatch.setattr(session_module, "WAIT_AFTER_ERROR", LONG)

    def fail(epoch):
        if epoch == 1:
            raise error

    name = f"ended {status}"
    with pytest.raises(type(error)):
        Training(tmp_path, session_on(server, experiment=name), epochs=5).run(fail)
    seen = Seen(server, name)
    assert seen.run.info.status == status
    assert list(seen.history("fitness")) == [1, 2]
    assert "framehook.final" not in seen.run.data.tags


def test_a_server_killed_for_half_of_the_epochs_misses_nothing(server, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    session = session_on(server, experiment="killed", checkpoints_every=0.2, metrics_every=0.1)

    def trouble(epoch):
        if epoch == 9:
            until(lambda: session.status.sent)
            server.kill()
        elif epoch == 29:
            until(lambda: session.status.failures)
            server.start()
            server.wait()

    training = Training(tmp_path / "train", session, epochs=40)
    training.run(trouble)
    assert (session.status.waiting, session.status.refused, session.status.dropped) == (0, 0, 0)
    seen = Seen(server, "killed")
    assert seen.run.info.status == "FINISHED"
    assert seen.history("fitness") == pytest.approx(fitnesses(range(40)))
    assert len(seen.history("train/dfl_loss")) == 40
    assert seen.file("weights/best.pt") == training.best.read_bytes()
    assert [each.levelname for each in caplog.records if "takes nothing" in each.getMessage()] == ["WARNING"]


def test_a_resumed_training_goes_on_in_its_run_and_sends_what_was_left(server, nowhere, tmp_path):
    Training(tmp_path, RemoteSession(nowhere, experiment="resumed", wait=0), epochs=3).run()
    first = session_on(server, experiment="resumed")
    Training(tmp_path, first, epochs=5, start_epoch=3).run()
    second = session_on(server, experiment="resumed")
    Training(tmp_path, second, epochs=7, start_epoch=5, batch=3).run()
    assert first.status.run == second.status.run
    seen = Seen(server, "resumed")
    assert seen.history("fitness") == fitnesses(range(7))
    assert seen.run.info.status == "FINISHED"
    assert seen.run.data.params["epochs"] == "3"  # as it was begun


def test_what_a_killed_process_left_is_sent_by_the_command(server, nowhere, tmp_path, monkeypatch, capsys):
    program = f"""
import os, signal
from pathlib import Path
from framehook.training.callbacks.remote import RemoteSession
from trainings import Training
session = RemoteSession("{nowhere}", experiment="left", checkpoints_every=0)
training = Training(Path({str(tmp_path / "train")!r}), session, epochs=9)
training.run(lambda epoch: epoch == 4 and os.kill(os.getpid(), signal.SIGKILL))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parent, timeout=LONG, check=False)
    assert done.returncode == -signal.SIGKILL
    command = [sys.executable, "-m", "framehook.training.callbacks.remote", str(tmp_path / "train")]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")  # which is another server
    monkeypatch.setattr(sys, "argv", [*command[2:], "--wait", "0.1"])
    assert send_left_command() == 1
    assert capsys.readouterr().out.strip() == f"{tmp_path / 'train'}: 0 sent to {nowhere[7:]}, 8 left"
    command += ["--url", server.url, "--wait", str(LONG)]
    sent = subprocess.run(command, capture_output=True, text=True, timeout=LONG, check=True)
    assert sent.stdout.strip() == f"{tmp_path / 'train'}: 8 sent to {server.url[7:]}"
    seen = Seen(server, "left")
    assert seen.history("fitness") == fitnesses(range(5))
    assert seen.file("weights/last.pt") == (tmp_path / "train" / "weights" / "last.pt").read_bytes()
    assert seen.file("weights/best.pt") == (tmp_path / "train" / "weights" / "best.pt").read_bytes()


def test_a_session_goes_on_in_a_run_that_is_there_already(server, tmp_path):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=server.url)
    run = client.create_run(client.create_experiment("mine")).info.run_id
    session = session_on(server, run=run)
    Training(tmp_path, session, epochs=2).run()
    assert session.status.run == run
    assert Seen(server, "mine").history("fitness") == fitnesses(range(2))


def test_what_the_server_refuses_is_put_aside_and_holds_up_nothing(server, tmp_path, caplog):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=server.url)
    run = client.create_run(client.create_experiment("refusing")).info.run_id
    client.log_param(run, "epochs", "1000")  # and a parameter cannot be changed
    session = session_on(server, run=run)
    Training(tmp_path, session, epochs=2).run()
    assert (session.status.refused, session.status.waiting) == (1, 0)
    assert "Changing param values is not allowed" in caplog.text
    assert len(list((tmp_path / ".remote").glob("*/refused/*"))) == 1
    assert Seen(server, "refusing").history("fitness") == fitnesses(range(2))


def test_a_real_training_is_on_the_server(server, example, tiny_net, tmp_path):
    from framehook.training.trainer import Trainer

    session = session_on(server, experiment="real")
    callbacks = Callbacks()
    callbacks.add(session)
    options = {
        "data": example,
        "epochs": 2,
        "imgsz": 64,
        "batch": 12,
        "workers": 0,
        "plots": False,
        "mosaic": 0.0,
        "val_period": 2,
    }
    trainer = Trainer(tiny_net, callbacks=callbacks, save_dir=tmp_path / "train", **options)
    trainer.run()
    seen = Seen(server, "real")
    assert seen.run.data.params["data"] == str(example)
    assert list(seen.history("train/box_loss")) == [1, 2]
    assert seen.history("metrics/mAP50-95B") == {2: trainer.metrics["metrics/mAP50-95(B)"]}
    assert seen.history("model/parameters") == {1: sum(each.numel() for each in tiny_net.parameters())}
    assert seen.history("model/GFLOPs")[1] > 0
    assert seen.file("weights/best.pt") == trainer.best.read_bytes()


# Usage events ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def _patient_usage(monkeypatch):
    """The end of a run waits for its event to be sent as long as it takes."""
    monkeypatch.setattr(usage_module, "WAIT", LONG)


@pytest.mark.usefixtures("_patient_usage")
def test_usage_events_tell_options_and_device_and_no_folders(server, tmp_path):
    usage = UsageEvents(server.url, timeout=LONG, experiment="usage", folder=tmp_path / "usage")
    model = Model()
    model.callbacks.add(usage)
    model.predict(np.zeros((64, 64, 3), np.uint8), conf=0.4, save_dir=tmp_path / "secret" / "runs")
    # Those of other engines come by the same way.
    data = "http://me:hunter2@host/secret/shapes.yaml"
    validator = SimpleNamespace(args=ValOptions(data=data), device="cpu", training=False)
    within = SimpleNamespace(args=ValOptions(), device="cpu", training=True)
    for engine in (validator, within):
        usage.on_val_start(engine)
        usage.on_val_end(engine)
    runs = {each.data.tags["event"]: each for each in Seen(server, "usage").runs}
    assert set(runs) == {"on_predict_start", "on_val_start"}
    assert {each.data.tags["device"] for each in runs.values()} == {"cpu"}
    assert {each.info.status for each in runs.values()} == {"FINISHED"}
    assert (runs["on_predict_start"].data.params["conf"], runs["on_val_start"].data.params["data"]) == ("0.4", "shapes.yaml")
    assert not any("secret" in value or "hunter2" in value for each in runs.values() for value in each.data.params.values())
    assert not list((tmp_path / "usage").glob("*.json"))


@pytest.mark.usefixtures("_patient_usage")
def test_usage_events_that_could_not_be_sent_go_with_a_later_one(server, nowhere, tmp_path):
    for url, left in ((nowhere, 1), (nowhere, 2), (server.url, 0)):
        usage = UsageEvents(url, experiment="later usage", folder=tmp_path, timeout=LONG)
        engine = SimpleNamespace(args=ValOptions(), device="cpu")
        usage.on_export_start(engine)
        usage.on_export_end(engine)
        assert len(list(tmp_path.glob("*.json"))) == left
    assert len(Seen(server, "later usage").runs) == 3
