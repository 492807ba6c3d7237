"""Partner Center: the requests of one call, the form of orders and subscriptions."""
