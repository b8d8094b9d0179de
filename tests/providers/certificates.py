"""A certificate authority of our own and servers certified by it, made with the `openssl` command."""

import ssl
import subprocess
from pathlib import Path


class Authority:
    """Certificates below one folder, all for two days at most."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._openssl("req", "-x509", *_KEY, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=ours")

    def client(self) -> ssl.SSLContext:
        """Trusts this authority and no other."""
        return ssl.create_default_context(cafile=self._folder / "ca.pem")

    def server(self, name: str, *, days: int = 2) -> ssl.SSLContext:
        """For `name`, a DNS name or an IP address; expired, if its days are negative."""
        kind = "IP" if name.replace(".", "").isdigit() else "DNS"
        (self._folder / "san").write_text(f"subjectAltName={kind}:{name}\n", encoding="ascii")
        self._openssl("req", *_KEY, "-keyout", "server.key", "-out", "server.csr", "-subj", f"/CN={name}")
        signed_by = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "san")
        self._openssl("x509", "-req", "-in", "server.csr", *signed_by, "-days", str(days), "-out", "server.pem")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._folder / "server.pem", self._folder / "server.key")
        return context

    def _openssl(self, *words: str) -> None:
        subprocess.run(("openssl", *words), cwd=self._folder, check=True, capture_output=True)


_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
