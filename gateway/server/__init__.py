"""ADAPTER: the HTTP/1.1 server under both planes, on llhttp (httptools). Knows ASGI; must not know what it serves."""
