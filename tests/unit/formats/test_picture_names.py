"""Which picture of a folder a file means."""

import time

import pytest

from wsis_steps.engine.errors import InputError
from wsis_steps.formats.picture_names import Pictures, identities, identity


def folder(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return Pictures(root)


@pytest.mark.parametrize(
    ("there", "name", "meant"),
    [
        (["a.jpg", "b/a.jpg"], "a.jpg", "a.jpg"),  # the full name before a shortened one
        (["a.jpg", "b/a.jpg"], "b/a.jpg", "b/a.jpg"),
        (["b/a.jpg"], "a.jpg", "b/a.jpg"),
        (["a.jpg"], "server/x/a.jpg", "a.jpg"),
        (["x/a.jpg", "y/a.jpg"], "server/x/a.jpg", "x/a.jpg"),
        (["x/a.jpg"], "server\\x\\a.jpg", "x/a.jpg"),
        (["a.png"], "a.jpg", "a.png"),  # converted since
        (["a.png", "a.jpg"], "a.jpg", "a.jpg"),
        (["a.jpeg", "b.jpg"], "a.jpg", "a.jpeg"),
        (["a.JPG", "a.png"], "a.jpg", "a.JPG"),
        (["images/a.webp", "masks/a.png"], "a.jpg", "images/a.webp"),  # all pictures converted, masks beside them
        (["images/a.jpg", "masks/a.png"], "a", "images/a.jpg"),
        (["Images/a.jpg"], "images/a.jpg", "Images/a.jpg"),
        (["x/a.jpg", "y/a.jpg"], "/home/u/x/a.jpg", "x/a.jpg"),
        (["images/a.jpg"], "C:\\Users\\u\\pics\\a.jpg", "images/a.jpg"),
        (["images/a.jpg"], "/home/u/data/a.jpg", "images/a.jpg"),
        (["images/a.jpg"], "..\\..\\upload\\1\\a.jpg", "images/a.jpg"),
        (["images/a.jpg"], "https://server/1/a.jpg", "images/a.jpg"),
        (["a.jpg"], "a", "a.jpg"),
        (["plot_0.png", "plot_0.5m.png"], "plot_0.5m", "plot_0.5m.png"),  # a name with dots is no suffix
        (["plot_0.5m.png"], "plot_0.5m.png", "plot_0.5m.png"),
        (["./a.jpg"], "./a.jpg", "a.jpg"),
        (["a.JPG"], "a.JPG", "a.JPG"),
        (["u\u0308.jpg"], "\u00fc.jpg", "u\u0308.jpg"),  # from a Mac
    ],
)
def test_the_picture_that_is_meant(there, name, meant, tmp_path):
    assert folder(tmp_path, *there).find(name) == tmp_path / meant


@pytest.mark.parametrize(
    ("there", "name", "words"),
    [
        (["cam2/1.jpg"], "cam1/1.jpg", "no picture 'cam1/1.jpg' in .*; the nearest is 'cam2/1.jpg'"),
        (["x/a.jpg", "y/a.jpg"], "a.jpg", "may be any of 2 pictures in .*: 'x/a.jpg', 'y/a.jpg'"),
        (["x/a.png", "x/a.jpg"], "a", "may be any of 2 pictures"),
        (["plot_0.png"], "plot_0.5m", "no picture 'plot_0.5m'"),
        (["images/a.jpg", "masks/b.png"], "b.jpg", "no picture 'b.jpg' in .*; the nearest is 'masks/b.png'"),
        (["a.jpg", "a.png", "b.png"], "b.jpg", "no picture 'b.jpg' in .*; the nearest is 'b.png'"),
        (["images/a.jpg", "masks/b.png"], "b", "no picture 'b'"),
        (["a.jpg", "c/a.jpg"], "b/a.jpg", "no picture 'b/a.jpg' in .*; the nearest is 'a.jpg'"),
        (["x/a.jpg", "y/x/a.jpg"], "z/x/a.jpg", "no picture 'z/x/a.jpg'"),
        (["cam2/a.jpg", "cam3/a.jpg"], "/home/u/cam1/a.jpg", "no picture '/home/u/cam1/a.jpg'"),
        (["a.jpg"], "b.gif", "no picture 'b.gif' in .*, and pictures in .gif are not read; convert them to PNG"),
        ([], "a.jpg", "which has no others"),
        (["a.jpg"], "", "no picture ''"),
        (["a.jpg"], "..", "no picture"),
    ],
)
def test_none_or_several_are_an_error(there, name, words, tmp_path):
    with pytest.raises(InputError, match=words):
        folder(tmp_path, *there).find(name)


@pytest.mark.parametrize("name", ["0123abcd-a.jpg", "7/0123abc-a.jpg", "upload/3/a.jpg", "a.jpg"])
def test_uploads_are_found_without_their_folders_and_the_signs_before_them(name, tmp_path):
    assert folder(tmp_path, "x/a.jpg").find(name, uploaded=True) == tmp_path / "x/a.jpg"


def test_a_plus_is_a_plus_and_else_a_space(tmp_path):
    pictures = folder(tmp_path, "c++ (1).png", "my file.png")
    assert pictures.find("c++ (1).png", uploaded=True).name == "c++ (1).png"
    assert pictures.find("my+file.png", uploaded=True).name == "my file.png"


def test_ids_are_names_without_suffix_that_keep_it_where_it_tells_them_apart():
    assert identity("a/0001.jpg") == "a_0001" and identity("plot_0.5m") == "plot_0.5m"
    assert identities(["a.jpg", "a.png", "b/c.jfif"]) == ["a.jpg", "a.png", "b_c"]


def test_a_name_may_begin_with_the_folder_of_the_data_set(tmp_path):
    folder(tmp_path / "train", "a.jpg", "small/a.jpg")
    assert Pictures(tmp_path / "train").find("train/a.jpg") == tmp_path / "train/a.jpg"


@pytest.mark.parametrize(
    "name", ["s{:04}/image.png", "all/s{:04}/image.png", "s{:04}/image", "/home/u/s{:04}/image.png"]
)
def test_thousands_of_pictures_of_one_file_name_take_no_time_a_square_of_that(name, tmp_path, monkeypatch):
    names = [f"s{k:04}/image.png" for k in range(5000)]
    monkeypatch.setattr("wsis_steps.formats.picture_names.walk", lambda root, suffixes: [root / name for name in names])
    start = time.process_time()
    pictures = Pictures(tmp_path)
    found = [pictures.name(pictures.find(name.format(k))) for k in range(5000)]
    assert found == names and time.process_time() - start < 2
