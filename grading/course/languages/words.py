"""One entry of a catalogue: words that are translated as a whole."""

import re
from dataclasses import dataclass

PLACE = re.compile(r"\{([a-z_]\w*)\}")  # `{name}`: what differs from time to time
# What is no word of any language: code, formulas, addresses, tags.
_NO_WORDS = re.compile(r"`[^`]*`|<code>.*?</code>|\$\$?[^$]+\$\$?|https?://\S+|</?\w+>|&\w+;")
_TEXT = re.compile(r"\\text(?:bf|it|rm)?\{([^}]*)\}")


@dataclass(frozen=True)
class Words:
    """kind: what they are, for whoever translates: a heading, the docstring of `neuron`."""

    text: str
    kind: str


def has_words(text: str) -> bool:
    """Whether there is anything to translate."""
    inside = " ".join(_TEXT.findall(text))
    outside = _NO_WORDS.sub("", PLACE.sub("", text))
    return bool(re.search(r"[A-Za-z]{2}", f"{outside} {inside}"))


def without_text(formula: str) -> str:
    r"""A formula without its words, which stand in \text{…}; its spaces do not count."""
    return re.sub(r"\s+", "", _TEXT.sub(r"\\text{}", formula))
