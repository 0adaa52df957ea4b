"""The learner's side of a workshop. It stands in the learner's notebook, never where one is graded;
the standard library is all that it needs."""
