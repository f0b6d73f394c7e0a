import cv2
import numpy as np
import pytest

from framehook.inference.callbacks import Overlay, Snapshots
from framehook.inference.callbacks.per_source import Spacing
from framehook.inference.errors import CallbackError, OptionError
from framehook.inference.frame import Frame, SourceInfo, SourceKind

from .scenes import play, walk


def run(source, snapshots, *others, folder=None, script=walk, **options):
    running = play(source, *others, snapshots, script=script, **options)
    running.predictor.save_dir = folder
    list(running)


def numbers(folder):
    """The numbers of the frames whose pictures lie there."""
    return sorted(int(path.stem.rpartition("_")[2]) for path in folder.iterdir())


def test_a_frame_is_saved_every_so_many_seconds_of_the_file(tmp_path):
    snapshots = Snapshots(every=1)
    run("testsrc:320x240@30:100", snapshots, folder=tmp_path)
    assert numbers(tmp_path / "frames") == [1, 31, 61, 91]
    assert (snapshots.count, snapshots.folders) == (4, [tmp_path / "frames"])
    run("testsrc:320x240@30:3", Snapshots(tmp_path / "every", every=0))
    assert numbers(tmp_path / "every") == [1, 2, 3]


def test_a_condition_chooses_frames_and_no_two_of_them_are_closer_than_every(tmp_path):
    crowded = lambda index: walk(index) * (2 if 20 <= index < 70 else 1)  # noqa: E731
    run("testsrc:320x240@30:100", Snapshots(tmp_path, when=lambda result: len(result.boxes) > 1), script=crowded)
    assert numbers(tmp_path) == [21, 51]


@pytest.mark.parametrize("annotated", [True, False])
def test_the_annotated_or_the_captured_frame_is_saved(tmp_path, annotated):
    snapshots = Snapshots(tmp_path, annotated=annotated)
    run(np.full((240, 320, 3), 40, np.uint8), snapshots, Overlay("boxes", colors=["#ff0000"]))
    picture = cv2.imread(str(tmp_path / "array_1.jpg")).astype(int)
    assert np.abs(picture[200:, 200:] - 40).max() < 8
    assert (picture[80:120, 20, 2].mean() > 150) == annotated


def test_what_is_there_already_is_not_touched(tmp_path):
    for _ in range(2):
        run("testsrc:320x240@30:1", Snapshots(), folder=tmp_path / "run")
        run("testsrc:320x240@30:1", Snapshots(tmp_path / "mine"))
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["frames", "frames2"]
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["testsrc_1.jpg", "testsrc_1_2.jpg"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CallbackError, match=r"RecordingError: the folder .*frames cannot be made: Not a directory"):
        run("testsrc:320x240@30:1", Snapshots(tmp_path / "file" / "frames"))


def test_values_out_of_range_are_refused():
    for every in (-1, float("inf"), float("nan")):
        with pytest.raises(OptionError, match="is out of range; pass seconds between pictures"):
            Snapshots(every=every)
    with pytest.raises(OptionError, match="when=3 cannot be called"):
        Snapshots(when=3)


def test_time_is_that_of_files_and_the_clock_of_live_sources_and_begins_anew_after_a_seek():
    def frame(pts, captured_at, *, live=False, segment=0):
        info = SourceInfo("a", "a", "a", SourceKind.VIDEO, live=live)
        image = np.zeros((4, 4, 3), np.uint8)
        return Frame.of(image, index=0, source=info, pts=pts, captured_at=captured_at, segment=segment)

    def taken(*frames):
        spacing = Spacing(1.0)
        due = []
        for each in frames:
            due.append(spacing.due(each))
            if due[-1]:
                spacing.take(each)
        return due

    assert taken(frame(0.0, 0), frame(0.9, 5), frame(0.9999, 9), frame(1.5, 10)) == [True, False, True, False]
    assert taken(*(frame(0.0, at, live=True) for at in (3, 3.5, 4.1, 5))) == [True, False, True, False]
    assert taken(frame(5.0, 0), frame(5.1, 0, segment=1), frame(5.2, 0, segment=1)) == [True, True, False]
    assert taken(frame(5.0, 0), frame(1.0, 0), frame(1.5, 0)) == [True, True, False]
    assert taken(frame(None, 0), frame(None, 0)) == [True, True]


@pytest.mark.parametrize("every", ["x", None, float("nan")])
def test_a_time_that_is_no_number_is_refused(every):
    with pytest.raises(OptionError, match="is out of range; pass seconds between pictures"):
        Snapshots(every=every)
