"""YAML whose mappings remember where they stand, so that an error can name file, line and key.

    network = spec.read("network.yaml")
    raise network["layers"][2].error("kernal", "a conv has no such key")
    # SpecError: network.yaml, line 9, kernal: a conv has no such key

Scalars, lists and mappings are read as `yaml.safe_load` reads them, with three differences: a
mapping is a `Section`, a key that is given twice is an error, and 1e-3 is a number, as YAML 1.2 has
it, where PyYAML's YAML 1.1 makes it a string.
"""

import re
from pathlib import Path
from typing import Any

import yaml


class SpecError(ValueError):
    """What is wrong with a declaration. The message begins with the file, and the line if known."""


class Section(dict[str, Any]):
    """A mapping of a YAML file: a dict that also knows where it stands.

    file: the file's name; line: the line on which the mapping begins; lines: the line of each key.
    Lines count from 1.
    """

    def __init__(self, file: str, line: int) -> None:
        super().__init__()
        self.file, self.line = file, line
        self.lines: dict[str, int] = {}

    def error(self, key: str, problem: str) -> SpecError:
        """An error to raise: it names the file, the line and the key.

        For a key that is not there, the line is the one on which the mapping begins.
        """
        line = self.lines.get(key, self.line)
        return SpecError(f"{self.file}, line {line}, {key}: {problem}")


def read(path: str | Path) -> Section:
    """The mapping that a YAML file holds, in UTF-8. Raises SpecError for what is not valid."""
    return parse(Path(path).read_text(encoding="utf-8"), Path(path).name)


def parse(text: str, file: str = "the text") -> Section:
    """The mapping that a YAML text holds. file: what to call it in errors."""
    try:
        loader = _Loader(text)
        loader.name = file
        loaded = loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}" if mark else ""
        raise SpecError(f"{file}{where}: {error.problem}") from None
    except yaml.YAMLError as error:
        raise SpecError(f"{file}: {' '.join(str(error).split())}") from None
    if not isinstance(loaded, Section):
        raise SpecError(f"{file}, line 1: the file should hold keys and values (`key: value`).")
    return loaded


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, but for what it makes of mappings and of 1e-3."""


def _section(loader: _Loader, node: yaml.MappingNode) -> Section:
    section = Section(str(loader.name), node.start_mark.line + 1)
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise SpecError(f"{section.file}, line {line}: a key should be a word, not {key!r}.")
        if key in section:
            raise SpecError(
                f"{section.file}, line {line}, {key}: it is given twice, first on line"
                f" {section.lines[key]}."
            )
        section.lines[key] = line
        section[key] = loader.construct_object(value_node, deep=True)
    return section


_Loader.add_constructor("tag:yaml.org,2002:map", _section)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)
