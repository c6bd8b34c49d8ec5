"""One HTML file that needs nothing else: headings, text, tables and pictures, in order.

page = Page("What demo makes")
page.text("...").table(rows).figure(figure, "what it shows")
page.save("out/report.html")
"""

import base64
import html
import io
import pathlib

from matplotlib.figure import Figure

from ttecg.evaluate.report import cell
from ttecg.train.config import write_text

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #1b1b1b; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2.5rem; border-bottom: 1px solid #ccc; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .7rem; text-align: right; border-bottom: 1px solid #e4e4e4; }
th:first-child, td:first-child { text-align: left; } th { border-bottom: 1px solid #888; }
img { max-width: 100%; } figcaption, .small { color: #555; font-size: 13px; } .bad { color: #b00020; }
pre { background: #f5f5f5; padding: .6rem; overflow-x: auto; }
"""


class Page:
    """Collects parts; every method but `save` gives the page back, so calls can be chained."""

    def __init__(self, title: str):
        self.title, self._parts = title, [f"<h1>{html.escape(title)}</h1>"]

    def heading(self, text: str) -> "Page":
        return self._add(f"<h2>{html.escape(text)}</h2>")

    def text(self, text: str, kind: str = "") -> "Page":
        """A paragraph; kind "small" or "bad" is how it looks."""
        return self._add(f'<p class="{html.escape(kind)}">{html.escape(text)}</p>')

    def code(self, text: str) -> "Page":
        return self._add(f"<pre>{html.escape(text)}</pre>")

    def items(self, texts) -> "Page":
        return self._add("<ul>" + "".join(f"<li>{html.escape(t)}</li>" for t in texts) + "</ul>")

    def table(self, rows: list[dict], digits: int = 3) -> "Page":
        """Rows of equal keys."""
        head = "".join(f"<th>{html.escape(str(name))}</th>" for name in rows[0])
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell(v, digits))}</td>" for v in row.values()) + "</tr>"
            for row in rows
        )
        return self._add(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")

    def figure(self, figure: Figure, caption: str = "", dpi: float = 100) -> "Page":
        """A matplotlib figure, drawn into the file."""
        drawn = io.BytesIO()
        figure.savefig(drawn, format="png", dpi=dpi, metadata={"Software": None})
        data = base64.b64encode(drawn.getvalue()).decode()
        words = html.escape(caption)
        return self._add(
            f'<figure><img alt="{words}" src="data:image/png;base64,{data}"><figcaption>{words}</figcaption></figure>'
        )

    def save(self, path) -> pathlib.Path:
        """Complete or absent."""
        path = pathlib.Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(
            path,
            f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(self.title)}</title>\n'
            f"<style>{_STYLE}</style></head><body>\n" + "\n".join(self._parts) + "\n</body></html>\n",
        )
        return path

    def _add(self, part: str) -> "Page":
        self._parts.append(part)
        return self
