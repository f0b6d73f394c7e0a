import pytest

from framehook.inference.sources.addresses import names_file, path_of, redacted, scheme_of, short_name, slip_of_address


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
        ("http://cam/a?X-Amz-Signature=abc#key=abc", "http://cam/a?X-Amz-Signature=***"),
        ("http://cam/a#key=abc", "http://cam/a#key=***"),
        ("rtsp://admin:12/34@cam/live", "rtsp://cam/live"),
        ("rtsp://admin:2023#abc@cam/live", "rtsp://cam/live"),
        ("rtsp://admin:12?34@cam:554/live", "rtsp://cam:554/live"),
        ("rtsp://admin:a@b/c@cam/live", "rtsp://cam/live"),
        ("http://admin:12/34@cam/live", "http://cam/live"),
        ("http://admin:12#34@10.0.0.7:80", "http://10.0.0.7:80"),
        ("http://admin:p?ss@cam/live", "http://cam/live"),
        ("http://10.0.0.7:8080/to/me@home", "http://10.0.0.7:8080/to/me@home"),
        ("http://localhost:1984/x?src=rtsp://me:secret@cam/live&y=1", "http://localhost:1984/x?src=rtsp://cam/live&y=1"),
        ("http://nas/x?src=rtsp%3A%2F%2Fme%3Asecret%40cam%2Flive", "http://nas/x?src=rtsp%3A%2F%2Fcam%2Flive"),
        ("http://nas/x?src=rtsp://cam/live?token=abc", "http://nas/x?src=rtsp://cam/live?token=***"),
        ("srt://cam:8890?streamid=#!::u=admin,s=hunter2&x=1", "srt://cam:8890?streamid=***&x=1"),
        ("srt://cam:1?passphrase=ab/cd#ef&x=1", "srt://cam:1?passphrase=***&x=1"),
        ("http://cam/v?password=a?b=c;d/e#f", "http://cam/v?password=***"),
        ("http://cam/v?pw=abc&psw=abc&jwt=abc&page=2", "http://cam/v?pw=***&psw=***&jwt=***&page=2"),
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


def test_paths_are_cut_out_of_addresses_that_no_parser_takes():
    assert path_of("rtsp://me:se[cret@cam/live/1?x=/2#3") == "/live/1"
    assert path_of("rtsp://me:se\uff0fcr]et@cam") == ""
    assert path_of("http://[::1]:80/list.m3u8?token=a.mp4") == "/list.m3u8"
    assert path_of("/data/a.m3u8") == "/data/a.m3u8"
    assert names_file("http://me:se[cr]et@host/clip.mp4")
