"""What comes from a class's learning platform (Moodle, Canvas) and goes back to it."""
