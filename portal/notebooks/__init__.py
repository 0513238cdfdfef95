"""JupyterLab for learners: a page of the portal, and a process with an origin of its own that leads there."""
