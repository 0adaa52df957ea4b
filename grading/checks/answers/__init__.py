"""The answers of each lab: the right one, and what people get wrong."""
