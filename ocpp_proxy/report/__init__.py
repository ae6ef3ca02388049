"""What `check` says: the analysis of a capture, as text and as JSON."""
