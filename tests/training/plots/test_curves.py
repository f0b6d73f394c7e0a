import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from framehook.inference.errors import RecordingError
from framehook.training.confusion import ConfusionMatrix
from framehook.training.metrics import ClassMetrics, Curves, DetectionMetrics
from framehook.training.plots.curves import CONFUSION, CURVES, draw_confusion, draw_curves, write_figure


def metrics(names):
    x = np.linspace(0, 1, 101)
    rows = np.linspace(0.4, 0.9, len(names))[:, None] * np.sqrt(1 - x)[None]
    precise = np.where(x > 0.9, np.nan, rows)  # nothing scores more
    per_class = tuple(ClassMetrics(name, 1, 1, 0.5, 0.5, 0.5, 0.4) for name in names)
    curves = Curves(x, precise, rows, rows, x, rows)
    return DetectionMetrics(0.5, 0.5, 0.3, 0.5, 0.45, 0.4, {}, per_class, curves, 4, 9)


def written(path: Path):
    image = cv2.imread(str(path))
    assert image is not None
    assert image.shape[0] > 300
    return image


@pytest.mark.parametrize("names", [["cat", "_dog", "$x^2$"], [f"class {number}" for number in range(40)]])
def test_curves_are_drawn_whatever_classes_are_called_and_of_many(tmp_path, names):
    files = draw_curves(tmp_path, metrics(names))
    assert [each.name for each in files] == list(CURVES)
    for file in files:
        assert (written(file) != 255).any()
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted(CURVES)  # nothing half-written is left


def test_without_objects_there_are_no_curves(tmp_path):
    assert draw_curves(tmp_path, metrics([])) == []
    assert list(tmp_path.iterdir()) == []


def test_a_confusion_matrix_is_drawn_of_counts_and_of_shares(tmp_path):
    confusion = ConfusionMatrix({0: "cat"})
    assert [each.name for each in draw_confusion(tmp_path, confusion)] == list(CONFUSION)  # nothing was counted yet
    empty = written(tmp_path / CONFUSION[0])
    confusion.matrix[:] = [[3, 1], [2, 0]]
    draw_confusion(tmp_path, confusion)
    assert not np.array_equal(empty, written(tmp_path / CONFUSION[0]))


def test_a_confusion_matrix_of_many_classes_has_no_numbers_in_it_and_no_endless_size(tmp_path):
    confusion = ConfusionMatrix({number: f"class {number}" for number in range(32)})
    confusion.matrix[:] = np.eye(33, dtype=np.int64)
    draw_confusion(tmp_path, confusion)
    assert max(written(tmp_path / CONFUSION[0]).shape) < 4000


def test_what_cannot_be_written_is_an_error_of_one_line_and_leaves_what_was_there(tmp_path):
    (tmp_path / CURVES[0]).mkdir()
    with pytest.raises(RecordingError, match=r"PR_curve\.png cannot be written: ") as caught:
        draw_curves(tmp_path, metrics(["cat"]))
    assert "\n" not in str(caught.value)
    assert [each.name for each in tmp_path.iterdir()] == [CURVES[0]]


def test_names_the_font_has_no_letters_for_are_drawn_without_a_word(tmp_path):
    files = draw_curves(tmp_path, metrics(["猫", "狗"])) + draw_confusion(tmp_path, ConfusionMatrix({0: "猫", 1: "狗"}))
    assert len(files) == len(CURVES + CONFUSION)  # a warning would be an error here
    figure = Figure()
    FigureCanvasAgg(figure).mpl_connect("draw_event", lambda event: warnings.warn("something else", UserWarning, stacklevel=1))
    with pytest.warns(UserWarning, match="something else"):
        write_figure(tmp_path / "other.png", figure)
