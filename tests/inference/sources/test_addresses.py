import pytest

from framehook.inference.sources.addresses import names_file, redacted, scheme_of, short_name, slip_of_address


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://admin:secret@10.0.0.7:554/live", "rtsp://10.0.0.7:554/live"),
        ("rtsp://admin:p@ss@cam/live", "rtsp://cam/live"),
        ("rtsp://admin:p/ss@cam:554/live", "rtsp://cam:554/live"),
        ("rtsp://token@cam", "rtsp://cam"),
        ("http://cam/video?size=large&password=secret&x=1", "http://cam/video?size=large&password=***&x=1"),
        ("http://cam/video?access_token=abc", "http://cam/video?access_token=***"),
        ("http://cam/user=admin&pwd=secret&ch=1", "http://cam/user=***&pwd=***&ch=1"),
        ("http://cam/a?X-Amz-Signature=abc#key=abc", "http://cam/a?X-Amz-Signature=***#key=***"),
        ("http://host/@someone/clip", "http://host/@someone/clip"),
        ("http://[::1]:8080/@someone", "http://[::1]:8080/@someone"),
        ("udp://239.0.0.1:1234", "udp://239.0.0.1:1234"),
        ("clip.mp4", "clip.mp4"),
    ],
)
def test_secrets_are_taken_out(url, shown):
    assert redacted(url) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp:/admin:secret@cam/live?token=abc", "cam/live?token=***"),
        ("admin:p@ss@cam", "cam"),
        ("rtsp:cam/user=admin&pwd=secret", "rtsp:cam/user=***&pwd=***"),
        ("C:\\clips\\a@b.mp4", None),
        ("C:/user=5/a.mp4", None),
        ("clips/a@b.mp4", None),
        ("clip.mp4", None),
    ],
)
def test_a_slip_in_an_address_shows_no_secret(text, shown):
    assert slip_of_address(text) == shown


def test_short_names_are_host_and_path():
    assert short_name("rtsp://admin:secret@10.0.0.7:554/live?token=1") == "10.0.0.7:554/live"
    assert short_name("http://cam/") == "cam"
    assert short_name("/data/a?b/live.m3u8") == "live.m3u8"


def test_schemes_are_told_from_paths():
    assert [scheme_of(text) for text in ("RTSP://x", "C:/clip.mp4", r"C:\clip.mp4", "clip.mp4", "file:///x")] == [
        "rtsp",
        "",
        "",
        "",
        "file",
    ]


def test_web_addresses_of_files():
    assert names_file("http://host/a/clip.MP4?x=1.m3u8")
    assert names_file("https://host/photo.jpg")
    for live in (
        "http://host/stream",
        "http://host/cam.mjpg",
        "http://host/live.m3u8",
        "rtsp://host/clip.mp4",
        "http://host.png",
    ):
        assert not names_file(live)
