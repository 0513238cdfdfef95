"""Runs strangers' code where it can reach nothing but the account it belongs to."""
