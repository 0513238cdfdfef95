"""Functions: the Lambda service of an emulated account."""
