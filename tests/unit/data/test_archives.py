"""Downloads against a small server on this machine: whole, broken off, wrong, hostile."""

import errno
import hashlib
import http.server
import io
import socket
import tarfile
import threading
import zipfile

import pytest

from wsis_steps.data import archives
from wsis_steps.data.archives import ARCHIVES, Archive, download, missing_message
from wsis_steps.engine import downloads
from wsis_steps.engine.errors import InputError


def _tar(members: dict[str, bytes], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as file:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            if content is None:
                member.type, member.linkname = tarfile.SYMTYPE, "/etc"
            else:
                member.size = len(content)
            file.addfile(member, io.BytesIO(content or b""))
    return buffer.getvalue()


def _zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


class _Server(http.server.ThreadingHTTPServer):
    """Serves `content`; `behavior` is what it does wrong; `ranges` are the Range headers that it was sent."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content, self.behavior, self.ranges = b"", "", []
        self.url = f"http://127.0.0.1:{self.server_port}/file"


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server: _Server = self.server
        asked = self.headers.get("Range")
        server.ranges.append(asked)
        if server.behavior == "missing":
            self.send_error(404, "Not Found")
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and server.behavior != "no ranges" else 0
        body = server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:1000] if server.behavior == "break off" else body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    with _Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


PICTURES = {"data/set/a.txt": b"A" * 3000, "data/set/sub/b.txt": b"B", "data/other.txt": b"not asked for"}


def _archive(server, content: bytes, file="small.tar", makes=("data/set",)) -> Archive:
    server.content = content
    return Archive(file, server.url, len(content), hashlib.md5(content).hexdigest(), makes)


def _names(folder) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize(
    ("file", "content"),
    [("small.tar", _tar(PICTURES)), ("small.tgz", _tar(PICTURES, "w:gz")), ("small.zip", _zip(PICTURES))],
)
def test_an_archive_is_fetched_checked_and_unpacked_once(server, tmp_path, file, content):
    archive, seen = _archive(server, content, file), []
    download(archive, tmp_path / "to", report=lambda done, total: seen.append((done, total)))
    assert _names(tmp_path) == ["to/data/set/a.txt", "to/data/set/sub/b.txt"]
    assert (tmp_path / "to/data/set/a.txt").read_bytes() == PICTURES["data/set/a.txt"]
    assert seen[-1] == (len(content), len(content))
    download(archive, tmp_path / "to")
    assert server.ranges == [None]


def test_single_files_can_be_taken_beside_existing_ones(server, tmp_path):
    archive = _archive(server, _zip(PICTURES), "small.zip", ("data/set/sub/b.txt", "data/other.txt"))
    (tmp_path / "data/set").mkdir(parents=True)
    (tmp_path / "data/set/mine.txt").write_text("kept")
    download(archive, tmp_path)
    assert _names(tmp_path) == ["data/other.txt", "data/set/mine.txt", "data/set/sub/b.txt"]


@pytest.mark.parametrize(("behavior", "ranges"), [("", [None, "bytes=1000-"]), ("no ranges", [None, "bytes=1000-"])])
def test_a_broken_transfer_goes_on_where_it_stopped(server, tmp_path, behavior, ranges):
    archive = _archive(server, _tar(PICTURES))
    server.behavior = "break off"
    with pytest.raises(InputError, match=r"1\.0 kB of \d+\.\d kB.*run again"):
        download(archive, tmp_path)
    assert _names(tmp_path) == ["small.tar.part"]
    server.behavior = behavior
    download(archive, tmp_path)
    assert _names(tmp_path) == ["data/set/a.txt", "data/set/sub/b.txt"]
    assert server.ranges == ranges


def test_a_part_longer_than_the_archive_is_fetched_anew(server, tmp_path):
    archive = _archive(server, _tar(PICTURES))
    (tmp_path / "small.tar.part").write_bytes(b"x" * (archive.size + 5))
    download(archive, tmp_path)
    assert len(_names(tmp_path)) == 2


@pytest.mark.parametrize("change", [lambda c: c[:-1] + b"?", lambda c: c + b"more"])
def test_a_wrong_file_is_refused_and_removed(server, tmp_path, change):
    archive = _archive(server, _tar(PICTURES))
    server.content = change(server.content)
    with pytest.raises(InputError, match=rf"not the official small\.tar.*{archive.md5}"):
        download(archive, tmp_path)
    assert _names(tmp_path) == []


def test_a_mirror_can_be_given(server, tmp_path):
    archive = _archive(server, _tar(PICTURES))
    elsewhere = Archive(archive.file, "http://127.0.0.1:1/none", archive.size, archive.md5, archive.makes)
    download(elsewhere, tmp_path, url_override=server.url)
    assert len(_names(tmp_path)) == 2


def test_a_file_placed_by_hand_is_used_and_kept(server, tmp_path):
    archive = _archive(server, _tar(PICTURES))
    (tmp_path / archive.file).write_bytes(server.content)
    download(archive, tmp_path)
    assert _names(tmp_path) == ["data/set/a.txt", "data/set/sub/b.txt", "small.tar"]
    assert server.ranges == []


def test_a_wrong_file_placed_by_hand_is_named_and_left(server, tmp_path):
    archive = _archive(server, _tar(PICTURES))
    (tmp_path / archive.file).write_bytes(b"something")
    with pytest.raises(InputError, match=r"small\.tar is not the official"):
        download(archive, tmp_path)
    assert _names(tmp_path) == ["small.tar"]


def test_a_missing_page_no_network_and_a_wrong_address_are_sentences(server, tmp_path):
    archive = _archive(server, _tar(PICTURES))
    server.behavior = "missing"
    with pytest.raises(InputError, match="answers 404"):
        download(archive, tmp_path)
    with socket.socket() as closed:  # a port that nobody listens on
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(InputError, match="failed after .*refused"):
            download(archive, tmp_path, f"http://127.0.0.1:{closed.getsockname()[1]}/x")
    with pytest.raises(InputError, match="not a valid address"):
        download(archive, tmp_path, "somewhere")
    assert _names(tmp_path) == []


def test_too_little_room_is_told_before_the_download(server, tmp_path, monkeypatch):
    archive = _archive(server, _tar(PICTURES))
    usage = type("Usage", (), {"free": archive.size})
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(InputError, match=r"kB free, but \d+\.\d kB are needed"):
        download(archive, tmp_path)
    assert server.ranges == []


@pytest.mark.parametrize("step", ["_copy_body", "_extract"])
def test_a_disk_that_fills_up_is_a_sentence(server, tmp_path, monkeypatch, step):
    def fill(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(downloads if step == "_copy_body" else archives, step, fill)
    with pytest.raises(InputError, match="The disk is full: "):
        download(_archive(server, _tar(PICTURES)), tmp_path)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("x.tar", _tar({**PICTURES, "../evil.txt": b"x"})),
        ("x.tar", _tar({**PICTURES, "/tmp/evil.txt": b"x"})),
        ("x.tar", _tar({**PICTURES, "data/set/link": None})),
        ("x.zip", _zip({**PICTURES, "data/set/../../../evil.txt": b"x"})),
    ],
)
def test_nothing_lands_outside_the_folder(server, tmp_path, file, content):
    archive = _archive(server, content, file)
    with pytest.raises(InputError, match="nothing was unpacked"):
        download(archive, tmp_path / "deep/to")
    assert _names(tmp_path) == [f"deep/to/{file}"]


def test_damaged_or_other_content_is_a_sentence(server, tmp_path):
    with pytest.raises(InputError, match="cannot be unpacked"):
        download(_archive(server, _zip(PICTURES)[:-40], "a.zip"), tmp_path)
    with pytest.raises(InputError, match="does not hold data/nothing"):
        download(_archive(server, _tar(PICTURES), makes=("data/nothing",)), tmp_path)
    assert not (tmp_path / "data").exists()


def _patched(content: bytes, **fields: int) -> bytes:
    """A zip with other flags or another method in the headers of its members, which nothing else is changed for."""
    data = bytearray(content)
    for mark, places in ((b"PK\3\4", {"flags": 6, "method": 8}), (b"PK\1\2", {"flags": 8, "method": 10})):
        start = data.find(mark)
        while start >= 0:
            for name, value in fields.items():
                data[start + places[name]] = value
            start = data.find(mark, start + 4)
    return bytes(data)


@pytest.mark.parametrize(("fields", "words"), [({"flags": 1}, "encrypted"), ({"method": 99}, "not supported")])
def test_encrypted_members_and_unknown_methods_are_a_sentence(server, tmp_path, fields, words):
    with pytest.raises(InputError, match=f"a.zip cannot be unpacked: .*{words}"):
        download(_archive(server, _patched(_zip(PICTURES), **fields), "a.zip"), tmp_path)
    assert not (tmp_path / "data").exists()


def test_the_message_for_missing_data_says_what_how_large_and_where(tmp_path):
    sentence = missing_message("coco", tmp_path)
    for archive in ARCHIVES["coco"]:
        assert archive.url in sentence
        assert all(str(tmp_path / path) in sentence for path in archive.makes)
    assert "19.3 GB" in sentence
    assert "\n" not in sentence
    (tmp_path / "val2017").mkdir()
    assert "zips/val2017.zip" not in missing_message("coco", tmp_path)
    assert missing_message("folder", tmp_path / "x") == f"The folder {tmp_path / 'x'} does not exist."


def test_the_official_archives_are_plausible():
    for kind in ARCHIVES:
        for archive in ARCHIVES[kind]:
            assert archive.url.endswith(archive.file)
            assert len(bytes.fromhex(archive.md5)) == 16
            assert archive.size > 2e8
