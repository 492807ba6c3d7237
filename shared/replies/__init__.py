"""Partner Center's replies: how one is read, its codes, and what it means for a call."""
