"""Weights that a step downloads, from a small server on this machine."""

import hashlib
import http.server
import logging
import threading
import urllib.request

import pytest
import torch

from wsis_steps.__main__ import main
from wsis_steps.engine.errors import InputError
from wsis_steps.vision import weights
from wsis_steps.vision.backbones import build_backbone

CONTENT = bytes(range(256)) * 5000
DIGITS = hashlib.sha256(CONTENT).hexdigest()[:8]
FILE = f"net-{DIGITS}.pth"


class _Handler(http.server.BaseHTTPRequestHandler):
    """Serves `server.content` under any name, with ranges; only `server.most` bytes of it in one answer, and without
    their number if not `server.counts`."""

    def do_GET(self):
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.server.asked.append((self.path, start))
        body = self.server.content[start:]
        if not body:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if self.server.counts:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.most])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch, tmp_path):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.content, server.most, server.asked, server.counts = CONTENT, None, [], True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        server.address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.delenv("WSIS_OFFLINE")
        monkeypatch.setenv("WSIS_WEIGHTS", str(tmp_path / "weights"))
        monkeypatch.setenv("WSIS_MIRROR", server.address)
        monkeypatch.setattr(weights, "_address", lambda entry: (f"https://weights.example/{FILE}", "MIT"))
        yield server
        server.shutdown()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights/vgg16_imagenet.pth"


def obtain():
    return weights.obtain_weights("vgg16", "imagenet")


def failure() -> str:
    with pytest.raises(InputError) as error:
        obtain()
    return str(error.value)


def test_missing_weights_are_downloaded_once_and_their_size_and_license_told(server, path, caplog):
    caplog.set_level(logging.INFO)
    assert obtain() == path and path.read_bytes() == CONTENT
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    first, last = caplog.messages[0], caplog.messages[-1]
    assert first == f"downloading 1.3 MB: ImageNet weights of vgg16 (MIT), from {server.address}/{FILE}"
    assert last == f"{path}: SHA-256 {DIGITS}, as published"
    assert obtain() == path and server.asked == [(f"/{FILE}", 0)]


def test_the_backbone_gets_the_weights_of_the_file(server, tmp_path, monkeypatch):
    source = build_backbone("mobilenet_v2")
    torch.save(source.state_dict(), tmp_path / "file.pth")
    server.content = (tmp_path / "file.pth").read_bytes()
    digits = hashlib.sha256(server.content).hexdigest()[:12]
    monkeypatch.setattr(weights, "_address", lambda entry: (f"https://weights.example/net-{digits}.pth", "MIT"))
    backbone = build_backbone("mobilenet_v2")
    weights.load_weights(backbone, "imagenet")
    for name, value in source.state_dict().items():
        assert torch.equal(backbone.state_dict()[name], value)


def test_an_interrupted_download_resumes(server, path):
    server.most = 300_000
    told = failure()
    assert "stopped at 300.0 kB of 1.3 MB; run again to resume" in told and not path.exists()
    server.most = None
    assert obtain().read_bytes() == CONTENT
    assert [start for _, start in server.asked] == [0, 300_000]


def test_a_part_that_is_complete_is_checked_and_used(server, path):
    path.parent.mkdir()
    path.with_name(path.name + ".part").write_bytes(CONTENT)
    assert obtain().read_bytes() == CONTENT


def test_a_part_of_another_file_is_downloaded_anew(server, path):
    """As of a server that has replaced the file since."""
    path.parent.mkdir()
    path.with_name(path.name + ".part").write_bytes(b"before" * 1000)
    assert obtain().read_bytes() == CONTENT
    assert [start for _, start in server.asked] == [6000, 0]


def test_a_server_may_leave_the_size_out(server, path, caplog):
    caplog.set_level(logging.INFO)
    server.counts = False
    assert obtain().read_bytes() == CONTENT
    assert caplog.messages[0].startswith("downloading a file of unknown size: ImageNet weights of vgg16")
    path.unlink()
    server.most = 1000
    assert "is not the published file" in failure() and not path.exists()


def test_a_file_with_another_checksum_is_not_kept(server, path):
    server.content = CONTENT[::-1]
    other = hashlib.sha256(CONTENT[::-1]).hexdigest()[:8]
    assert f"{FILE} is not the published file: its SHA-256 begins {other}, not {DIGITS})" in failure()
    assert not path.exists()
    server.content = CONTENT
    assert obtain().read_bytes() == CONTENT
    assert [start for _, start in server.asked] == [0, 0]  # nothing of the wrong file was resumed


def test_without_a_network_the_sentence_says_where_to_get_the_file(server, path, monkeypatch):
    monkeypatch.setenv("WSIS_MIRROR", "http://127.0.0.1:1")
    wanted = f"no ImageNet weights for vgg16: download torchvision's {FILE} from https://weights.example/{FILE}"
    told = failure()
    assert told.startswith(f"{wanted} and save it as {path} (downloading it failed: http://127.0.0.1:1/{FILE} failed")
    assert not path.exists()
    monkeypatch.setenv("WSIS_OFFLINE", "1")
    assert failure() == f"{wanted} and save it as {path}" and not server.asked


def test_a_proxy_is_used(server, monkeypatch):
    monkeypatch.setenv("WSIS_MIRROR", "http://weights.invalid")
    monkeypatch.setenv("http_proxy", server.address)
    monkeypatch.setattr(urllib.request, "_opener", None)  # it reads the variable once in a process
    assert obtain().read_bytes() == CONTENT
    assert server.asked == [(f"http://weights.invalid/{FILE}", 0)]


def test_two_that_want_a_file_download_it_once(server, path):
    both = [threading.Thread(target=obtain) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert path.read_bytes() == CONTENT and len(server.asked) == 1


def test_files_whose_names_have_no_checksum_are_not_downloaded(server, monkeypatch):
    monkeypatch.setattr(weights, "_address", lambda entry: ("https://weights.example/net.pth", "MIT"))
    assert failure().startswith("no ImageNet weights for vgg16: download") and not server.asked


def test_published_files_are_those_of_torchvision_and_timm(monkeypatch):
    monkeypatch.delenv("WSIS_OFFLINE")
    found = {name: weights.published_file(name) for name in ("vgg16", "resnet50_gn", "hrnet_w48", "small")}
    assert found["vgg16"][:2] == ("https://download.pytorch.org/models/vgg16-397923af.pth", "397923af")
    assert found["resnet50_gn"][0].startswith("https://github.com/") and found["resnet50_gn"][2] == "apache-2.0"
    assert found["hrnet_w48"] is None and found["small"] is None


def test_check_tells_what_will_be_downloaded_and_downloads_on_request(server, path, tmp_path, capsys):
    runs = "runs: {a: {system: bestie, steps: {maskrcnn_train: {weights: none}, bestie_train: {weights: none}}}}"
    (tmp_path / "my.yaml").write_text(f"dataset: shapes\n{runs}\nsteps: {{classifier_train: {{backbone: vgg16}}}}\n")

    def check(*words):
        with pytest.raises(SystemExit) as ended:
            main(["check", str(tmp_path / "my.yaml"), "--threads", "1", *words])
        return ended.value.code, capsys.readouterr()

    status, said = check()
    assert f"The first job that needs them downloads {server.address}/{FILE} (MIT)." in said.out
    assert status == 0 and not server.asked and not path.exists()
    assert check("--download")[0] == 0 and path.read_bytes() == CONTENT
    server.content = CONTENT[::-1]
    path.unlink()
    status, said = check("--download")
    assert status == 2 and "is not the published file" in said.out
