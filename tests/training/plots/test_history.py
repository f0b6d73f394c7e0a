import cv2
import numpy as np
import pytest

from framehook.inference.errors import OptionError, RecordingError
from framehook.training.plots.history import _panels, plot_history

HEAD = (
    "epoch,time,train/box_loss,train/dfl_loss,metrics/precision(B),metrics/recall(B),metrics/mAP50(B),"
    "metrics/mAP50-95(B),val/box_loss,lr/pg0\n"
)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "results.csv"
    rows = []
    for epoch in range(1, 31):
        found = f"{1 - 0.9**epoch},0.5,{1 - 0.95**epoch},0.2,{2 / epoch}" if epoch % 3 == 0 else ",,,,"
        rows.append(f"{epoch},{epoch * 2.5},{3 / epoch},nan,{found},{0.01 / epoch}\n")
    path.write_text(HEAD + "".join(rows))
    return path


def test_figures_are_drawn_beside_the_table(table):
    path = plot_history(table)
    assert path == table.with_name("results.png")
    picture = cv2.imread(str(path))
    height, width = picture.shape[:2]
    assert width == 2 * height >= 1200  # six panels in two rows
    columns = np.ptp(picture.reshape(height, -1), axis=0)
    assert (columns > 100).mean() > 0.5  # something is drawn all across
    assert [each.name for each in table.parent.iterdir() if each.name.startswith(".")] == []


def test_losses_of_one_name_share_a_panel():
    row = dict.fromkeys(HEAD.strip().split(","), 1.0)
    assert _panels([row]) == {
        "box loss": {"train/box_loss": "train", "val/box_loss": "val"},
        "dfl loss": {"train/dfl_loss": "train"},
        "precision, recall": {"metrics/precision(B)": "precision", "metrics/recall(B)": "recall"},
        "mAP": {"metrics/mAP50(B)": "mAP50", "metrics/mAP50-95(B)": "mAP50-95"},
        "learning rate": {"lr/pg0": "pg0"},
    }


def test_one_epoch_is_enough_and_none_is_told(tmp_path):
    path = tmp_path / "results.csv"
    path.write_text(HEAD)
    with pytest.raises(OptionError, match="has no figures to draw"):
        plot_history(path)
    path.write_text(HEAD + "1,2,3,1,0.1,0.2,0.3,0.4,5,0.01\n")
    assert plot_history(path, tmp_path / "other.png").stat().st_size > 5000


def test_a_picture_that_cannot_be_written_is_told(table):
    with pytest.raises(RecordingError, match="gone"):
        plot_history(table, table.parent / "gone" / "results.png")
