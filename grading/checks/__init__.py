"""What only the judging process sees: the labs' checks and what they compare answers with."""
