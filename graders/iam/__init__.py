"""What roles are allowed to do."""
