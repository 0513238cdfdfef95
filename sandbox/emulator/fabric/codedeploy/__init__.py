"""CodeDeploy: a function's alias moves from one version to another, watched, and back when that fails."""

from sandbox.emulator.fabric.codedeploy.service import CodeDeploy

__all__ = ["CodeDeploy"]
