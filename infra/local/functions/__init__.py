"""The stand-in for the Azure Functions host, on Microsoft's own Python runtime."""
