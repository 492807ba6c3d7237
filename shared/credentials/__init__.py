"""Bearer tokens for the accounts: Key Vault, Entra ID, the managed identity."""
