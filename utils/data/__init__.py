"""The course's data: real where a data root has them, else embedded ones that need no network.

`digits`, `images` and `text` are the data sets; `root` finds the folder, `download` fills it.
"""
