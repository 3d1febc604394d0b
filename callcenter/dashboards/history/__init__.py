"""A made-up past: calls that look like a year of work, marked as generated, made fast and removed without a trace."""
