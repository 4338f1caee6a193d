"""What processes say about themselves: logs and metrics."""
