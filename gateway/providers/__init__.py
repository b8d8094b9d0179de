"""The upstreams: known kinds and their prices, keys, addresses and connections, and one that is simulated."""
