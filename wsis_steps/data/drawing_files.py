"""Reading files of drawings, whichever tool they are of: told by their content."""

import json
from pathlib import Path

from wsis_steps.data.coco_drawings import read_coco_drawings
from wsis_steps.data.cvat import read_cvat
from wsis_steps.data.drawings import Drawing, not_a
from wsis_steps.data.label_studio import read_label_studio
from wsis_steps.data.labelme import read_labelme
from wsis_steps.engine.errors import InputError
from wsis_steps.engine.problems import Problems


def read_drawings(path: Path, problems: Problems) -> list[Drawing]:
    """The drawings of a COCO JSON, of an export of Label Studio or CVAT, or of a folder of LabelMe's JSON files.

    Raises InputError where the path is none of these.
    """
    if path.is_dir():
        return read_labelme(path, problems)
    if not path.exists():
        raise InputError(f"{path} does not exist.")
    if path.suffix.lower() == ".xml":
        return read_cvat(path, problems)
    if path.suffix.lower() != ".json":
        kinds = "a COCO JSON, an export of Label Studio (JSON) or of CVAT (XML), or a folder of LabelMe's JSON files"
        raise InputError(f"{path} is none of these: {kinds}.")
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise not_a(path, "a JSON file", error) from None
    return (read_label_studio if isinstance(content, list) else read_coco_drawings)(path, problems)
