"""Connections to servers: look-ups of host names, idle connections, and answers that belong to another request."""
