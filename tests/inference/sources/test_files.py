from pathlib import Path

import pytest

from framehook.inference.errors import SourceFormatError, SourceNotFoundError
from framehook.inference.sources import open_source
from framehook.inference.sources.files import files_in, files_matching, is_pattern, natural_order, open_file


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_a_folder_gives_its_images_and_videos_in_natural_order(tmp_path):
    touch(tmp_path, "b10.png", "b9.JPG", "a.mp4", "notes.txt", ".hidden.png", "below/c.png", "B11.gif")
    assert [path.name for path in files_in(tmp_path)] == ["a.mp4", "b9.JPG", "b10.png", "B11.gif"]


def test_natural_order_of_mixed_names():
    names = ["10.png", "9.png", "a.png", "a1b2.png", "a1b10.png", "frame².png"]
    assert [str(path) for path in sorted(map(Path, reversed(names)), key=natural_order)] == [
        "9.png",
        "10.png",
        "a1b2.png",
        "a1b10.png",
        "a.png",
        "frame².png",
    ]


def test_a_folder_without_any_says_so(tmp_path):
    touch(tmp_path, "notes.txt")
    with pytest.raises(SourceNotFoundError) as caught:
        open_source(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} holds no images or videos; for those in folders below it pass {tmp_path / '**' / '*'}"
    )


def test_patterns_go_through_folders_and_pass_over_other_files(tmp_path):
    touch(tmp_path, "a/2.png", "a/10.png", "b/c/1.jpg", "b/notes.txt")
    found = [path.relative_to(tmp_path).as_posix() for path in files_matching(str(tmp_path / "**" / "*"))]
    assert found == ["a/2.png", "a/10.png", "b/c/1.jpg"]
    with pytest.raises(SourceNotFoundError) as caught:
        open_source(str(tmp_path / "*.mp4"))
    assert str(caught.value) == f"no image or video matches {tmp_path / '*.mp4'}; check the folder and the extension"


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path):
    touch(tmp_path, "shot[1].png")
    assert not is_pattern(str(tmp_path / "shot[1].png"))
    assert is_pattern(str(tmp_path / "shot[2].png"))


def test_a_missing_file_names_the_nearest_one(tmp_path):
    touch(tmp_path, "Highway.mp4", "notes.txt")
    with pytest.raises(SourceNotFoundError) as caught:
        open_source(str(tmp_path / "higway.mp4"))
    assert str(caught.value) == f"{tmp_path / 'higway.mp4'} does not exist. Did you mean 'Highway.mp4'?"
    touch(tmp_path, "zero.mp4", "Highway.txt")
    with pytest.raises(
        SourceNotFoundError, match=r"nosuch\.mp4 does not exist\. Check the path, or name a "
    ):  # the ending alone is no likeness
        open_source(tmp_path / "nosuch.mp4")
    with pytest.raises(SourceNotFoundError, match=r"Did you mean 'Highway\.mp4'"):
        open_source(tmp_path / "highway2.mp4")
    with pytest.raises(FileNotFoundError) as caught:
        open_source(tmp_path / "nowhere" / "clip.mp4")
    assert str(caught.value).endswith(f"clip.mp4 does not exist. Nor does the folder {tmp_path / 'nowhere'}.")


def test_a_text_file_is_neither(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("hello world\n" * 50)
    with pytest.raises(SourceFormatError) as caught:
        open_file(path)
    assert str(caught.value) == f"{path} is neither an image nor a video; pass a file of either kind"


def test_a_film_under_a_strange_name_is_found_out(write_clip):
    path = write_clip("film.mp4", [0, 40, 80])
    strange = path.rename(path.with_name("film.backup"))
    with open_source(strange) as source:
        assert sum(1 for _ in source) == 3
