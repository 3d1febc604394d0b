"""Pages of the learning loop."""
