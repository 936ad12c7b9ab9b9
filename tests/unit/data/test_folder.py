"""The importer of one's own pictures."""

import pytest
from PIL import Image

from wsis_steps.data.folder import read_folder
from wsis_steps.engine.errors import InputError


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
    assert data.counts == {
        "images_without_tags": 1,
        "pictures_without_a_row": 1,
        "points": 2,
        "tags_without_a_point": 1,
        "boxes": 0,
        "tags_without_a_box": 0,
    }


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
        ("a.jpg,1,2,31,9,cell", ["box 1,2,31,9 lies outside 'a.jpg'", "30x20"]),
        ("a.jpg,-1,2,3,9,cell", ["lies outside"]),
        ("a.jpg,9,2,9,9,cell", ["has no area in 'a.jpg'"]),
        ("a.jpg,nan,2,9,9,cell", ["lies outside"]),
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


@pytest.mark.parametrize(
    ("tags", "points", "words"),
    [
        ("image,tags\na.jpg,x\nd.jpg,x\n", None, ["tags.csv:3", "no image 'd.jpg'"]),
        ("image,tags\na.jpg,x\nb.jgp,x\n", None, ["tags.csv:3", "nearest is 'b.jpg'"]),
        ("image,tags\na.jpg,x\nphotos/B.PNG,x\n", None, ["tags.csv:3", "nearest is 'b.jpg'"]),
        ("image,tags\na.jpg,x\na.jpg,y\n", None, ["tags.csv:3", "also in", "tags.csv:2"]),
        ("image,tags,split\na.jpg,x,test\n", None, ["tags.csv:2", "'test' is not train or val"]),
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
        ("a.jpg,x\n", "a.jpg,29.6,2,x\n", ["points.csv:1", "outside", "30x20"]),
        ("a.jpg,x\n", "a.jpg,nan,2,x\n", ["points.csv:1", "outside"]),
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
    with pytest.raises(InputError) as caught:
        read_folder(root, val_share=0.2, class_names=["x", "y"])
    assert "no class 'z'" in str(caught.value)
    assert "its id 'a' is also that of" in str(caught.value)


def test_an_absent_folder_file_or_share_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_folder(tmp_path / "no", val_share=0.2)
    with pytest.raises(InputError, match=r"tags\.csv does not exist"):
        read_folder(tmp_path, val_share=0.2)
    with pytest.raises(InputError, match="val_share is 1"):
        read_folder(tmp_path, val_share=1)
    (tmp_path / "tags.csv").write_bytes(b"\xff\xfe\x00bad")
    with pytest.raises(InputError, match=r"tags\.csv is not a CSV file"):
        read_folder(tmp_path, val_share=0.2)
