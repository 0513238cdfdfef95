"""Builds, as `sam build` makes them: one module per builder, all of them run in isolation."""
