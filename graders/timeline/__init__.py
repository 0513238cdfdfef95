"""What happened in an account, as one page to look at."""
