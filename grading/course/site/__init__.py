"""The course's site: the labs as they ran, the guides and the reference, built by Sphinx."""
