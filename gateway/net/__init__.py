"""What both sides of the wire share: how bytes leave. Knows no HTTP."""
