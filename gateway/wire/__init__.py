"""The dialects: bytes and JSON in, facts out. Pure: nothing here opens, waits or decides."""
