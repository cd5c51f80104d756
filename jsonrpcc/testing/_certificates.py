"""
What a `jsonrpcc.testing.Server` proves itself with: certificates, in files.

They are given, or made by trustme, which is imported when that is needed.
"""

from __future__ import annotations

import os
import shutil
import ssl
import tempfile
import weakref
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import trustme

NAMES = ("localhost", "127.0.0.1", "::1")
"""Those of this machine."""


def _own_authority() -> trustme.CA:
    try:
        import trustme  # noqa: PLC0415 - few programs need it
    except ImportError as error:
        raise ImportError(
            "a certificate of the server's own is made with trustme: "
            "pip install 'jsonrpcc[testing]', or give cert= and key="
        ) from error
    return trustme.CA()


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # not in a forked child
        shutil.rmtree(folder, ignore_errors=True)


class ServerTls:
    """
    How a `Server` speaks TLS: its certificate, and those that it wants of clients.

    Without *cert* and *key* (PEM files), it has a certificate of its own for
    *names*, signed by an authority that exists only for this; *ca* is the file by
    which clients know that.  With *client_ca* (a file), clients need a certificate
    signed by that authority; True stands for its own authority, which then signs
    one for them.  A ServerTls may be shared by several servers::

        tls = ServerTls(client_ca=True)
        with Server(methods, tls=tls) as server:
            client = Client(server.address, tls=Tls(**tls.client))

    Attributes:
        ca: The file of its own authority's certificate; None if it has none.
        server: The file of the server's certificate, its chain and its key, if they
            were made; otherwise of its certificate.
        client: What `jsonrpcc.Tls` needs to connect: ``ca``, and, if its own
            authority signs certificates of clients, ``cert`` and ``key``.

    Raises:
        ImportError: trustme is needed and not installed.
        ValueError: Only one of *cert* and *key* is given.
        OSError, ssl.SSLError: A file cannot be read, or the key does not fit.
    """

    def __init__(
        self,
        cert: str | os.PathLike[str] | None = None,
        key: str | os.PathLike[str] | None = None,
        *,
        client_ca: str | os.PathLike[str] | bool = False,
        names: Iterable[str] = NAMES,
    ) -> None:
        if (cert is None) != (key is None):
            raise ValueError("cert and key are needed together")
        self._names = tuple(names)
        self._client_ca = client_ca
        self._authority: trustme.CA | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="jsonrpcc-"))
        self._finalizer = weakref.finalize(self, _remove, self._folder, os.getpid())
        self.ca: str | None = None
        self.client: dict[str, str] = {}
        if cert is None or client_ca is True:
            self._found()
        own = str(self._folder / "server.pem")
        self._files = (own, own) if cert is None or key is None else (cert, key)
        self.server: str = str(self._files[0])
        self.context: ssl.SSLContext
        """What new connections use."""
        self.renew()

    def _found(self) -> None:
        self._authority = _own_authority()
        self.ca = str(self._folder / "ca.pem")
        self._authority.cert_pem.write_to_path(self.ca)
        self.client["ca"] = self.ca
        if self._client_ca is True:
            path = str(self._folder / "client.pem")
            client = self._authority.issue_cert("client.example")
            client.private_key_and_cert_chain_pem.write_to_path(path)
            self.client |= {"cert": path, "key": path}

    def renew(self, not_after: datetime | None = None) -> None:
        """
        Use a new certificate for new connections, as a server does after a renewal.

        Files are read again; one of its own is made anew, and is valid until
        *not_after*.  Any thread may call it.
        """
        cert, key = self._files
        if self._authority is not None and str(cert).startswith(str(self._folder)):
            made = self._authority.issue_cert(*self._names, not_after=not_after)
            made.private_key_and_cert_chain_pem.write_to_path(str(cert))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        if self._client_ca:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(
                self.ca if self._client_ca is True else self._client_ca
            )
        self.context = context


def context_of(tls: ServerTls | ssl.SSLContext) -> ssl.SSLContext:
    """Return what the next connection uses."""
    return tls if isinstance(tls, ssl.SSLContext) else tls.context


def checked(tls: object) -> ServerTls | ssl.SSLContext | None:
    """
    Return how to speak TLS, or None for not at all; True makes certificates.

    Raises:
        TypeError: It is none of these.
    """
    if tls is True:
        return ServerTls()
    if tls is None or tls is False:
        return None
    if isinstance(tls, ServerTls | ssl.SSLContext):
        return tls
    raise TypeError(f"tls must be True, a ServerTls or an ssl.SSLContext, not {tls!r}")
