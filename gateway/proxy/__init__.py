"""The data plane: what happens to one call. Reaches the world through `gateway.ports` only."""
