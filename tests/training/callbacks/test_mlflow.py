import logging
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest

from framehook.inference.errors import OptionError
from framehook.training.callbacks import mlflow as module
from framehook.training.callbacks.mlflow import MLflow

from .driven import Driven, falling

pytest.importorskip("mlflow")

# MLflow advises against its store of files, which is made in no time, where a database takes seconds.
pytestmark = pytest.mark.filterwarnings("ignore:The filesystem tracking backend:FutureWarning")


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Address of a store of runs."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    return (tmp_path / "runs of mlflow").as_uri()


@pytest.fixture
def client(store):
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=store)


def history(client, run, name):
    return {each.step: each.value for each in client.get_metric_history(run, name)}


def test_options_figures_and_files_are_in_the_run(store, client, tmp_path):
    folder = tmp_path / "train7"
    folder.mkdir()
    (folder / "args.yaml").write_text("epochs: 4\n")
    tracker = MLflow(store, experiment="shapes")
    Driven(folder, [tracker], epochs=4, val_period=2).run()
    run = client.get_run(tracker.run_id)
    assert client.get_experiment(run.info.experiment_id).name == "shapes"
    assert (run.info.run_name, run.info.status) == ("train7", "FINISHED")
    assert (run.data.params["epochs"], run.data.params["lrf"]) == ("4", "0.01")
    expected = {epoch + 1: falling(epoch)["metrics/mAP50-95(B)"] for epoch in (1, 3)}
    assert history(client, tracker.run_id, "metrics/mAP50-95B") == pytest.approx(expected)
    assert list(history(client, tracker.run_id, "train/box_loss")) == [1, 2, 3, 4]
    assert {each.path for each in client.list_artifacts(tracker.run_id)} == {"args.yaml", "weights"}
    assert (
        Path(url2pathname(urlsplit(run.info.artifact_uri).path)) / "weights" / "best.pt"
    ).read_bytes() == b"weights of epoch 3"


def test_a_training_that_failed_is_marked_and_goes_on_in_its_run_when_resumed(store, client, tmp_path):
    tracker = MLflow(store, experiment="resumed", artifacts=False)
    with pytest.raises(RuntimeError, match="out of luck"):
        Driven(tmp_path, [tracker], epochs=5, fails_at=(3, 1)).run()
    first = tracker.run_id
    assert client.get_run(first).info.status == "FAILED"
    Driven(tmp_path, [tracker], epochs=5, start_epoch=3).run()
    assert tracker.run_id == first
    assert client.get_run(first).info.status == "FINISHED"
    assert list(history(client, first, "lr/pg0")) == [1, 2, 3, 4, 5]


def test_a_run_that_is_gone_is_begun_anew(store, client, tmp_path):
    (tmp_path / ".mlflow-run").write_text("0" * 32)
    tracker = MLflow(store, experiment="resumed", run_name="again", artifacts=False)
    Driven(tmp_path, [tracker], start_epoch=2).run()
    assert client.get_run(tracker.run_id).info.run_name == "again"
    assert list(history(client, tracker.run_id, "lr/pg0")) == [3]


def test_a_server_that_is_not_there_is_told_once_and_holds_nothing_up(tmp_path, caplog):
    with socket.socket() as taken, caplog.at_level(logging.WARNING, "framehook"):
        taken.bind(("127.0.0.1", 0))  # and nobody listens there
        port = taken.getsockname()[1]
        tracker = MLflow(f"http://someone:secret@127.0.0.1:{port}", experiment="none")
        trainer = Driven(tmp_path, [tracker], epochs=3).run()
    assert trainer.epoch == 2
    [told] = [record.message for record in caplog.records if record.name == "framehook"]
    assert told == f"MLflow cannot be logged to: http://127.0.0.1:{port} does not answer; the training goes on without it"


@pytest.mark.leaves_threads  # until what it waits for is gone
def test_a_server_that_does_not_answer_does_not_hold_up_the_end_for_ever(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(module, "CLOSING_SECONDS", 0.2)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "3600")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.create_server(("127.0.0.1", 0)) as silent, caplog.at_level(logging.WARNING, "framehook"):
        began = time.monotonic()
        Driven(tmp_path, [MLflow(f"http://127.0.0.1:{silent.getsockname()[1]}")], epochs=20).run()
        assert time.monotonic() - began < 30
    [told] = [record.message for record in caplog.records if record.name == "framehook"]
    assert told == "MLflow cannot be logged to: no answer for 0 s; the training goes on without it"


def test_an_experiment_has_a_name(store):
    with pytest.raises(OptionError, match="experiment='' is no name"):
        MLflow(store, experiment="")
