"""The frame of a page that opens from a disk, without a server or a network: its style, its script, its tools.

Cards of images are files beside the page, which the script loads on demand: a page of 1,500 images opens as fast as one
of ten.
"""

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path

STYLE, SCRIPT = (Path(__file__).with_name(f"page.{suffix}").read_text(encoding="utf-8") for suffix in ("css", "js"))

LARGE = ' class="large"'

_ZOOM = (
    '<dialog aria-label="enlarged picture"><svg aria-hidden="true"></svg><p></p><div>'
    '<button aria-label="previous picture">&larr;</button><button aria-label="next picture">&rarr;</button>'
    "<button>close</button></div></dialog>"
)


def page(
    title: str, lead: str, sections: Sequence[tuple[str, str, str]], index: dict | None = None, large: str = ""
) -> str:
    """The whole page: a title, an introduction (HTML), and sections of anchor, heading and content (HTML).

    index: the script's data on the images of a gallery (JSON values), or None for a static page. large: the anchor of
    the section with large pictures, if any.
    """
    links = "".join(f'<a href="#{anchor}">{escape(heading)}</a>' for anchor, heading, _ in sections)
    body = "".join(
        f'<section id="{anchor}"{LARGE if anchor == large else ""}><h2>{escape(heading)}</h2>{content}</section>'
        for anchor, heading, content in sections
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>\n{STYLE}</style></head>\n<body><h1>{escape(title)}</h1>{lead}"
        f"<nav>{links}</nav>\n{body}\n{'' if index is None else _script(index)}</body></html>\n"
    )


def _script(index: dict) -> str:
    # </script> would end the script, and <!-- would hide its end
    values = json.dumps(index, separators=(",", ":")).replace("<", "\\u003c")
    return f"{_ZOOM}<script>const INDEX = {values};\n{SCRIPT}</script>"


def tools(rows: Sequence[tuple[str, str]], threshold: float) -> str:
    """The bar above the gallery: rows of a word and its buttons (HTML), the slider for the minimum score, the order of
    the images, and buttons that turn the pages."""
    lines = "".join(f'<div class="chips"><b>{escape(word)}</b>{chips}</div>' for word, chips in rows)
    return (
        f'<div class="tools">{lines}<div class="chips"><b>score</b><label>at least <output id="limit">{threshold:.2f}'
        f'</output> <input id="score" type="range" min="0" max="1" step="0.05" value="{threshold}"></label>'
        '<label>order <select id="order"></select></label></div>'
        '<div class="chips"><b>page</b><button class="chip" id="back">&larr; previous</button>'
        '<button class="chip" id="on">next &rarr;</button><output id="shown"></output></div></div>'
        '<div id="cards"></div>'
    )
