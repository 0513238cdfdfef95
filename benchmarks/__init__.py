"""What we promise to be fast at, measured. Run by ``make bench``."""
