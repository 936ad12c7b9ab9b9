"""From a small server on this machine, through the download step, to an imported data set."""

import dataclasses
import hashlib
import http.server
import json
import tarfile
import threading
import zipfile

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_codec
from scipy.io import savemat

from wsis_steps.data import archives, download_archives, import_dataset
from wsis_steps.data.settings import DataDrawShapes
from wsis_steps.data.shape_looks import CLASS_NAMES
from wsis_steps.data.shapes import draw_voc_tree
from wsis_steps.vision.contracts.images import Images
from wsis_steps.vision.contracts.instances import Instances

VOC = "VOCdevkit/VOC2012"
TRAIN = [f"train_{k:05d}" for k in range(4)]
VAL = ["val_00000", "val_00001"]
ONLY_SBD = TRAIN[2:]  # have no PNG masks and are in SBD's lists alone


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Serves `server.files`, with ranges; sends the first half of the names in `server.breaks` only."""

    def do_GET(self):
        name = self.path.strip("/")
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.server.asked.append((name, start))
        if name not in self.server.files:
            self.send_error(404)
            return
        body = self.server.files[name][start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if name in self.server.breaks else body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def mirror(monkeypatch):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.files, server.breaks, server.asked = {}, set(), []
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("WSIS_MIRROR", f"http://127.0.0.1:{server.server_port}/")
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A VOC tree whose training images are half in VOC's list, with PNG masks, and half in SBD's."""
    root = tmp_path_factory.mktemp("drawn")
    draw_voc_tree(root / VOC, DataDrawShapes(image_size=64, train=len(TRAIN), val=len(VAL), seed=3, difficulty=0))
    sbd = root / "benchmark_RELEASE/dataset"
    (sbd / "inst").mkdir(parents=True)
    for name in ONLY_SBD:
        objects, classes = (
            root / VOC / folder / f"{name}.png" for folder in ("SegmentationObject", "SegmentationClass")
        )
        id_map, class_map = np.array(Image.open(objects)), np.array(Image.open(classes))
        categories = [[class_map[id_map == k][0]] for k in range(1, id_map.max() + 1)]
        savemat(sbd / f"inst/{name}.mat", {"GTinst": {"Segmentation": id_map, "Categories": categories}})
        objects.unlink()
        classes.unlink()
    (root / VOC / "ImageSets/Segmentation/train.txt").write_text("\n".join(TRAIN[:2]))
    (sbd / "train.txt").write_text("\n".join([ONLY_SBD[0], TRAIN[0], VAL[0]]))
    (sbd / "val.txt").write_text("\n".join([ONLY_SBD[1], VAL[1]]))
    return root


def _serve(mirror, monkeypatch, packed: dict[str, dict[str, bytes]], kinds):
    """Serves archives of the given members under the official names, and takes their sizes for the official ones."""
    ours = {kind: tuple(_official(archive, packed, mirror) for archive in archives.ARCHIVES[kind]) for kind in kinds}
    for kind, found in ours.items():
        monkeypatch.setitem(archives.ARCHIVES, kind, found)


def _official(archive, packed, mirror):
    content = packed[archive.file]
    mirror.files[archive.file] = content
    return dataclasses.replace(archive, size=len(content), md5=hashlib.md5(content).hexdigest())


def _tar(root, folder, path, mode):
    with tarfile.open(path, mode) as file:
        file.add(root / folder, folder)
    return path.read_bytes()


def _run(step, main, *arguments):
    with pytest.raises(SystemExit) as ended:
        step.run(main, list(map(str, arguments)))
    return ended.value.code


def _download(to, *kinds):
    settings = json.dumps({"archives": kinds})
    record = to.parent / "record.json"
    return _run(download_archives.STEP, download_archives.main, "--to", to, "--record", record, "--settings", settings)


def _import(folder, **settings):
    names = ("images", "instances_train", "instances_val")
    paths = {name: folder / f"{name}.h5" for name in names} | {"summary": folder / "summary.json"}
    outputs = [argument for name, path in paths.items() for argument in (f"--{name}", path)]
    settings = json.dumps(settings)
    code = _run(import_dataset.STEP, import_dataset.main, "--settings", settings, "--threads", 1, *outputs)
    assert code == 0
    return Images(paths["images"]), Instances(paths["instances_train"]), Instances(paths["instances_val"])


@pytest.fixture
def voc_and_sbd(mirror, monkeypatch, drawn, tmp_path):
    packed = {
        "VOCtrainval_11-May-2012.tar": _tar(drawn, VOC, tmp_path / "voc.tar", "w"),
        "benchmark.tgz": _tar(drawn, "benchmark_RELEASE/dataset", tmp_path / "sbd.tgz", "w:gz"),
    }
    _serve(mirror, monkeypatch, packed, ("voc", "sbd"))
    return mirror


def test_voc_and_sbd_are_downloaded_and_imported_as_trainaug(voc_and_sbd, drawn, tmp_path):
    data = tmp_path / "data"
    assert _download(data, "voc", "sbd") == 0
    assert (data / VOC / "ImageSets/Segmentation/trainaug.txt").read_text().split() == TRAIN
    images, train, val = _import(
        tmp_path,
        format="voc",
        root=f"{data}/{VOC}",
        sbd_root=f"{data}/benchmark_RELEASE/dataset",
        train_list="trainaug",
    )
    assert images.class_names == CLASS_NAMES
    assert [images.ids[i] for i in images.members("train")] == TRAIN
    assert val.ids == VAL
    assert all(len(train.read(i)) for i in range(4))
    for i in range(4):  # masks of PNG and of SBD alike show the tags of the XML
        assert sorted(set(train.read(i).categories)) == np.flatnonzero(images.tags[images.index[train.ids[i]]]).tolist()


def test_a_second_call_fetches_nothing_and_keeps_a_list_of_ones_own(voc_and_sbd, tmp_path):
    data = tmp_path / "data"
    assert _download(data, "voc", "sbd") == 0
    own = data / VOC / "ImageSets/Segmentation/trainaug.txt"
    own.write_text(f"{TRAIN[0]}\n")
    before = len(voc_and_sbd.asked)
    assert _download(data, "voc", "sbd") == 0
    assert len(voc_and_sbd.asked) == before == 2
    assert own.read_text() == f"{TRAIN[0]}\n"


def test_a_broken_transfer_ends_in_a_sentence_and_is_resumed(voc_and_sbd, tmp_path, capfd):
    data, name = tmp_path / "data", "benchmark.tgz"
    voc_and_sbd.breaks = {name}
    assert _download(data, "voc", "sbd") == 2
    text = capfd.readouterr().err
    assert "benchmark.tgz" in text
    assert "run again" in text
    assert "Traceback" not in text
    assert not (tmp_path / "record.json").exists()
    half = (data / f"{name}.part").stat().st_size
    assert 0 < half < len(voc_and_sbd.files[name])
    voc_and_sbd.breaks = set()
    assert _download(data, "voc", "sbd") == 0
    assert [asked for asked in voc_and_sbd.asked if asked[0] == name] == [(name, 0), (name, half)]
    assert sum(asked[0].startswith("VOCtrainval") for asked in voc_and_sbd.asked) == 1
    record = json.loads((tmp_path / "record.json").read_text())
    assert [row["file"] for row in record] == ["VOCtrainval_11-May-2012.tar", name]


def test_a_file_with_another_checksum_is_refused(voc_and_sbd, tmp_path, capfd):
    name = "VOCtrainval_11-May-2012.tar"
    voc_and_sbd.files[name] = voc_and_sbd.files[name][:-1] + b"?"
    assert _download(tmp_path / "data", "voc") == 2
    assert "not the official" in capfd.readouterr().err
    assert not (tmp_path / "data" / VOC).exists()


def test_no_archive_named_is_a_sentence(tmp_path, capfd):
    assert _download(tmp_path / "data") == 2
    assert "archives is empty; name some of voc, sbd, coco" in capfd.readouterr().err


def test_the_import_of_what_is_not_there_says_where_it_belongs(tmp_path, capfd):
    for root in (tmp_path, tmp_path / "VOCdevkit/VOC2012"):
        settings = json.dumps({"format": "voc", "root": str(root)})
        outputs = [
            text
            for name in ("images", "instances_train", "instances_val", "summary")
            for text in (f"--{name}", tmp_path / name)
        ]
        assert _run(import_dataset.STEP, import_dataset.main, "--settings", settings, "--threads", 1, *outputs) == 2
        text = capfd.readouterr().err
        assert f"is not in {tmp_path}: download https://" in text
        assert f"which makes {tmp_path}/VOCdevkit/VOC2012; `make voc2012`" in text
    assert list(tmp_path.iterdir()) == []


def test_coco_is_downloaded_and_imported(mirror, monkeypatch, drawn, tmp_path):
    categories = [{"id": 10 + k, "name": name} for k, name in enumerate(CLASS_NAMES)]
    packed, expected, members = {}, {}, {}
    for split, names in (("train", TRAIN[:2]), ("val", VAL)):
        rows, annotations = [], []
        for number, name in enumerate(names):
            rows.append({"id": number, "file_name": f"{name}.jpg", "height": 64, "width": 64})
            id_map, class_map = (
                np.array(Image.open(drawn / VOC / folder / f"{name}.png"))
                for folder in ("SegmentationObject", "SegmentationClass")
            )
            for k in range(1, id_map.max() + 1):
                rle = coco_codec.encode(np.asfortranarray(id_map == k).astype(np.uint8))
                expected.setdefault(name, []).append(rle["counts"])
                annotations.append(
                    {
                        "id": len(annotations), "image_id": number, "iscrowd": 0,
                        "category_id": 9 + int(class_map[id_map == k][0]), "bbox": coco_codec.toBbox(rle).tolist(),
                        "segmentation": {"size": [64, 64], "counts": rle["counts"].decode()},
                    }
                )  # fmt: skip
        content = {"images": rows, "annotations": annotations, "categories": categories}
        members[f"annotations/instances_{split}2017.json"] = json.dumps(content).encode()
        pictures = {f"{split}2017/{n}.jpg": (drawn / VOC / f"JPEGImages/{n}.jpg").read_bytes() for n in names}
        packed[f"{split}2017.zip"] = _zip(tmp_path / "x.zip", pictures)
    members["annotations/captions_train2017.json"] = b"not wanted"
    packed["annotations_trainval2017.zip"] = _zip(tmp_path / "x.zip", members)
    _serve(mirror, monkeypatch, packed, ("coco",))
    data = tmp_path / "data"
    assert _download(data, "coco") == 0
    assert sorted(p.name for p in data.iterdir()) == ["annotations", "train2017", "val2017"]
    assert len(list((data / "annotations").iterdir())) == 2
    images, train, val = _import(tmp_path, format="coco", root=str(data))
    assert images.class_names == CLASS_NAMES
    for found in (train, val):
        for i, name in enumerate(found.ids):
            assert [rle["counts"] for rle in found.read(i).rles] == expected[name]


def _zip(path, members: dict[str, bytes]) -> bytes:
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path.read_bytes()
