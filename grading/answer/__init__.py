"""What may stand beside a student's code: of `grading`, all that a sandbox shows but the door."""
