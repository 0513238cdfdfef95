"""Learners' programs and notebooks, run where they can do no harm."""
