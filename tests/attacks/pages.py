"""Whether a page that an instructor opens would run what a student wrote.

Attacks on the browser mark their scripts with the word `owned`.
"""

from html.parser import HTMLParser

MARK = "owned"
_ACTIVE = ("href", "src", "srcdoc", "action", "data", "style", "formaction", "xlink:href")


def live_scripts(page: str) -> list[str]:
    """What in an HTML page would run, load or submit something of an attack's."""
    reader = _Reader()
    reader.feed(page)
    return reader.found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self.inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag
        for name, value in attrs:
            said = value or ""
            if (name.startswith("on") or name in _ACTIVE) and MARK in said:
                self.found.append(f"<{tag} {name}>")

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside in ("script", "style") and MARK in data:
            self.found.append(f"<{self.inside}>")
