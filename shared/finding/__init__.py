"""Finds a customer's orders and subscriptions, as people who write tickets know them."""
