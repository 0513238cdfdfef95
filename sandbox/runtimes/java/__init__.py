"""Java: the installations of this machine, and Amazon's runtime client prepared for each."""

from sandbox.runtimes.java.command import command as java_command
from sandbox.runtimes.java.installations import JavaInstallation, find_java, pick
from sandbox.runtimes.java.prepared import java_runtime_place, prepare_java_runtime

__all__ = [
    "JavaInstallation",
    "find_java",
    "java_command",
    "java_runtime_place",
    "pick",
    "prepare_java_runtime",
]
