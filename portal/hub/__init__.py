"""The portal as the place where a JupyterHub's people sign in."""
