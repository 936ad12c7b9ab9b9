"""bestie_infer as a whole: working ahead in processes pairs every picture with its own outputs."""

import numpy as np
import pytest
import torch
from artifacts import CLASSES, write_images
from calls import call

from wsis_steps.bestie.network import build_network
from wsis_steps.bestie.settings import BestieTrain
from wsis_steps.engine.provenance import Provenance
from wsis_steps.vision.contracts.instances import Instances
from wsis_steps.vision.models import save_model

COUNT, UNPOINTED = 20, (2, 5)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Pictures, and a network with random heads that are strong enough to tell pixels apart."""
    folder = tmp_path_factory.mktemp("trained")
    torch.manual_seed(0)
    settings = BestieTrain(backbone="small", weights="none")
    network = build_network(settings, len(CLASSES))
    for head in network.decoder.heads.values():
        torch.nn.init.normal_(head[-1].weight, std=1)
    provenance = Provenance("bestie_train", settings.model_dump_json(), "0123", "abcd", {}, CLASSES, ("tags",))
    save_model(folder / "model.pt", network, provenance)
    write_images(folder / "images.h5", train=COUNT, val=COUNT, unpointed=UNPOINTED)
    return folder


def infer(trained, folder, threads, **settings):
    outputs = {name: folder / f"{name}{threads}.h5" for name in ("labels", "predictions")}
    settings = {"min_area": 10, "window": 7, **settings}
    inputs = {"images": trained / "images.h5", "model": trained / "model.pt"}
    outcome = call("bestie.infer", settings, **inputs, **outputs, threads=threads)
    assert outcome.status == 0, outcome.errors
    return [list(Instances(path)) for path in outputs.values()]


@pytest.mark.parametrize("supervision", ["tags", "points"])
def test_the_result_is_the_same_whatever_the_processes(trained, tmp_path, supervision):
    settings = {"crf_iterations": 2, "bilateral_sxy": 8, "background_weight": 0.5, "supervision": supervision}
    alone = infer(trained, tmp_path, 1, **settings)
    beside = infer(trained, tmp_path, 3, **settings)
    for found, expected in zip(beside, alone, strict=True):
        assert len(found) == COUNT and sum(map(len, found)) > COUNT / 2
        for one, other in zip(found, expected, strict=True):
            assert one.rles == other.rles and one.categories.tolist() == other.categories.tolist()
            np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)
    wanted = COUNT - (len(UNPOINTED) if supervision == "points" else 0)
    expected = [Instances(tmp_path / f"{name}1.h5").counts["expected"] for name in ("labels", "predictions")]
    assert expected == [wanted, COUNT]


def test_the_field_changes_masks_and_the_weight_only_labels(trained, tmp_path):
    plain = infer(trained, tmp_path, 1)
    refined = infer(trained, tmp_path, 1, crf_iterations=2, bilateral_sxy=8)
    weighted = infer(trained, tmp_path, 1, background_weight=0.01)

    def areas(found):
        return [sum(image.areas) for image in found]

    assert areas(refined[0]) != areas(plain[0]) and areas(refined[1]) != areas(plain[1])
    assert sum(areas(weighted[0])) > sum(areas(plain[0])) and areas(weighted[1]) == areas(plain[1])
