"""Compares a business day's payment files with the payments table, and reports what differs."""

import json


def handler(event, context):
    """Reconcile the business day that is over."""
    print(json.dumps(event))
