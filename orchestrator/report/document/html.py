"""A report as one page of HTML, and a table as a small page of its own; neither asks for anything else."""

import base64
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from orchestrator.report.document.captions import captions_of
from orchestrator.report.document.document import Block, Report, Table
from orchestrator.report.document.formatting import joints
from orchestrator.report.document.readout import axes_of
from trainables.files import text_sha256

ROOM, TEMPLATES = "orchestrator.report.document", "templates"


def to_html(report: Report) -> str:
    """The page: one file that asks for nothing else. Every text is escaped but our own SVG."""
    style, script = (
        files(ROOM).joinpath(TEMPLATES, name).read_text(encoding="utf-8") for name in ("style.css", "script.js")
    )
    # The page may run this very script and nothing else, whatever the names in it try.
    digest = base64.b64encode(bytes.fromhex(text_sha256(script))).decode("ascii")
    policy = f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:"
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            report=report,
            style=Markup(style),
            script=Markup(script),
            policy=f"{policy}; base-uri 'none'; form-action 'none'",
        )
    )


def table_html(tables: Sequence[Table], title: str) -> str:
    """A small page of tables, without script."""
    return _environment().get_template("table.html.j2").render(tables=tables, title=title)


def breakable(text: str) -> Markup:
    """Escaped text that may break after the joints of a name, and inside a long run without any."""
    return Markup("<wbr>").join(joints(text))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(ROOM, TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["svg"] = Markup
    environment.filters["breakable"] = breakable
    environment.filters["joints"] = joints
    environment.filters["axes"] = axes_of
    environment.filters["captions"] = captions_of
    environment.tests["kind"] = _is_kind
    return environment


def _is_kind(block: Block, name: str) -> bool:
    return type(block).__name__ == name
