"""What runs first inside a sandbox, before any code of a student's."""
