"""The Lambda operations that are ours, by subject."""
