"""Build HTML from Python calls: text and attribute values are always escaped.

::

    element("p", "a < b", title='"')     <p title="&quot;">a &lt; b</p>
"""

from __future__ import annotations

from html import escape

_VOID = ("img", "meta", "link")
"""Elements without content and end tag."""


class Markup(str):
    """HTML text, as ``element`` and ``joined`` return it, which is not escaped again."""


def element(name: str, /, *content: str, **attributes: object) -> Markup:
    """Return an element.

    Args:
        name: name of the element, such as "p".
        content: text, which is escaped, and Markup, which is inserted unchanged.
        attributes: values by name; values are escaped, and a trailing underscore of a name is removed (``class_``).
    """
    given = "".join(f' {key.rstrip("_")}="{escape(str(value))}"' for key, value in attributes.items())
    start = Markup(f"<{name}{given}>")
    return start if name in _VOID else Markup(f"{start}{joined(*content)}</{name}>")


def joined(*content: str) -> Markup:
    """Return the pieces concatenated; text that is not Markup is escaped."""
    return Markup("".join(piece if isinstance(piece, Markup) else escape(piece) for piece in content))


def table(header: list[str], rows: list[list[str]]) -> Markup:
    """Return a table whose first column names the rows and whose other columns are numbers."""
    head = element("tr", *(element("th", name, scope="col") for name in header))
    body = [
        element("tr", element("th", row[0], scope="row"), *(element("td", cell) for cell in row[1:])) for row in rows
    ]
    return element("div", element("table", element("thead", head), element("tbody", *body)), class_="scroll")
