"""
Certificates that no client may accept, and some that every client should.

Each case is a server's chain with its key, the authority that a client trusts, and the
name by which the client knows the server.  The expected error is in OpenSSL's
words; `s_client` of the same OpenSSL is the oracle.
"""

import functools
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from certificates import Issued, authority, issue, rsa_key
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID as Usage

HOST = "a.rpc.example"
OPENSSL = shutil.which("openssl") or "openssl"


def server(issuer, names=(HOST,), subject="server", **options):
    return issue(subject, issuer, names=names, **options)


@functools.cache
def root():
    return authority()


@dataclass(frozen=True)
class Case:
    """
    A server's certificate.

    Attributes:
        make: Returns the server's `Issued` and the one whose certificate is trusted.
        says: What is wrong, as the client says it; None: nothing.
        host: How the client knows the server.
        oracle: Whether s_client refuses it for the same reason.  It accepts common
            names and partial wildcards, which RFC 9525 no longer allows.
    """

    name: str
    says: str | None
    make: Callable[[], tuple[Issued, Issued]]
    host: str = HOST
    oracle: bool = True


def trusted(issued, by=None):
    return issued, by or root()


def via(**options):
    """A server's certificate by an intermediate authority with these options."""
    return trusted(server(authority("intermediate", root(), **options)))


def named(*names, **options):
    return functools.partial(lambda: trusted(server(root(), names, **options)))


def made(**options):
    return lambda: trusted(server(root(), **options))


def by_root(**options):
    own = authority("its own root", **options)
    return trusted(server(own), own)


def signed_by_another():
    """The right name of the issuer, but the signature of another key."""
    other = authority("root")
    return trusted(server(other, identifiers=False))


def unknown_authority():
    return trusted(server(authority("unknown root")))


def self_signed():
    return trusted(issue("server", names=[HOST]))


def root_sent_along():
    own = authority("unknown root")
    issued = server(own)
    issued.chain = [own.cert]
    return trusted(issued)


def missing_link():
    issued = server(authority("intermediate", root()))
    issued.chain = []
    return trusted(issued)


def no_authority():
    """Signed by the holder of a certificate that is for a server only."""
    return trusted(server(server(root(), ["other.example"], "no authority")))


def of_version_1():
    """An intermediate without any extension."""
    return trusted(
        server(issue("intermediate", root(), ca=None, identifiers=False), identifiers=0)
    )


def chain_of(length):
    issuer = root()
    for i in range(length):
        issuer = authority(f"intermediate {i}", issuer)
    return trusted(server(issuer))


def its_own(issued):
    return issued, issued


def under_a_root_of_one_level():
    short = authority("short root", path_length=0)
    return trusted(server(authority("intermediate", short)), short)


def constrained(permitted=None, excluded=None):
    return by_root(extensions=[x509.NameConstraints(permitted, excluded)])


def weak_digest(name):
    """By the command line: cryptography does not sign like that."""

    def make():
        strong = authority("rsa root", key=rsa_key(2048))
        issued = server(strong, key=rsa_key(2048))
        return resigned(issued, strong, name), strong

    return make


def resigned(issued, issuer, digest):
    """Sign a certificate once more, with an obsolete digest."""
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(issued.cert.subject)
        .sign(issued.key, hashes.SHA256())
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "ca").write_bytes(issuer.pem() + issuer.key_pem())
        (folder / "csr").write_bytes(request.public_bytes(Encoding.PEM))
        (folder / "ext").write_text(f"subjectAltName=DNS:{HOST}\n")
        text = subprocess.check_output(
            [OPENSSL, "x509", "-req", "-in", "csr", "-CA", "ca", "-days", "30",
             f"-{digest}", "-extfile", "ext", "-set_serial", "7"],
            cwd=folder, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    return Issued(x509.load_pem_x509_certificate(text), issued.key)


MISMATCH = "hostname mismatch"
IP_MISMATCH = "IP address mismatch"
NO_ISSUER = "unable to get local issuer certificate"
EXPIRED = "certificate has expired"
EARLY = "certificate is not yet valid"
PURPOSE = "unsuitable certificate purpose"
NO_CA = "invalid CA certificate"

BAD = [
    # when
    Case("expired", EXPIRED, made(days=(-9, -1))),
    Case("expired yesterday's authority", EXPIRED, lambda: by_root(days=(-9, -1))),
    Case("expired intermediate", EXPIRED, lambda: via(days=(-9, -1))),
    Case("not yet valid", EARLY, made(days=(1, 9))),
    Case("intermediate not yet valid", EARLY, lambda: via(days=(1, 9))),
    # who
    Case("another name", MISMATCH, named("b.rpc.example")),
    Case("no name", MISMATCH, named()),
    Case("a longer name", MISMATCH, named(f"{HOST}.evil.example")),
    Case("a subdomain", MISMATCH, named(f"x.{HOST}")),
    Case("common name only", MISMATCH, named(subject=HOST), oracle=False),
    Case("NUL in the name", MISMATCH, named(f"{HOST}\0.evil.example")),
    Case("another address", IP_MISMATCH, named("127.0.0.2"), "127.0.0.1"),
    Case("another address of IPv6", IP_MISMATCH, named("::2"), "::1"),
    Case(
        "an address as a name",
        IP_MISMATCH,
        named(x509.DNSName("127.0.0.1")),
        "127.0.0.1",
    ),
    Case(
        "an address as the common name",
        IP_MISMATCH,
        named(subject="127.0.0.1"),
        "127.0.0.1",
    ),
    Case("a name for an address", IP_MISMATCH, named("localhost"), "127.0.0.1"),
    Case("a wildcard for an address", IP_MISMATCH, named("*.0.0.1"), "127.0.0.1"),
    # wildcards
    Case(
        "wildcard for two labels", MISMATCH, named("*.example.org"), "a.b.example.org"
    ),
    Case("wildcard for no label", MISMATCH, named("*.rpc.example"), "rpc.example"),
    Case("wildcard inside", MISMATCH, named("a.*.example.org"), "a.b.example.org"),
    Case("two wildcards", MISMATCH, named("*.*.example.org"), "a.b.example.org"),
    Case("nothing but a wildcard", MISMATCH, named("*"), "localhost"),
    Case("wildcard of a top level", MISMATCH, named("*.example"), "rpc.example"),
    Case(
        "partial wildcard", MISMATCH, named("a*.example.org"), "ab.example.org", False
    ),
    Case(
        "wildcard in punycode",
        MISMATCH,
        named("xn--*.example.org"),
        "xn--a.example.org",
    ),
    # by whom
    Case("unknown authority", NO_ISSUER, unknown_authority),
    Case("self-signed", "self-signed certificate", self_signed),
    Case(
        "self-signed authority sent along",
        "self-signed certificate in certificate chain",
        root_sent_along,
    ),
    Case("missing intermediate", NO_ISSUER, missing_link),
    Case("another key's signature", "certificate signature failure", signed_by_another),
    Case("signed by no authority", NO_CA, no_authority),
    Case("signed by an authority of version 1", NO_CA, of_version_1),
    Case(
        "authority that may not sign",
        NO_CA,
        lambda: via(usage=["digital_signature"]),
    ),
    Case(
        "path too long",
        "path length constraint exceeded",
        under_a_root_of_one_level,
    ),
    # for what
    Case("for clients", PURPOSE, made(purposes=[Usage.CLIENT_AUTH])),
    Case("for mail", PURPOSE, made(purposes=[Usage.EMAIL_PROTECTION])),
    Case("to sign certificates", PURPOSE, made(usage=["key_cert_sign"])),
    Case("the authority's own", PURPOSE, lambda: its_own(authority(names=[HOST]))),
    Case(
        "intermediate for clients",
        PURPOSE,
        lambda: via(purposes=[Usage.CLIENT_AUTH]),
    ),
    Case(
        "unknown critical extension",
        "unhandled critical extension",
        made(
            extensions=[
                x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0")
            ]
        ),
    ),
    Case(
        "outside the permitted names",
        "permitted subtree violation",
        lambda: constrained(permitted=[x509.DNSName("other.example")]),
    ),
    Case(
        "among the excluded names",
        "excluded subtree violation",
        lambda: constrained(excluded=[x509.DNSName("rpc.example")]),
    ),
    # how strong
    Case("weak RSA key", "EE certificate key too weak", made(key=rsa_key(1024))),
    Case(
        "a curve out of use",
        "handshake failure",
        made(key=ec.generate_private_key(ec.SECP192R1())),
    ),
    Case(
        "weak key of the authority",
        "CA certificate key too weak",
        lambda: by_root(key=rsa_key(1024)),
    ),
    Case("SHA-1", "CA signature digest algorithm too weak", weak_digest("sha1")),
    Case("MD5", "CA signature digest algorithm too weak", weak_digest("md5")),
]

GOOD = [
    Case("plain", None, made()),
    Case("one of several names", None, named("b.example", HOST, "c.example")),
    Case("another case", None, named(HOST.upper())),
    Case("wildcard", None, named("*.rpc.example")),
    Case("address", None, named("127.0.0.1"), "127.0.0.1"),
    Case("address of IPv6", None, named("::1"), "::1"),
    Case("intermediates", None, lambda: chain_of(3)),
    Case("RSA", None, made(key=rsa_key(2048))),
    Case("Ed25519", None, made(key=ed25519.Ed25519PrivateKey.generate())),
    Case("P-384", None, made(key=ec.generate_private_key(ec.SECP384R1()))),
    Case("for servers", None, made(purposes=[Usage.SERVER_AUTH])),
    Case(
        "among the permitted names",
        None,
        lambda: constrained(permitted=[x509.DNSName("rpc.example")]),
    ),
]
