"""Labs with notebooks: written as for nbgrader, run isolated, judged outside of the kernel."""
