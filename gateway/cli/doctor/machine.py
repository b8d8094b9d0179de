"""What the machine gives: a private folder that can be written, room on its disk, a free port."""

import shutil
import ssl
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryFile

import orjson

from gateway.cli.doctor.finding import Finding, failed, fault, ok, warning
from gateway.control.signin import FILE, VARIABLE
from gateway.core.errors import Fault
from gateway.settings import Settings

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_LEAST_FREE = 64 * 1024 * 1024
"""Bytes below which neither the journal nor the database can work for long."""
_MIB = 1024 * 1024
_PROBE_SECONDS = 3.0


def data_folder(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Whether the data folder and the journal's can be written, and by their owner alone; and the admin token."""
    data, journal = settings.server.data, settings.database.journal
    yield _folder("data folder", data)
    if journal.parent != data:
        yield _folder("journal folder", journal)
    token = data / FILE
    if not environ.get(VARIABLE, "").strip() and token.exists() and token.stat().st_mode & _OTHERS:
        yield failed("admin token", f"others can read {token}", f"chmod 600 {token}: a start would fail")


def certificate(settings: Settings) -> Iterator[Finding]:
    """Whether the certificate that the server shows can be used; nothing without one."""
    tls = settings.server.tls
    if tls is None:
        return
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(tls.cert, tls.key)
    except OSError as error:  # an `ssl.SSLError` is one
        told = f"{tls.cert} cannot be used with {tls.key}: {error.strerror or error}"
        yield failed("certificate", told, "a start would fail: give the chain and its key, PEM, without a password")
    else:
        yield ok("certificate", f"{tls.cert} and its key")


def _folder(check: str, folder: Path) -> Finding:
    there = _existing(folder)
    try:
        with TemporaryFile(dir=there):
            pass
    except OSError as error:
        return failed(check, f"{there} cannot be written: {error.strerror}", "give it to the user that serves")
    if there != folder:
        return ok(check, f"{folder} will be made by the first start")
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & _OTHERS:
        return warning(check, f"others may look into {folder} (mode {mode:03o})", f"chmod 700 {folder}")
    return ok(check, str(folder))


def _existing(path: Path) -> Path:
    """The path, or the nearest above it that is there."""
    return next(place for place in (path, *path.absolute().parents) if place.exists())


def disk(settings: Settings) -> Finding:
    """Whether the journal finds the room that it may take."""
    from gateway.storage.journal_folder import bytes_of

    folder, most = settings.database.journal, settings.database.journal_max
    free, taken = shutil.disk_usage(_existing(folder)).free, bytes_of(folder)
    seen = f"{free // _MIB:,} MiB free where the journal is, which may grow to {most // _MIB:,} MiB"
    if free < _LEAST_FREE:
        return failed("disk", seen, "make room, or calls are refused")
    if free + taken < most:
        return warning("disk", seen, "make room, or lower database.journal_max")
    return ok("disk", seen)


async def port(settings: Settings) -> Finding:
    """Whether the port is free, or ours already."""
    from gateway.server.listener import listen

    host, number = settings.server.host, settings.server.port
    try:
        listen(host, number).close()
    except Fault as error:
        return await _taken(settings) or fault("port", error)
    return ok("port", f"{number} on {host} is free" if number else "any free one")


async def _taken(settings: Settings) -> Finding | None:
    """What a gateway that listens there says of itself; null if none answers."""
    from gateway import __version__
    from gateway.providers.proxies import no_proxy
    from gateway.providers.transport import Address, HttpTransport

    tls = settings.server.tls
    try:
        context = None if tls is None else _trusting(tls.cert)
        itself = Address(_own_address(settings), lambda _: [])
        transport = HttpTransport({"itself": itself}, proxies=no_proxy, tls=context)
        try:
            status, body = await transport.fetch("itself", "readyz", _PROBE_SECONDS)
        finally:
            await transport.stop()
        told = orjson.loads(body)
        version, checks = told.get("version"), told.get("checks", {})
    except (Fault, OSError, ValueError, AttributeError):
        return None  # whatever it is, it is no gateway
    if told.get("status") not in ("ok", "not ok"):
        return None
    seen = f"Tollkeeper {version or ''}".rstrip() + f" serves on {settings.server.port}"
    troubles = [f"{name}: {check['detail']}" for name, check in checks.items() if not check["ok"]]
    if status != 200:
        return failed("port", f"{seen} and takes no calls ({'; '.join(troubles)})", "see its log")
    if troubles:
        return warning("port", f"{seen}, but {'; '.join(troubles)}", "see its log")
    if version not in (None, __version__):
        return warning("port", f"{seen}, and this is {__version__}", "start it again")
    return ok("port", seen)


def _own_address(settings: Settings) -> str:
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.server.host, settings.server.host)  # noqa: S104
    host = f"[{here}]" if ":" in here else here
    return f"{'https' if settings.server.tls else 'http'}://{host}:{settings.server.port}"


def _trusting(cert: Path) -> ssl.SSLContext:
    """The server's own certificate is the proof that it is ours, whatever name it has."""
    context = ssl.create_default_context(cafile=cert)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
