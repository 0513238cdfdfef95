"""Does what a stack logs, counts, traces and rings tell the truth? Judged by what the grader knows."""
