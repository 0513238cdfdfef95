"""X-Ray: what functions and services tell of a request on its way, kept and found again."""
