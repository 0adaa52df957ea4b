"""The course as files: the sources of the labs, the learners' notebooks, their working copy."""
