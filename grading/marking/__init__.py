"""Grading what was handed in: read, run, judge, keep; one submission, or many at a time."""
