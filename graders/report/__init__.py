"""One report, many shapes: the promised JSON document, JUnit, a self-contained page, a terminal."""
