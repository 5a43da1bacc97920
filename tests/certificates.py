"""A certificate authority that nobody knows, for servers on loopback that speak TLS."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def own_authority(folder: Path, *names: str) -> tuple[Path, ssl.SSLContext]:
    """The authority's certificate, in a file, and what a server on 127.0.0.1 needs that is also
    known by `names`.
    """
    key, server_key = (
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP256R1()),
    )
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of a test")])
    server = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    # Python 3.13 refuses a chain without these marks, which RFC 5280 asks for.
    named = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    root = (
        _begun(authority, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_SIGNS_CERTIFICATES, critical=True)
        .add_extension(named, critical=False)
    )
    here = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    place = x509.SubjectAlternativeName([here, *(x509.DNSName(name) for name in names)])
    signer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(named)
    leaf = (
        _begun(server, server_key)
        .add_extension(place, critical=False)
        .add_extension(signer, critical=False)
    )
    files = {"authority.pem": root, "server.pem": leaf}
    for name, builder in files.items():
        signed = builder.issuer_name(authority).sign(key, hashes.SHA256())
        (folder / name).write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (folder / "server.key").write_bytes(
        server_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    return folder / "authority.pem", context


def _begun(name: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
    )
