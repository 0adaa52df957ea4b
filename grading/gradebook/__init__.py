"""From results to marks: nbgrader's gradebook and feedback, reports and exports."""
