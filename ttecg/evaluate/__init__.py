"""Every number that the project claims, one module per question."""
