"""Three fields and a button in a notebook, for who would rather fill in than write a call."""

from collections.abc import Callable

import ipywidgets
from IPython.display import display

from grading.answer.say import say


def show(join: Callable[[str, str, str], None]) -> None:
    """Show the form; its button calls `join` with what stands in it, and shows what that prints."""
    examples = {
        say("Address"): "http://192.168.1.5:8300",
        say("Code"): "QK7-M2P",
        say("Your name"): "Anna Muster",
    }
    fields = [
        ipywidgets.Text(description=name, placeholder=say(f"such as {example}"))
        for name, example in examples.items()
    ]
    button = ipywidgets.Button(description=say("Join"), button_style="primary")
    said = ipywidgets.Output()

    def pressed(_: ipywidgets.Button) -> None:
        said.clear_output()
        with said:
            address, code, name = (str(field.value).strip() for field in fields)
            join(address, code, name)

    button.on_click(pressed)
    display(ipywidgets.VBox([*fields, button, said]))
