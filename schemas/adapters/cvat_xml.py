"""CVAT's XML export (version 1.1): a record for each image, with what the file's head says of its task or job."""

from collections.abc import Iterator
from typing import Any, BinaryIO
from xml.etree.ElementTree import Element, iterparse

SHAPES = ("box", "polygon", "polyline", "points", "ellipse", "cuboid", "mask", "skeleton")

Record = dict[str, Any]


def read_images(stream: BinaryIO) -> Iterator[Record]:
    """Yield what `schemas.adapters.cvat.export_events` takes, for each image; only one image is held in memory.

    Entities that a document type could define are not expanded beyond what the XML parser allows. Tracks, which run
    over frames, come as one record behind the images.

    Raises
    ------
    xml.etree.ElementTree.ParseError
        If it is no XML.

    Examples
    --------
    >>> from io import BytesIO
    >>> xml = b'<annotations><meta><task><id>7</id></task></meta><image id="0" name="a.png"/></annotations>'
    >>> next(read_images(BytesIO(xml)))["image"]["name"]
    'a.png'
    """
    head: Record = {}
    tracks, root = 0, None
    for event, element in iterparse(stream, events=("start", "end")):
        if root is None:
            root = element
        if event != "end" or element.tag not in ("meta", "image", "track"):
            continue
        if element.tag == "meta":
            head = _head(element)
        elif element.tag == "image":
            yield {"head": head, "image": _image(element)}
        else:
            tracks += 1
        root.clear()
    if tracks:
        yield {"head": head, "tracks": tracks}


def _head(meta: Element) -> Record:
    """Return what is said of the job or task, and by id of the tasks of a project."""
    dumped = meta.findtext("dumped")
    for kind in ("job", "task", "project"):
        owner = meta.find(kind)
        if owner is not None:
            tasks = {task.findtext("id") or "": _described(task, dumped) for task in owner.iterfind("tasks/task")}
            return {**_described(owner, dumped), "kind": kind, "tasks": tasks}
    return {"dumped": dumped}


def _described(owner: Element, dumped: str | None) -> Record:
    return {
        "id": owner.findtext("id"),
        "created": owner.findtext("created"),
        "updated": owner.findtext("updated") or dumped,
        "assignee": owner.findtext("assignee/username") or None,
    }


def _image(image: Element) -> Record:
    return {
        **image.attrib,
        "shapes": [{**shape.attrib, "type": shape.tag} for shape in image if shape.tag in SHAPES],
        "tags": [tag.get("label") for tag in image.iterfind("tag")],
    }
