"""The stand-ins for Entra ID and for the function's managed identity."""
