"""What a notebook shows for results and separators: tables, and players of the stems."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

from markupsafe import Markup

from unbraid.audio.files import probe

_BUDGET_BYTES = 8 << 20  # of all players together: the notebook file holds them
_ROWS = """\
<table style="text-align: left">{% if caption %}<caption>{{ caption }}</caption>{% endif %}
{% for name, content in rows %}<tr><th>{{ name }}</th><td>{{ content }}</td></tr>
{% endfor %}</table>"""


def table(rows: Mapping[str, object], caption: str = "") -> str:
    """Names and contents as an HTML table; every text is escaped but `Markup`.

    >>> "<b>" in table({"<b>": 1})
    False
    """
    from jinja2 import Environment  # which separating does not need

    environment = Environment(autoescape=True)
    return environment.from_string(_ROWS).render(rows=rows.items(), caption=caption)


def players(files: Mapping[str, Path]) -> dict[str, Markup]:
    """A player for each file, which holds a preview of it and so needs no file any more.

    Raises:
        AudioReadError: if a file is gone or cannot be read.
    """
    from unbraid.pages.previews import MIME_TYPE, choose_preview, encode_file

    infos = [probe(path) for path in files.values()]
    seconds = max((info.duration_s or 0.0 for info in infos), default=0.0)
    channels = max((info.channels for info in infos), default=1)
    preview = choose_preview(seconds, len(files), channels, _BUDGET_BYTES)
    return {name: _player(encode_file(path, preview), MIME_TYPE) for name, path in files.items()}


def _player(preview: bytes, kind: str) -> Markup:
    data = base64.b64encode(preview).decode("ascii")
    source = f"data:{kind};base64,{data}"
    return Markup('<audio controls preload="none" src="{}"></audio>').format(source)
