"""The tag audit lists what the classifier answers otherwise than the tags, the surest first."""

import numpy as np
from artifacts import write_images
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from wsis_steps.classifier.audit_tags import disagreements, render
from wsis_steps.vision.contracts.images import Images

shapes = st.shared(st.tuples(st.integers(1, 6), st.integers(1, 4)))


@given(arrays(bool, shapes), arrays(np.float32, shapes, elements=st.floats(0, 1, width=32)))
@settings(max_examples=50, deadline=None)
def test_disagreements_are_those_of_a_search_one_by_one(tags, probabilities):
    expected = []
    for i in range(len(tags)):
        for category in range(tags.shape[1]):
            doubt = 1 - probabilities[i, category] if tags[i, category] else probabilities[i, category]
            if doubt > 0.5:
                expected.append((-doubt, i, category))
    assert disagreements(tags, probabilities).tolist() == [list(row[1:]) for row in sorted(expected)]


def test_the_page_says_what_is_missing_and_what_is_too_much(tmp_path):
    images = Images(write_images(tmp_path / "images.h5", class_names=("<cat>", "dog")))
    probabilities = np.where(images.tags, 0.9, 0.1)
    probabilities[0] = 0.2, 0.97  # image 0 is tagged <cat>
    rows = disagreements(images.tags, probabilities)
    text = render(images, rows, probabilities, shown=1)
    assert "<b>dog</b>? 97 %, no tag" in text and "&lt;cat&gt;" in text
    assert text.count("<img") == 1 and "the surest 1 are below" in text
    assert "<b>&lt;cat&gt;</b>, which it sees with 20 % only" in render(images, rows, probabilities, shown=2)
