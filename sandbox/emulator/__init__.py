"""The emulated AWS account: one process, moto for state, everything that happens is ours."""
