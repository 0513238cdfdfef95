"""A learner's private AWS: accounts, deployments and the functions that run in them."""
