"""The bodies of the labs' larger figures, a module a lab; each draws the learner's own objects."""
