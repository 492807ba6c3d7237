"""Cancelling: the requests that an order or a subscription takes, and the answer to the caller."""
