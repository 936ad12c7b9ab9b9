"""A trained Mask R-CNN knows which samples of pictures of more than 8 bits its training saw as black and white."""

import pytest
from artifacts import edited
from calls import call
from trainings import make_inputs, paths, settings_of

from wsis_steps.maskrcnn.network import read_maskrcnn


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return make_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.mark.parametrize("step", ["maskrcnn.train", "annotation_consistency.train_prediction"])
def test_the_range_of_the_pictures_comes_into_the_model(inputs, step, tmp_path):
    for ends in (None, (100, 4095)):
        with edited(inputs["images"]) as file:
            file.attrs.pop("picture_range", None)
            if ends:
                file.attrs["picture_range"] = str(list(ends))
        files = paths(inputs, step, tmp_path)
        assert call(step, settings_of(step, 2), **files).status == 0
        assert read_maskrcnn(files["model"]).picture_range == ends
