"""Cancelling: which requests an order takes, and what to tell the caller afterwards."""
