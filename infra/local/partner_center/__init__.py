"""The stand-in for Partner Center."""
