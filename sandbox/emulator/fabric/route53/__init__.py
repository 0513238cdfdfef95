"""Route 53: what names lead to, and whether what they lead to is healthy."""

from sandbox.emulator.fabric.route53.service import Route53 as Route53
