"""Pipelines: on paper (`schedules`, `pictures`), on ranks (`link`, `delay`, `engine`, `trace`).

Rank r holds stage r of a network. `schedules` and `trace` import neither torch nor matplotlib.
"""
