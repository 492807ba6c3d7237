"""Cancelling: the requests that an order takes, and the answer to the caller."""
