"""Sources as users write them; no secret is shown."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yamnet_cry.errors import SourceError
from yamnet_cry.home.sources import Source, distinct, parse, read, without_secrets

SECRET = st.text("abcdefghijklmnopqrstuvwxyz0123456789!$&'()*+,;=-._~/:", min_size=4, max_size=12)


@pytest.mark.parametrize(
    ("typed", "name", "address"),
    [
        ("rtsp://camera.local:554/stream1", "camera-local", "rtsp://camera.local:554/stream1"),
        ("nursery=rtsp://10.0.0.7/s?a=b", "nursery", "rtsp://10.0.0.7/s?a=b"),
        ("http://radio/live?token=abc", "radio", "http://radio/live?token=abc"),
        ("hall=device:USB Audio", "hall", "device:USB Audio"),
        ("device", "microphone", "device"),
        ("device:USB Audio", "USB-Audio", "device:USB Audio"),
        ("rtsp://[fe80::1]:554/s", "fe80-1", "rtsp://[fe80::1]:554/s"),
    ],
)
def test_what_is_typed(typed, name, address):
    source = parse(typed)
    assert (source.name, source.address) == (name, address)


def test_microphones_are_known():
    assert parse("device").microphone == ""
    assert parse("device:2").microphone == "2"
    assert parse("srt://host:9000").microphone is None


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("night.wav", "for files use `yamnet-cry detect`. Received: night.wav"),
        ("ftp://host/x", "expected an address that begins with rtsp://"),
        ("rtsp:///x", "expected a host after rtsp://. Received: rtsp:///x"),
        ("rtsp://host:port/x", "not an address"),
        ("a b=rtsp://host/x", "up to 32 letters, digits, - and _. Received: 'a b' for rtsp://host/x"),
        ("rtsp://user:${NO_SUCH}@host/x", "the environment variable NO_SUCH in an address is not set"),
    ],
)
def test_what_cannot_be_listened_to(typed, message):
    with pytest.raises(SourceError, match=re.escape(message)):
        parse(typed, {})


def test_the_environment_keeps_passwords():
    source = parse("rtsp://viewer:${CAMERA}@host/x", {"CAMERA": "p@ss/w:rd"})
    assert source.address == "rtsp://viewer:p%40ss%2Fw%3Ard@host/x"
    assert "p%40ss" not in repr(source)


@pytest.mark.parametrize("password", ["pa/ss:w0rd", "pa?ss:w0rd", "pa@ss:w0rd", "p#ss:w0rd"])
def test_a_password_that_is_not_quoted_is_not_shown_either(password):
    address = f"rtsp://viewer:{password}@host/x"
    assert "w0rd" not in without_secrets(address)
    try:
        source = parse(address)
    except SourceError as error:
        assert "pa" not in str(error).partition("Received:")[2]  # noqa: PT017
        assert "w0rd" not in str(error)  # noqa: PT017
    else:
        assert "ss:w0rd" not in source.name


@given(SECRET, SECRET)
def test_nothing_secret_is_shown(user, password):
    address = f"rtsp://{user}:{password}@host/stream?key={password}"
    assert without_secrets(address) == "rtsp://host/stream"
    with pytest.raises(SourceError) as error:
        parse(f"ftp://{user}:{password}@host/{'x' * 3}")
    assert f":{password}@" not in str(error.value)


def test_a_file_of_sources(tmp_path):
    file = tmp_path / "sources.toml"
    file.write_text(
        '[sources.nursery]\naddress = "rtsp://camera/1"\nuser = "viewer"\npassword = "${CAMERA}"\n'
        "threshold = 0.7\n[sources.hall]\naddress = 'device'\n"
    )
    assert read(file, {"CAMERA": "a:b@c"}) == [
        Source("nursery", "rtsp://viewer:a%3Ab%40c@camera/1", 0.7),
        Source("hall", "device"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a = ", "is not TOML"),
        ("", "expected only tables [sources.NAME], one per source"),
        ("[sources]\n[other]\n", "expected only tables [sources.NAME], one per source"),
        ("[sources.a]\nurl = 'x'", 'expected address = "rtsp://…"'),
        ("[sources.a]\naddress = 'device'\nurl = 'x'", "Received: url"),
        ("[sources.a]\naddress = 'device'\nthreshold = 2", "expected a threshold in [0, 1]. Received: 2"),
        ("[sources.a]\naddress = 'rtsp://h/x'\npassword = 2", "expected password in quotes"),
        ("[sources.a]\naddress = 'file:///x'", "expected an address that begins with"),
    ],
)
def test_a_file_that_names_no_sources(tmp_path, content, message):
    file = tmp_path / "sources.toml"
    file.write_text(content)
    with pytest.raises(SourceError, match=re.escape(message)):
        read(file, {})
    with pytest.raises(SourceError, match="none.toml cannot be read: "):
        read(tmp_path / "none.toml")


def test_what_comes_twice_is_left_out():
    listed = [parse("a=rtsp://h/1"), parse("b=rtsp://h/1"), parse("A=rtsp://h/2"), parse("c=rtsp://h/3")]
    kept, refused = distinct(listed)
    assert [source.name for source in kept] == ["a", "c"]
    assert refused == [
        "b has the same address as a and is ignored",
        "a second source named A is ignored; rename it with NAME=ADDRESS",
    ]
