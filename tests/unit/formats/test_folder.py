"""The tables of one's own pictures."""

import unicodedata

import pytest
from imports import imported
from PIL import Image
from pydantic import ValidationError

from wsis_steps.data.settings import DataImportDataset
from wsis_steps.engine.errors import InputError
from wsis_steps.formats import folder as tables
from wsis_steps.formats.loading import read_dataset


def read_folder(root, val_share=0.2, **settings):
    return imported(tables.read, root, val_share=val_share, **settings)


@pytest.fixture
def folder(tmp_path):
    def make(tags, points=None, pictures=("a.jpg", "b.jpg", "sub/c.png", "unused.jpg")):
        for name in pictures:
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            Image.new("RGB", (30, 20)).save(path)
        (tmp_path / "tags.csv").write_text(tags)
        if points is not None:
            (tmp_path / "points.csv").write_text(points)
        return tmp_path

    return make


def _by_id(data):
    return {record.id: record for record in data.records}


def test_tags_splits_and_points(folder):
    root = folder(
        "split,image,tags\ntrain,a.jpg,cell; round body\nval,b.jpg,cell\ntrain,sub/c.png,\n",
        "image,x,y,class\na.jpg,3,4.5,cell\na.jpg,29,19,round body\n",
    )
    data = read_folder(root, val_share=0.2)
    records = _by_id(data)
    assert data.class_names == ["cell", "round body"]
    assert {name: r.split for name, r in records.items()} == {"a": "train", "b": "val", "sub_c": "train"}
    assert {name: r.tags for name, r in records.items()} == {"a": (0, 1), "b": (0,), "sub_c": ()}
    assert records["a"].points.tolist() == [[3, 4.5, 0], [29, 19, 1]]
    assert records["b"].points.shape == (0, 3)
    assert records["b"].boxes.shape == (0, 5)
    assert records["sub_c"].path == root / "sub/c.png"
    assert data.truth(records["a"]) is None
    counted = ("images_without_tags", "points", "tags_without_a_point", "boxes")
    assert [data.counts[name] for name in counted] == [1, 2, 1, 0] and "tags_without_a_box" not in data.counts
    assert data.left_out == {"pictures_not_listed": 1}


def test_boxes(folder):
    root = folder("a.jpg,cell body\nb.jpg,cell\nsub/c.png,\n")
    (root / "boxes.csv").write_text("image,class,x1,y1,x2,y2\na.jpg,body,0,0,30,20\na.jpg,body,1.5,2,9,7\n")
    data = read_folder(root, val_share=0)
    records = _by_id(data)
    assert records["a"].boxes.tolist() == [[0, 0, 30, 20, 0], [1.5, 2, 9, 7, 0]]
    assert records["b"].boxes.shape == (0, 5) and records["a"].points.shape == (0, 3)
    assert (data.counts["boxes"], data.counts["tags_without_a_box"]) == (2, 2)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a.jpg,1,2,33,9,cell", ["boxes.csv:1, image 'a.jpg': its box (1, 2, 33, 9) leaves the picture", "30x20"]),
        ("a.jpg,-3,2,3,9,cell", ["boxes.csv:1", "leaves the picture"]),
        ("a.jpg,9,2,8,9,cell", ["boxes.csv:1", "ends before it begins", "a corner with width and height"]),
        ("a.jpg,.1,.2,.5,.9,cell", ["boxes.csv:1", "look like shares of the sides"]),
        ("a.jpg,nan,2,9,9,cell", ["boxes.csv:1", "no number"]),
        ("a.jpg,a,2,9,9,cell", ["x1 and y1 and x2 and y2 are 'a' and '2' and '9' and '9', not numbers"]),
        ("b.jpg,1,2,9,9,cell", ["a box of 'cell' but is not tagged"]),
        ("a.jpg,1,5,2,7,9,9,cell", ["8 cells", "decimals have a point"]),
        ("", ["boxes.csv holds no box"]),
    ],
)
def test_a_bad_box_is_one_sentence_that_names_it(folder, line, words):
    root = folder("a.jpg,cell\nb.jpg,body\n")
    (root / "boxes.csv").write_text(f"{line}\n")
    with pytest.raises(InputError) as error:
        read_folder(root, val_share=0.2)
    assert all(word in str(error.value) for word in words), error.value


def test_tags_between_spaces_no_header_bom_and_windows_paths(folder):
    root = folder("\ufeffa.jpg,two one\nsub\\c.png,one\n")
    data = read_folder(root, val_share=0)
    assert data.class_names == ["one", "two"]
    assert {name: r.tags for name, r in _by_id(data).items()} == {"a": (0, 1), "sub_c": (0,)}


def test_semicolons_or_quoted_commas_anywhere_keep_spaces_in_names(folder):
    data = read_folder(folder('a.jpg,"fire truck, dog"\nb.jpg,fire truck\nsub/c.png,dog;cat\n'), val_share=0)
    assert data.class_names == ["cat", "dog", "fire truck"]
    assert {name: r.tags for name, r in _by_id(data).items()} == {"a": (1, 2), "b": (2,), "sub_c": (0, 1)}


def test_padded_headers_in_any_order_and_short_rows(folder):
    data = read_folder(folder("tags,split,image,,\nx,,a.jpg,,\nx,train,b.jpg\n"), val_share=0)
    assert {name: r.split for name, r in _by_id(data).items()} == {"a": "train", "b": "train"}


def test_classes_that_are_fixed_may_differ_in_case(folder):
    assert read_folder(folder("a.jpg,X\nb.jpg,x\n"), val_share=0, class_names=("x", "X")).class_names == ["x", "X"]


def test_class_names_can_be_fixed(folder):
    data = read_folder(folder("a.jpg,one\n"), val_share=0, class_names=("two", "one"))
    assert data.class_names == ["two", "one"]
    assert data.records[0].tags == (1,)


def test_the_share_for_val_does_not_depend_on_the_order_of_the_rows(folder):
    names = [f"{n}.jpg" for n in range(20)]
    rows = [f"{name},x" for name in names]
    splits = {}
    for key, order in (("up", rows), ("down", rows[::-1])):
        data = read_folder(folder("\n".join(order), pictures=names), val_share=0.25)
        splits[key] = {r.id for r in data.records if r.split == "val"}
    assert splits["up"] == splits["down"]
    assert len(splits["up"]) == 5
    assert splits["up"] != {str(n) for n in range(15, 20)}


def test_other_subsets_are_left_out_and_counted_with_their_marks(folder):
    rows = "image,tags,split\na.jpg,x y,Training\nb.jpg,x y,test\nc.png,x,valid\n"
    data = read_folder(folder(rows, "b.jpg,1,2,x\na.jpg,1,2,x\n", pictures=("a.jpg", "b.jpg", "c.png")))
    assert {record.id: record.split for record in data.records} == {"a": "train", "c": "val"}
    assert data.left_out == {"shapes_of_pictures_left_out": 3, "pictures_of_other_subsets": 1}
    assert len(data.records[0].points) == 1


@pytest.mark.parametrize(
    ("tags", "points", "words"),
    [
        ("image,tags\na.jpg,x\nd.jpg,x\n", None, ["tags.csv:3", "no picture 'd.jpg'"]),
        ("image,tags\na.jpg,x\nb.jgp,x\n", None, ["tags.csv:3", "nearest is 'b.jpg'"]),
        ("image,tags\na.jpg,x\nphotos/B.PNG,x\n", None, ["tags.csv:3", "nearest is 'b.jpg'"]),
        ("image,tags\na.jpg,x\na.jpg,y\n", None, ["tags.csv:3", "also in", "tags.csv:2"]),
        (
            "image,tags,split\na.jpg,x,trian\n",
            None,
            ["tags.csv:2: split 'trian' is not train or val; the nearest"],
        ),
        ("image,tags,split\na.jpg,x,train\na.jpg,x,test\n", None, ["tags.csv:3: image 'a.jpg' is also in", "csv:2"]),
        ("image,tags,split\na.jpg,x,test\na.jpg,x,val\n", None, ["tags.csv:3: image 'a.jpg' is also in a row of ano"]),
        ("image,tags,split\na.jpg,x,test\n", None, ["lists no image of train or val"]),
        ("image,labels\na.jpg,x\n", None, ["tags.csv:1", "image,labels", "not the header image,tags[,split]"]),
        ("filename,labels\na.jpg,x\n", None, ["tags.csv:1", "filename,labels", "not the header image,tags[,split]"]),
        ("a,x\nb,y\n", None, ["tags.csv:1", "nor starts with a picture's name"]),
        ("image,tags,tags\na.jpg,x,y\n", None, ["tags.csv:1", "names a column twice"]),
        ("tags,image\nx\n", None, ["tags.csv:2 names no image"]),
        ("image,tags,\na.jpg,x,y\n", None, ["tags.csv:2", "3 cells for the columns image,tags"]),
        ("image;tags\na.jpg;x\n", None, ["tags.csv:1", "separate columns by commas"]),
        ("image,tags\na.jpg,x, y\n", None, ["tags.csv:2", "3 cells", "separate several tags"]),
        ("a.jpg,x,train,y\n", None, ["tags.csv:1", "4 cells", "separate several tags"]),
        ("image,tags\na.jpg,Person\nb.jpg,person\n", None, ["tags.csv:3", "'person' is 'Person' in", "tags.csv:2"]),
        ("image,tags\n", None, ["tags.csv lists no image"]),
        ("", None, ["tags.csv lists no image"]),
        ("image,tags\na.jpg,\n", None, ["gives no image a tag"]),
        ("image,tags,split\na.jpg,x,val\n", None, ["none to train on"]),
        ("a.jpg,x\n", "a.jpg,1,2,z\n", ["points.csv:1", "no class 'z'"]),
        ("a.jpg,x\nb.jpg,y\n", "b.jpg,1,2,x\n", ["points.csv:1", "not tagged"]),
        ("a.jpg,x\n", "b.jpg,1,2,x\n", ["points.csv:1", "'b.jpg' is not in the tag file"]),
        ("a.jpg,x\nd.jpg,x\n", "d.jpg,1,2,x\nd.jpg,3,4,x\n", ["tags.csv:2", "no picture 'd.jpg'"]),
        ("a.jpg,x\n", "a.jpg,32.1,2,x\n", ["points.csv:1", "outside", "30x20"]),
        ("a.jpg,x\n", "a.jpg,nan,2,x\n", ["points.csv:1", "no number"]),
        ("a.jpg,x\n", "a.jpg,one,2,x\n", ["points.csv:1", "'one' and '2'", "not numbers"]),
        ("a.jpg,x\n", "a.jpg,1,5,2,5,x\n", ["points.csv:1", "6 cells", "decimals have a point"]),
        ("a.jpg,x\n", "x,y,class,image\n1,2\n", ["points.csv:2", "image ''"]),
        ("a.jpg,x\n", "image,x,y,class\n", ["points.csv holds no point"]),
    ],
)
def test_one_bad_line_is_one_sentence_that_names_it(folder, tags, points, words):
    root = folder(tags, points)
    with pytest.raises(InputError) as caught:
        read_folder(root, val_share=0.2)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_surplus_cells_are_listed_with_all_else(folder):
    with pytest.raises(InputError) as caught:
        read_folder(folder("a.jpg,x,train,y\nabsent.jpg,x\n"), val_share=0.2)
    assert "2 problems" in str(caught.value) and "4 cells" in str(caught.value)


def test_many_bad_lines_are_listed_together(folder):
    root = folder("".join(f"absent{n}.jpg,x\n" for n in range(30)))
    with pytest.raises(InputError) as caught:
        read_folder(root, val_share=0.2)
    assert "30 problems" in str(caught.value)
    assert "... and 10 more" in str(caught.value)
    assert "tags.csv:20:" in str(caught.value)


def test_a_damaged_picture_with_a_point_is_listed_with_all_else(folder):
    root = folder("a.jpg,x\nb.jpg,x\n", "a.jpg,1,2,x\nb.jpg,1,2,z\n", pictures=("a.jpg", "b.jpg"))
    (root / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(InputError) as caught:
        read_folder(root, val_share=0.2)
    assert "a.jpg is not a picture" in str(caught.value) and "points.csv:2: there is no class 'z'" in str(caught.value)


def test_two_pictures_of_one_name_and_an_unknown_class(folder):
    root = folder("a.jpg,x\na.png,z\n", pictures=("a.jpg", "a.png"))
    with pytest.raises(InputError, match="no class 'z'"):
        read_folder(root, val_share=0.2, class_names=["x", "y"])
    assert [record.id for record in read_folder(root, val_share=0).records] == ["a.jpg", "a.png"]


def test_a_share_of_all_leaves_none_to_train_on(folder):
    with pytest.raises(InputError, match="none to train on"):
        read_folder(folder("a.jpg,x\n"), val_share=1)


def test_an_absent_folder_file_or_share_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_dataset(DataImportDataset(format="folder", root=tmp_path / "no"), tmp_path / "no")
    with pytest.raises(InputError, match=r"tags\.csv does not exist"):
        read_folder(tmp_path, val_share=0.2)
    with pytest.raises(ValidationError, match="val_share"):
        read_folder(tmp_path, val_share=1.1)
    (tmp_path / "tags.csv").write_bytes(b"\xff\xfe\x00bad")
    with pytest.raises(InputError, match=r"tags\.csv is not a CSV file"):
        read_folder(tmp_path, val_share=0.2)


def test_marks_a_little_over_the_side_are_clipped(folder):
    root = folder("a.jpg,x\nb.jpg,x\n", "a.jpg,29.6,-0.5,x\n")
    (root / "boxes.csv").write_text("a.jpg,-1,2,31,9,x\nb.jpg,9,2,9,9,x\n")
    data = read_folder(root, val_share=0)
    assert data.records[0].points.tolist() == [[29, 0, 0]] and data.records[0].boxes.tolist() == [[0, 2, 30, 9, 0]]
    assert data.left_out == {"boxes_under_one_pixel": 1, "pictures_not_listed": 2}


def test_pictures_are_found_by_shortened_names_where_these_are_unique(folder):
    root = folder("c.png,x\nplot_0.5,x\n", "c.png,1,2,x\nsub/c.png,3,4,x\n", pictures=("sub/c.png", "plot_0.5.jfif"))
    (root / "tags.csv").write_text("image,tags\nc.png,x\nplot_0.5,x\n")
    data = read_folder(root, val_share=0)
    assert sorted(_by_id(data)) == ["plot_0.5", "sub_c"]
    assert _by_id(data)["sub_c"].points.tolist() == [[1, 2, 0], [3, 4, 0]]


def test_a_name_that_several_pictures_have_is_not_guessed(folder):
    with pytest.raises(InputError, match="'c.png' may be any of 2 pictures.*'one/c.png', 'two/c.png'"):
        read_folder(folder("c.png,x\n", pictures=("one/c.png", "two/c.png")))
    data = read_folder(folder("c.png,x\n", pictures=("c.png", "one/c.png", "two/c.png")), val_share=0)
    assert [record.id for record in data.records] == ["c"]


def test_one_picture_by_two_names_is_told(folder):
    with pytest.raises(InputError, match=r"tags\.csv:2: image 'c.png' is also in .*tags\.csv:1"):
        read_folder(folder("sub/c.png,x\nc.png,x\n"))


def test_labels_that_are_no_classes_are_counted_or_ignored_regions(folder):
    root = folder("a.jpg,x background\nb.jpg,background\n", "a.jpg,1,2,background\na.jpg,3,4,x\n")
    (root / "boxes.csv").write_text("a.jpg,1,2,9,9,__ignore__\n")
    data = read_folder(root, val_share=0)
    assert data.class_names == ["x"] and [record.tags for record in data.records] == [(0,), ()]
    assert data.left_out["shapes_of_no_class"] == 3 and data.counts["images_with_ignored_pixels"] == 1
    assert read_folder(root, class_names=("x", "background")).counts["points"] == 2


def test_hidden_pictures_are_no_pictures(folder):
    root = folder("a.jpg,x\n", pictures=("a.jpg", ".ipynb_checkpoints/a.jpg", "__MACOSX/a.jpg", "._a.jpg"))
    assert not read_folder(root, val_share=0).left_out


def test_pictures_that_have_tags_only_are_not_opened(folder):
    root = folder("a.jpg,x\nb.jpg,x\n", "b.jpg,1,2,x\n", pictures=("a.jpg", "b.jpg"))
    (root / "a.jpg").write_bytes(b"no picture")
    assert len(read_folder(root, val_share=0).records) == 2


def test_the_tables_may_lie_elsewhere(folder, tmp_path_factory):
    root, other = folder("a.jpg,x\n", "a.jpg,1,2,x\n"), tmp_path_factory.mktemp("other")
    for name in ("tags.csv", "points.csv"):
        (root / name).rename(other / name)
    data = imported(tables.read, root, other / "tags.csv", val_share=0)
    assert data.records[0].points.tolist() == [[1, 2, 0]] and data.records[0].path == root / "a.jpg"


def test_names_from_a_mac_are_found(tmp_path):
    """There a file's name has accents apart from their letters."""
    Image.new("RGB", (20, 10)).save(tmp_path / unicodedata.normalize("NFD", "Gerät ä.png"))
    (tmp_path / "tags.csv").write_text(unicodedata.normalize("NFC", "Gerät ä.png,Tür"), encoding="utf-8")
    dataset = read_folder(tmp_path, 0)
    assert dataset.records[0].path.exists() and dataset.class_names == [unicodedata.normalize("NFC", "Tür")]
