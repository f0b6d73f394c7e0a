import logging
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from framehook.inference.boxes import Boxes
from framehook.inference.errors import OptionError
from framehook.training.callbacks.early_stopping import EarlyStopping
from framehook.training.callbacks.sample_predictions import SamplePredictions

from .driven import Driven


class Validating(SimpleNamespace):
    """A validator of twelve pictures in batches of four; in each the one on whose number its brightness depends is found."""

    def __init__(self, folder):
        super().__init__(found_with=0.9)
        self.samples = [SimpleNamespace(path=folder / f"{number:02}.jpg", number=number) for number in range(12)]

    @property
    def dataloader(self):
        class Loader(list):
            samples = self.samples

        return Loader([None] * 3)

    @dataloader.setter
    def dataloader(self, _):
        pass

    @property
    def batch(self):
        some = self.samples[4 * self.batch_i : 4 * self.batch_i + 4]
        images = [np.full((60, 80, 3), 20 * each.number, np.uint8) for each in some]
        return SimpleNamespace(paths=[each.path for each in some], images=images, samples=some)

    @property
    def preds(self):
        boxes = Boxes(
            np.array([[10, 10, 60, 50], [0, 0, 5, 5]], np.float32), [self.found_with, 0.1], [1, 2], orig_shape=(60, 80)
        )
        return [boxes] * 4


def play(tmp_path, samples, **options):
    trainer = Driven(tmp_path, [samples], **options)
    trainer.validator = Validating(tmp_path)
    trainer.test_loader = [None] * 3
    return trainer.run()


def names(folder):
    return sorted(path.name for path in (folder / "samples").iterdir())


def test_the_same_pictures_spread_over_the_split_are_drawn_every_epoch(tmp_path):
    samples = SamplePredictions(4, side=64)
    play(tmp_path, samples)
    assert names(tmp_path) == ["epoch1.jpg", "epoch2.jpg", "epoch3.jpg"]
    assert samples.path == tmp_path / "samples" / "epoch3.jpg"
    picture = cv2.imread(str(samples.path))
    first, second = (cv2.imread(str(tmp_path / "samples" / f"epoch{epoch}.jpg")) for epoch in (1, 2))
    assert (first == second).all()
    corners = [picture[66, 130], picture[-10, -10]]  # of the second and the last picture, right of their boxes
    assert corners[0].mean() == pytest.approx(20 * 4, abs=12)
    assert corners[1].mean() == pytest.approx(20 * 11, abs=12)


def test_what_is_found_with_confidence_is_drawn_alone(tmp_path):
    play(tmp_path / "sure", SamplePredictions(1, side=256), epochs=1)
    play(tmp_path / "unsure", SamplePredictions(1, side=256, conf=0.95), epochs=1)
    sure, unsure = (cv2.imread(str(tmp_path / name / "samples" / "epoch1.jpg"))[30:] for name in ("sure", "unsure"))
    assert unsure.max() < 60
    assert sure.max() > 100


def test_every_so_many_epochs_and_the_last_have_a_picture(tmp_path):
    play(tmp_path, SamplePredictions(20, every=2, side=64), epochs=5)
    assert names(tmp_path) == ["epoch2.jpg", "epoch4.jpg", "epoch5.jpg"]


def test_epochs_without_validation_have_none(tmp_path):
    play(tmp_path, SamplePredictions(2, side=64), epochs=4, val_period=3)
    assert names(tmp_path) == ["epoch3.jpg", "epoch4.jpg"]


def test_a_folder_that_cannot_be_made_is_told_once_and_ends_nothing(tmp_path, caplog):
    (tmp_path / "samples").touch()
    samples = SamplePredictions(2, side=64)
    with caplog.at_level(logging.WARNING, "framehook"):
        assert play(tmp_path, samples).epoch == 2
    [told] = [record.message for record in caplog.records]
    assert "samples cannot be made: " in told
    assert told.endswith("; the training goes on without these pictures")
    assert samples.path is None


@pytest.mark.parametrize("wrong", [{"count": 0}, {"every": 0}, {"conf": 2}, {"side": 1}])
def test_values_out_of_range_are_told(wrong):
    with pytest.raises(OptionError, match=f"{next(iter(wrong))}=.* is out of range"):
        SamplePredictions(**wrong)


def test_of_several_epochs_validated_every_so_many_have_a_picture_also_when_resumed(tmp_path):
    play(tmp_path, SamplePredictions(2, every=2, side=64), epochs=13, val_period=3)
    assert names(tmp_path) == ["epoch12.jpg", "epoch13.jpg", "epoch6.jpg"]
    play(tmp_path / "resumed", SamplePredictions(2, every=2, side=64), epochs=12, val_period=3, start_epoch=4)
    assert names(tmp_path / "resumed") == ["epoch12.jpg", "epoch6.jpg"]


def test_the_last_epoch_has_a_picture_though_it_became_the_last_after_its_validation(tmp_path):
    trainer = Driven(tmp_path, [SamplePredictions(2, every=5, side=64), EarlyStopping("val/box_loss", patience=1, min_delta=9)])
    trainer.epochs, trainer.validator, trainer.test_loader = 20, Validating(tmp_path), [None] * 3
    assert trainer.run().epoch == 1
    assert names(tmp_path) == ["epoch2.jpg"]
