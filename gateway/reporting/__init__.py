"""What came in over a span of hours."""
