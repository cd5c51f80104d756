"""TLS: the options, checked, and what a client knows of its servers' certificates."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import time
from dataclasses import dataclass, field
from typing import Any

from jsonrpcc._durations import milliseconds
from jsonrpcc._jsonrpcc import ffi, lib

_DAY = 24 * 60 * 60
_VERSIONS = ("1.2", "1.3")

SOON = 14
"""So many days before a certificate expires, the log begins to warn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """
    How a client and its servers prove to each other who they are.

    A server's certificate has to list the host as it is written in the servers
    string, a name or an IP address; the common name does not count.  The files are
    looked at every *reload* seconds.  If they have changed, new connections use them;
    if they cannot be used, the last good ones stay.

    Raises:
        TypeError, ValueError: A value is wrong; the files are read by the client.

    Attributes:
        ca: Which authorities to trust: a file of PEM certificates, or a folder made
            by ``openssl rehash``.  None: those that the system trusts.
        cert: PEM file of the client's own certificate and its chain, for servers
            that ask for one.
        key: PEM file of its private key; needed with *cert*.
        key_password: Of that file; it appears in no repr, log or error.
        server_name: The name or IP address to verify, and to ask for (SNI), instead
            of the host.
        verify: False accepts any certificate, so anybody can pretend to be the
            server; the log warns of it.
        min_version: ``"1.2"`` or ``"1.3"``.
        ciphers: Names of OpenSSL's, with ``:`` between; those of TLS 1.3 begin with
            ``TLS_``.  None: OpenSSL's choice.
        reload: Seconds between two looks at the files; 0: never.
    """

    ca: str | os.PathLike[str] | None = None
    cert: str | os.PathLike[str] | None = None
    key: str | os.PathLike[str] | None = None
    key_password: str | bytes | None = field(default=None, repr=False)
    server_name: str | None = None
    verify: bool = True
    min_version: str = "1.2"
    ciphers: str | None = None
    reload: float = 60.0

    def __post_init__(self) -> None:
        """Check what can be told without reading a file."""
        for name in ("ca", "cert", "key"):
            _path(name, getattr(self, name))
        if (self.cert is None) != (self.key is None):
            given, needed = ("cert", "key") if self.key is None else ("key", "cert")
            msg = f"tls: {given} {getattr(self, given)!r} is of no use without {needed}"
            raise ValueError(msg)
        _password(self.key_password)
        if self.key_password is not None and self.key is None:
            msg = "tls: key_password is of no use without key"
            raise ValueError(msg)
        _server_name(self.server_name)
        _text("ciphers", self.ciphers)
        _flag("verify", self.verify)
        _text("min_version", self.min_version, needed=True)
        if self.min_version not in _VERSIONS:
            msg = f"tls: min_version must be '1.2' or '1.3', not {self.min_version!r}"
            raise ValueError(msg)
        _reload_ms(self.reload)


def _path(name: str, path: Any) -> bytes | None:
    if path is None:
        return None
    if not isinstance(path, str | os.PathLike):
        msg = f"tls: {name} must be a path, not {path!r}"
        raise TypeError(msg)
    text = os.fsencode(path)
    if not text or b"\0" in text:
        msg = f"tls: {name} must be a path, not {os.fspath(path)!r}"
        raise ValueError(msg)
    return text


def _flag(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        msg = f"tls: {name} must be True or False, not {value!r}"
        raise TypeError(msg)


def _text(name: str, text: Any, *, needed: bool = False) -> None:
    if text is None and not needed:
        return
    if not isinstance(text, str):
        msg = f"tls: {name} must be a str, not {text!r}"
        raise TypeError(msg)
    if not text or not text.isascii() or not text.isprintable():
        msg = f"tls: {name} must be printable ASCII, not {text!r}"
        raise ValueError(msg)


def _password(password: Any) -> bytes | None:
    """Return a text as bytes; an error says what is wrong without quoting it."""
    if password is None:
        return None
    if not isinstance(password, str | bytes):
        msg = f"tls: key_password must be str or bytes, not {type(password).__name__}"
        raise TypeError(msg)
    text = password.encode() if isinstance(password, str) else password
    if b"\0" in text:
        msg = "tls: key_password must not contain NUL"
        raise ValueError(msg)
    return text


def _server_name(name: Any) -> None:
    if isinstance(name, str) and not name.isascii():
        msg = f"tls: server_name must be ASCII, not {name!r}"
        with contextlib.suppress(UnicodeError):
            msg += f"; as IDNA has it: {name.encode('idna').decode()!r}"
        raise ValueError(msg)
    _text("server_name", name)
    if name is None:
        return
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(name)
        return
    if any(each in name for each in ":/[] *"):
        msg = f"tls: server_name must be a host name or an IP address, not {name!r}"
        raise ValueError(msg)


def _reload_ms(seconds: Any) -> int:
    """Return it for the C core, where 0 is the default."""
    if seconds == 0 and not isinstance(seconds, bool):
        return -1
    return milliseconds("tls: reload", seconds)


def checked(tls: Any) -> Tls | None:
    """
    Return the options that *tls* stands for; None for no TLS.

    Raises:
        TypeError: It is neither a Tls nor True, False or None.
    """
    if tls is True:
        return Tls()
    if tls is None or tls is False:
        return None
    if not isinstance(tls, Tls):
        msg = f"tls must be True or a jsonrpcc.Tls, not {tls!r}"
        raise TypeError(msg)
    return tls


def to_c(tls: Tls | None) -> list[Any]:
    """Return the C struct, NULL for no TLS, and behind it the texts it borrows."""
    if tls is None:
        return [ffi.NULL]
    texts: list[Any] = []

    def text(value: str | bytes | None) -> Any:
        if value is None:
            return ffi.NULL
        data = value.encode() if isinstance(value, str) else value
        texts.append(ffi.new("char[]", data))
        return texts[-1]

    struct = ffi.new(
        "jsonrpcc_tls *",
        {
            "size": ffi.sizeof("jsonrpcc_tls"),
            "ca": text(_path("ca", tls.ca)),
            "cert": text(_path("cert", tls.cert)),
            "key": text(_path("key", tls.key)),
            "key_password": text(_password(tls.key_password)),
            "server_name": text(tls.server_name),
            "min_version": text(tls.min_version),
            "ciphers": text(tls.ciphers),
            "reload_ms": _reload_ms(tls.reload),
            "flags": 0 if tls.verify else lib.JSONRPCC_TLS_NO_VERIFY,
        },
    )
    return [struct, *texts]


# --- what is known of it ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TlsInfo:
    """
    The last handshake with a server that worked.

    Attributes:
        version: ``"TLSv1.3"`` or ``"TLSv1.2"``.
        cipher: OpenSSL's name of it.
        expires: When the first of the server's certificates expires, as by
            ``time.time()``; None if it is not known.
        resumed: Whether it resumed an earlier session.
    """

    version: str
    cipher: str
    expires: float | None
    resumed: bool

    @property
    def days_left(self) -> float | None:
        """Days until the first of the server's certificates expires."""
        return None if self.expires is None else days_until(self.expires)


def days_until(expires: float) -> float:
    """Return how many days there are until *expires*, as by ``time.time()``."""
    return (expires - time.time()) / _DAY


def _text_of(chars: Any) -> str:
    return str(ffi.string(chars).decode(errors="replace"))


def read_server_tls(client: Any, index: int) -> tuple[TlsInfo | None, str]:
    """Return what is known of a server, and what was wrong with its last handshake."""
    info = ffi.new("jsonrpcc_server_tls_info *")
    if not lib.jsonrpcc_server_tls_get(client, index, info, ffi.sizeof(info[0])):
        return None, ""
    why = _text_of(info.why)
    if info.version == ffi.NULL:
        return None, why
    found = TlsInfo(
        version=_text_of(info.version),
        cipher=_text_of(info.cipher),
        expires=float(info.expires_s) or None,
        resumed=info.resumed,
    )
    return found, why


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """
    What a client has read from the files of its `Tls`.

    Attributes:
        expires: When its own certificate expires; None if it has none.
        reloads: Changes of the files that new connections use.
        refusals: Changes of the files that they do not use.
        why: What was wrong with the last refused change; empty for nothing.
    """

    expires: float | None
    reloads: int
    refusals: int
    why: str


def read_files(client: Any) -> TlsFiles | None:
    """Return what a client has read from its files; None without TLS."""
    info = ffi.new("jsonrpcc_tls_info *")
    if not lib.jsonrpcc_tls_get(client, info, ffi.sizeof(info[0])):
        return None
    return TlsFiles(
        expires=float(info.expires_s) or None,
        reloads=info.reloads,
        refusals=info.refusals,
        why=_text_of(info.why),
    )


class Expiry:
    """Says of each certificate once a day that it expires soon, in `SOON` days."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._said: dict[int, tuple[float, int]] = {}

    def soon(self, index: int, whose: str) -> str:
        """Return what to say of a server's certificate, or of our own if it is -1."""
        if index < 0:
            files = read_files(self._client)
            expires = None if files is None else files.expires
        else:
            info, _ = read_server_tls(self._client, index)
            expires = None if info is None else info.expires
        if expires is None or (days := days_until(expires)) > SOON:
            return ""
        said = (expires, int(days))
        if self._said.get(index) == said:
            return ""
        self._said[index] = said
        when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(expires))
        if days < 0:
            return f"{whose} certificate has expired ({when})"
        return f"{whose} certificate expires in {days:.0f} days ({when})"


def library() -> str | None:
    """Return OpenSSL's name and version; None if this build has no TLS."""
    text = lib.jsonrpcc_tls_library()
    return None if text == ffi.NULL else _text_of(text)
