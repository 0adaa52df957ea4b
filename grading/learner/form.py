"""Three fields and a button in a notebook, for who would rather fill in than write a call."""

from collections.abc import Callable

import ipywidgets
from IPython.display import display

_FIELDS = {
    "Address": "http://192.168.1.5:8300",
    "Code": "QK7-M2P",
    "Your name": "Anna Muster",
}


def show(join: Callable[[str, str, str], None]) -> None:
    """Show the form; its button calls `join` with what stands in it, and shows what that prints."""
    fields = [
        ipywidgets.Text(description=name, placeholder=f"such as {example}")
        for name, example in _FIELDS.items()
    ]
    button = ipywidgets.Button(description="Join", button_style="primary")
    said = ipywidgets.Output()

    def pressed(_: ipywidgets.Button) -> None:
        said.clear_output()
        with said:
            address, code, name = (str(field.value).strip() for field in fields)
            join(address, code, name)

    button.on_click(pressed)
    display(ipywidgets.VBox([*fields, button, said]))
