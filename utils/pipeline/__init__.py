"""Pipelines: on paper (`schedules`, `published`, `unlocked`, `pictures`), on ranks (`link`,
`delay`, `engine`, `trace`), and what judges them (`conversation`, `saved`).

Rank r holds stage r of a network, or several. `schedules` and `trace` import neither torch nor
matplotlib.
"""
