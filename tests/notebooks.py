"""For tests: the outputs of a notebook's cells in a real kernel."""

from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook
from traitlets.config import Config

from grading.sandbox.sockets import own_sockets


def outputs_of(*sources: str, allow_errors: bool = False) -> list[list[NotebookNode]]:
    """The outputs of each cell."""
    notebook = new_notebook(cells=[new_code_cell(source) for source in sources])
    with own_sockets() as sockets:
        NotebookClient(
            notebook,
            config=Config(KernelManager=sockets),
            kernel_name="python3",
            allow_errors=allow_errors,
            timeout=300,
            startup_timeout=300,
        ).execute()
    return [cell.outputs for cell in notebook.cells]
