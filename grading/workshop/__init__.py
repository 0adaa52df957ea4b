"""The board of a workshop: `python -m grading workshop`; docs/workshop.md is its guide."""
