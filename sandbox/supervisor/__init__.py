"""Owns every process of the emulated accounts, so that none outlives the one it works for.

places.py (directories) · wire.py (messages) · loop.py (the supervisor) · account.py (a forked account and its
control socket) · client.py (finding, starting and asking a supervisor)
"""
