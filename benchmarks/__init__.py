"""How fast the gateway is: a load, an upstream that costs nothing, and figures. See benchmarks/README.md."""
