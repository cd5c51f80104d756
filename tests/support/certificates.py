"""Certificates made with the package cryptography: valid, invalid and expired."""

import contextlib
import datetime as dt
import functools
import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)


def ec_key():
    return ec.generate_private_key(ec.SECP256R1())


@functools.cache
def rsa_key(bits):
    return rsa.generate_private_key(65537, bits)


def common_name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def general_name(text):
    with contextlib.suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(text))
    return x509.DNSName(text)


def key_usage(*allowed):
    names = (
        "digital_signature", "content_commitment", "key_encipherment",
        "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign",
        "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: name in allowed for name in names})


@dataclass
class Issued:
    """A certificate and its key; *chain* is what else a server has to send."""

    cert: x509.Certificate
    key: object
    chain: list[x509.Certificate] = field(default_factory=list)

    def pem(self):
        certs = [self.cert, *self.chain]
        return b"".join(each.public_bytes(Encoding.PEM) for each in certs)

    def key_pem(self, encryption=None):
        return self.key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption()
        )

    def write(self, path):
        """Write the certificate, its chain and its key to one file."""
        Path(path).write_bytes(self.pem() + self.key_pem())
        return str(path)


def issue(
    subject,
    issuer=None,
    *,
    names=(),
    key=None,
    days=(-1, 30),
    ca=False,
    path_length=None,
    usage=None,
    purposes=(),
    extensions=(),
    digest=None,
    identifiers=True,
    as_issuer=None,
):
    """
    Issue a certificate, signed by *issuer* or by itself.

    *as_issuer* is the issuer's name in it, if that is a lie; ca=None leaves the basic
    constraints out.
    """
    key = key or ec_key()
    signer = key if issuer is None else issuer.key
    issuer_name = common_name(subject) if issuer is None else issuer.cert.subject
    builder = (
        x509.CertificateBuilder()
        .subject_name(common_name(subject) if isinstance(subject, str) else subject)
        .issuer_name(as_issuer or issuer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + days[0] * DAY)
        .not_valid_after(NOW + days[1] * DAY)
    )
    if ca is not None:
        constraints = x509.BasicConstraints(ca=ca, path_length=path_length)
        builder = builder.add_extension(constraints, critical=True)
    if names:
        found = [
            general_name(name) if isinstance(name, str) else name for name in names
        ]
        builder = builder.add_extension(x509.SubjectAlternativeName(found), False)
    if usage:
        builder = builder.add_extension(key_usage(*usage), critical=True)
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), False)
    if identifiers:
        own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        builder = builder.add_extension(own, False)
        theirs = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        builder = builder.add_extension(theirs, False)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    if digest is None and not isinstance(signer, ed25519.Ed25519PrivateKey):
        digest = hashes.SHA256()
    cert = builder.sign(signer, digest)
    chain = [] if issuer is None or is_root(issuer) else [issuer.cert, *issuer.chain]
    return Issued(cert, key, chain)


def is_root(issued):
    return issued.cert.subject == issued.cert.issuer


def authority(name="root", issuer=None, **options):
    options.setdefault("usage", ("key_cert_sign", "crl_sign"))
    return issue(name, issuer, ca=True, **options)
