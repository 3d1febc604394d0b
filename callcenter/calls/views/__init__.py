"""Pages of calls and batches."""
