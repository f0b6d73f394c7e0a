import cv2
import numpy as np
import pytest

from framehook.inference.errors import SourceFormatError, SourceNotFoundError
from framehook.inference.frame import SourceKind
from framehook.inference.sources import open_source
from framehook.inference.sources.image import ImageSource


def encoded(suffix, picture):
    return cv2.imencode(suffix, picture)[1].tobytes()


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".ppm", ".jpg", ".webp", ".JPG", ".jp2"])
def test_the_usual_kinds_are_read_as_bgr(tmp_path, pictures, suffix):
    path = tmp_path / f"picture{suffix}"
    path.write_bytes(encoded(suffix.lower(), pictures[0]))
    with open_source(path) as source:
        frame = source.read()
        assert source.read() is None
    assert np.abs(frame.image.astype(int) - pictures[0]).mean() < 6
    assert (frame.index, frame.pts, frame.source.kind, frame.source.frame_count) == (0, None, SourceKind.IMAGE, 1)


def test_names_in_other_scripts_and_picture_files_without_extension(tmp_path, pictures):
    for name in ("Bär und 鴨.png", "picture"):
        path = tmp_path / name
        path.write_bytes(encoded(".png", pictures[0]))
        with open_source(str(path)) as source:
            np.testing.assert_array_equal(source.read().image, pictures[0])
            assert source.info.path == str(path)


def test_exif_orientation_is_respected(tmp_path, pictures):
    image = pytest.importorskip("PIL.Image", reason="Pillow writes the test's EXIF data")
    exif = image.Exif()
    exif[0x0112] = 6  # turn clockwise by 90 degrees to show it
    path = tmp_path / "portrait.jpg"
    image.fromarray(np.full((20, 40, 3), (255, 0, 0), np.uint8)).save(path, exif=exif)
    assert open_source(path).read().size == (20, 40)


def test_deep_and_grey_and_transparent_files_become_8_bit_bgr(tmp_path):
    for name, pixels in (
        ("deep.png", np.full((4, 5, 3), 0x8000, np.uint16)),
        ("grey.png", np.full((4, 5), 128, np.uint8)),
        ("clear.png", np.full((4, 5, 4), 128, np.uint8)),
    ):
        path = tmp_path / name
        path.write_bytes(encoded(".png", pixels))
        np.testing.assert_array_equal(open_source(path).read().image, np.full((4, 5, 3), 128, np.uint8))


@pytest.mark.parametrize("content", [b"", b"hello world\n" * 50])
def test_what_is_no_picture_is_refused_in_one_line_and_quietly(tmp_path, content, capfd):
    path = tmp_path / "picture.png"
    path.write_bytes(content)
    with pytest.raises(SourceFormatError) as caught:
        open_source(path).read()
    assert str(caught.value) == f"{path} is no image that can be read; it is damaged or of another kind"
    assert capfd.readouterr().err == ""


def test_a_file_that_went_away_in_the_meantime(tmp_path):
    with pytest.raises(SourceNotFoundError, match=r"gone\.png does not exist$"):
        ImageSource(tmp_path / "gone.png").read()


def test_skipping_does_not_read_the_file(tmp_path):
    source = ImageSource(tmp_path / "not there.png")
    assert source.skip() is source.info
    assert source.read() is None
