"""Partner Center: the requests of one call, how an order reads, what a refusal means."""
