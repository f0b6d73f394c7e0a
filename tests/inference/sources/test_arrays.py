import numpy as np
import pytest

from framehook.inference.errors import FrameError
from framehook.inference.frame import SourceKind
from framehook.inference.sources import open_source

image = pytest.importorskip("PIL.Image", reason="Pillow makes the PIL images")


def test_one_array_is_one_frame_and_is_not_copied(pictures):
    pixels = pictures[3].copy()
    with open_source(pixels) as source:
        assert (source.info.kind, source.info.frame_count, source.info.size) == (SourceKind.ARRAY, 1, (160, 96))
        frame = source.read()
        assert source.read() is None
    assert np.shares_memory(frame.image, pixels)
    assert (frame.index, frame.pts) == (0, None)
    pixels[0, 0] = 0  # the caller's own array stays writable


def test_a_stack_is_as_many_frames(pictures):
    stack = np.stack(pictures[:4])
    with open_source(stack) as source:
        assert source.info.frame_count == 4
        assert source.skip() is source.info
        frames = list(source)
    assert [frame.index for frame in frames] == [1, 2, 3]
    np.testing.assert_array_equal(frames[-1].image, stack[3])


def test_a_list_of_arrays_is_one_source(pictures):
    with open_source(pictures[:3]) as source:
        frames = list(source)
        assert source.info.frame_count == 3
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert len({frame.source.id for frame in frames}) == 1
    assert np.shares_memory(frames[1].image, pictures[1])


def test_grey_and_bgra_arrays_are_taken():
    assert open_source(np.zeros((4, 6), np.uint8)).read().image.shape == (4, 6, 3)
    assert open_source(np.zeros((4, 6, 4), np.uint8)).read().image.shape == (4, 6, 3)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 6, 3), np.float32), "an image of dtype float32 cannot be used"),
        (np.zeros((0, 6, 3), np.uint8), "an image of shape (0, 6, 3) has no pixels"),
        (np.zeros((4, 6, 7), np.uint8), "an image of shape (4, 6, 7) cannot be used"),
        (np.zeros((0, 4, 6, 3), np.uint8), "an array of shape (0, 4, 6, 3) holds no picture"),
    ],
)
def test_arrays_that_are_no_pictures_are_refused_at_once(array, message):
    with pytest.raises(FrameError) as caught:
        open_source(array)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_generator_that_reuses_its_buffer_is_copied_and_closed():
    closed = []

    def produce():
        buffer = np.zeros((4, 6, 3), np.uint8)
        try:
            for value in range(5):
                buffer[:] = value
                yield buffer
        finally:
            closed.append(True)

    source = open_source(produce())
    assert source.info.frame_count is None
    assert source.skip() is source.info
    frames = [source.read(), source.read()]
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [1, 2]
    assert [frame.index for frame in frames] == [1, 2]
    source.close()
    assert closed
    assert source.read() is None


def test_an_iterable_with_a_length_tells_it():
    class Pictures:
        def __len__(self):
            return 2

        def __iter__(self):
            return iter([np.zeros((4, 6, 3), np.uint8)] * 2)

    with open_source(Pictures()) as source:
        assert source.info.frame_count == 2
        assert sum(1 for _ in source) == 2


def test_what_a_generator_raises_comes_through():
    def produce():
        yield np.zeros((4, 6, 3), np.uint8)
        raise RuntimeError("lens cap")

    with open_source(produce()) as source:
        source.read()
        with pytest.raises(RuntimeError, match="lens cap"):
            source.read()


@pytest.mark.parametrize("wrong", ["clip.mp4", 7, None])
def test_what_a_generator_yields_must_be_pictures(wrong):
    with (
        open_source(value for value in [wrong]) as source,
        pytest.raises(FrameError, match=r"^picture 0 of iterable") as caught,
    ):
        source.read()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "YCbCr", "HSV"])
def test_pil_images_of_any_mode_become_bgr(mode):
    picture = image.new("RGB", (6, 4), (255, 255, 255)).convert(mode)
    with open_source(picture) as source:
        assert source.info.size == (6, 4)
        frame = source.read()
    assert np.asarray(frame.image).min() > 250
    assert frame.size == (6, 4)


def test_pil_colours_are_turned_around_and_transparent_palettes_do_not_warn():
    red = image.new("RGB", (6, 4), (255, 0, 0))
    assert open_source(red).read().image[0, 0].tolist() == [0, 0, 255]
    palette = red.convert("P", palette=image.Palette.ADAPTIVE)
    palette.info["transparency"] = bytes(256)
    assert open_source([palette, red]).read().image[0, 0].tolist() == [0, 0, 255]


def test_deep_grey_pil_images_are_brought_to_8_bits():
    deep = image.fromarray(np.full((4, 6), 0x8000, np.uint16))
    assert open_source(deep).read().image[0, 0].tolist() == [128, 128, 128]
    with pytest.raises(FrameError, match=r"mode F has no fixed range; convert it to L or RGB first"):
        open_source(image.new("F", (6, 4))).read()
