import json
import os
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from framehook.training.callbacks.remote.queue import DiskQueue, Kind
from framehook.training.callbacks.remote.server import Server
from framehook.training.callbacks.remote.uploader import Uploader

ROOM = 1 << 20


def figures(step):
    return {"metrics": [{"key": "fitness", "value": step / 10, "timestamp": 1, "step": step}]}


def steps(entries):
    return [metric["step"] for each in entries for metric in each.content["metrics"]]


def test_what_waits_is_there_in_its_order_for_the_next_process(tmp_path):
    queue = DiskQueue(tmp_path, limit=ROOM)
    for step in range(20):
        assert queue.put(Kind.FIGURES, figures(step))
    again = DiskQueue(tmp_path, limit=ROOM)
    assert steps(again.batch()) == list(range(20))
    again.remove(again.batch()[:5])
    again.put(Kind.FIGURES, figures(20))
    assert steps(DiskQueue(tmp_path, limit=ROOM).batch()) == list(range(5, 21))


def test_figures_go_before_files_and_how_it_ended_goes_last(tmp_path):
    model = tmp_path / "best.pt"
    model.write_bytes(b"weights")
    queue = DiskQueue(tmp_path / "queue", limit=ROOM)
    queue.put(Kind.STATUS, {"status": "RUNNING"})
    queue.put(Kind.FILE, {"to": "weights/best.pt"}, file=model)
    queue.put(Kind.FIGURES, figures(1))
    queue.put(Kind.STATUS, {"status": "FINISHED"})
    queue.put(Kind.FIGURES, figures(2))
    sent = []
    while queue:
        batch = queue.batch()
        sent.append((batch[0].kind, len(batch)))
        queue.remove(batch)
    assert sent == [(Kind.FIGURES, 2), (Kind.FILE, 1), (Kind.STATUS, 1)]
    assert list((tmp_path / "queue").iterdir()) == []


def test_a_file_that_is_to_be_first_goes_before_files_that_wait_longer(tmp_path):
    model = tmp_path / "best.pt"
    model.write_bytes(b"weights")
    queue = DiskQueue(tmp_path / "queue", limit=ROOM)
    queue.put(Kind.FILE, {"to": "weights/last.pt"}, file=model)
    queue.put(Kind.FILE, {"to": "weights/best.pt", "first": True}, file=model)
    assert [each.content["to"] for each in queue.batch()] == ["weights/best.pt"]


def test_a_request_holds_no_more_than_a_server_takes(tmp_path):
    queue = DiskQueue(tmp_path, limit=ROOM)
    for step in range(150):
        queue.put(Kind.FIGURES, {"metrics": [{"key": f"m{n}", "value": 0.0, "timestamp": 1, "step": step} for n in range(10)]})
    queue.put(Kind.FIGURES, {"params": {f"p{n}": "x" for n in range(101)}})
    sizes = []
    while queue:
        sizes.append(len(queue.batch()))
        queue.remove(queue.batch())
    assert sizes == [100, 50, 1]


def test_of_files_for_one_place_the_newest_waits_as_it_was_when_it_was_queued(tmp_path):
    queue = DiskQueue(tmp_path / "queue", limit=ROOM)
    model = tmp_path / "last.pt"
    for content in (b"first", b"second", b"third"):
        (tmp_path / "part").write_bytes(content)
        os.replace(tmp_path / "part", model)
        if content != b"third":
            queue.put(Kind.FILE, {"to": "weights/last.pt"}, file=model)
    assert len(queue) == 1
    assert queue.file_of(queue.batch()[0]).read_bytes() == b"second"
    model.unlink()
    again = DiskQueue(tmp_path / "queue", limit=ROOM)
    assert again.file_of(again.batch()[0]).read_bytes() == b"second"
    assert len(list((tmp_path / "queue").iterdir())) == 2


def test_the_room_is_bounded_and_files_leave_some_of_it_to_figures(tmp_path, caplog):
    model = tmp_path / "best.pt"
    model.write_bytes(bytes(7000))
    queue = DiskQueue(tmp_path / "queue", limit=8000)
    assert not queue.put(Kind.FILE, {"to": "weights/best.pt"}, file=model)
    model.write_bytes(bytes(6800))
    assert queue.put(Kind.FILE, {"to": "weights/best.pt"}, file=model)
    fitting = 0
    while queue.put(Kind.FIGURES, figures(fitting)):
        fitting += 1
    assert fitting > 5
    assert queue.dropped == 2
    assert queue.size <= 8000
    assert caplog.text.count("no room for") == 1
    assert len(list((tmp_path / "queue").iterdir())) == fitting + 2


def test_a_folder_that_cannot_be_written_costs_nothing_until_the_process_ends(tmp_path, caplog):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder is to be")
    queue = DiskQueue(blocked, limit=ROOM)
    for step in range(3):
        assert queue.put(Kind.FIGURES, figures(step))
    assert steps(queue.batch()) == [0, 1, 2]
    assert caplog.text.count("it waits in memory") == 1
    blocked.unlink()
    queue.save()
    assert steps(DiskQueue(blocked, limit=ROOM).batch()) == [0, 1, 2]


def test_where_there_are_no_links_the_file_itself_is_sent(tmp_path):
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is one file system only")
    with TemporaryDirectory(dir=memory) as other:
        model = Path(other) / "best.pt"
        model.write_bytes(b"weights")
        queue = DiskQueue(tmp_path / "queue", limit=ROOM)
        queue.put(Kind.FILE, {"to": "weights/best.pt"}, file=model)
        assert queue.file_of(queue.batch()[0]).read_bytes() == b"weights"
        queue.remove(queue.batch())
        assert model.exists()


DAMAGED = [
    "",
    "{",
    "[" * 100_000,
    "[]",
    "9" * 5000,
    '{"kind": "spell", "content": {}}',
    '{"kind": "file", "content": {}}',
    '{"kind": "file", "content": {"to": "weights/best.pt", "path": "gone.file"}}',
    '{"kind": "figures", "content": {"metrics": 5}}',
    '{"kind": "figures", "content": {"metrics": [{}]}}',
    '{"kind": "figures", "content": {"tags": {"device": 5}}}',
    '{"kind": "status", "content": {"status": "FINISHED", "end": "soon"}}',
    '{"kind": "event", "content": {"event": "on_val_start"}}',
]


def test_what_is_damaged_is_put_aside_and_holds_up_nothing(tmp_path, caplog):
    queue = DiskQueue(tmp_path, limit=ROOM)
    queue.put(Kind.FIGURES, figures(1))
    for number, text in enumerate(DAMAGED):
        (tmp_path / f"{number:020d}-1.json").write_text(text)
    (tmp_path / f"{0:020d}-1.file").write_text("weights")
    (tmp_path / "session.json").write_text('{"key": "x"}')
    again = DiskQueue(tmp_path, limit=ROOM)
    assert (steps(again.batch()), len(again)) == ([1], 1)
    assert len(list((tmp_path / "refused").iterdir())) == len(DAMAGED) + 1
    assert caplog.text.count("is damaged; it is put aside") == 1
    assert (tmp_path / "session.json").exists()


def test_files_whose_entry_was_never_written_are_removed_unless_they_are_new(tmp_path):
    old, new = f"{1:020d}-9", f"{time.time_ns():020d}-9"
    for name in (f"{old}.file", f"{old}.part", f"{new}.file", "mine.file"):
        (tmp_path / name).write_bytes(b"weights")
    DiskQueue(tmp_path, limit=ROOM)
    assert {each.name for each in tmp_path.iterdir()} == {f"{new}.file", "mine.file"}


def test_a_file_that_finds_no_room_leaves_the_one_that_waits_for_its_place(tmp_path):
    queue = DiskQueue(tmp_path / "queue", limit=10_000)
    model = tmp_path / "last.pt"
    for size, fits in ((6000, True), (9000, False), (8000, True)):  # the one it replaces takes no room
        model.unlink(missing_ok=True)
        model.write_bytes(bytes(size))
        assert queue.put(Kind.FILE, {"to": "weights/last.pt"}, file=model) is fits
        assert queue.file_of(queue.batch()[0]).stat().st_size == (size if fits else 6000)
    assert not queue.put(Kind.FILE, {"to": "weights/last.pt"}, file=tmp_path / "gone.pt")
    assert (len(queue), len(list((tmp_path / "queue").iterdir()))) == (1, 2)


def test_what_is_put_aside_keeps_its_file_and_the_oldest_of_it_makes_room(tmp_path, caplog):
    model = tmp_path / "best.pt"
    model.write_bytes(bytes(3000))
    queue = DiskQueue(tmp_path / "queue", limit=10_000)
    kept = tmp_path / "queue" / "refused"
    for number in range(5):
        assert queue.put(Kind.FILE, {"to": f"weights/{number}.pt"}, file=model)
        queue.refuse(queue.batch()[0], "it is too large")
        assert sum(each.stat().st_size for each in kept.iterdir()) <= 10_000
        queue = DiskQueue(tmp_path / "queue", limit=10_000)
    names = sorted(each.name for each in kept.iterdir())
    assert [json.loads((kept / each).read_text())["content"]["to"][8] for each in names[1::2]] == ["3", "4"]
    assert [(kept / each).stat().st_size for each in names[::2]] == [3000, 3000]
    assert "the oldest of it is removed" in caplog.text


def test_a_file_that_was_replaced_while_it_was_to_be_sent_is_no_refusal(tmp_path, caplog):
    model = tmp_path / "last.pt"
    model.write_bytes(b"weights")
    queue = DiskQueue(tmp_path / "queue", limit=ROOM)
    reached, replaced = threading.Event(), threading.Event()

    class Slow:
        def deliver(self, batch, file):
            reached.set()
            assert replaced.wait(60)
            file.read_bytes()

    queue.put(Kind.FILE, {"to": "weights/last.pt"}, file=model)
    uploader = Uploader(queue, Slow(), Server("http://127.0.0.1:9", timeout=1), spacing=0, about="")
    uploader.start()
    assert reached.wait(60)
    queue.put(Kind.FILE, {"to": "weights/last.pt"}, file=model)
    replaced.set()
    assert uploader.drain(60)
    assert (queue.refused, uploader.sent, caplog.text) == (0, 1, "")
    uploader.close()


def test_a_file_that_is_gone_is_told_as_such(tmp_path, caplog):
    model = tmp_path / "last.pt"
    model.write_bytes(b"weights")
    queue = DiskQueue(tmp_path / "queue", limit=ROOM)

    class Reading:
        def deliver(self, batch, file):
            file.read_bytes()

    queue.put(Kind.FILE, {"to": "weights/last.pt"}, file=model)
    queue.file_of(queue.batch()[0]).unlink()
    uploader = Uploader(queue, Reading(), Server("http://127.0.0.1:9", timeout=1), spacing=0, about="")
    uploader.start()
    assert uploader.drain(60)
    uploader.close()
    assert queue.refused == 1
    assert "its file cannot be read: No such file" in caplog.text
    assert "the server refuses" not in caplog.text


def test_numbers_that_are_none_come_back_as_they_were(tmp_path):
    metrics = [{"key": "fitness", "value": float(each), "timestamp": 1, "step": 1} for each in ("nan", "-inf")]
    DiskQueue(tmp_path, limit=ROOM).put(Kind.FIGURES, {"metrics": metrics})
    (entry,) = DiskQueue(tmp_path, limit=ROOM).batch()
    first, second = (each["value"] for each in entry.content["metrics"])
    assert first != first
    assert second == -sys.float_info.max * 2
