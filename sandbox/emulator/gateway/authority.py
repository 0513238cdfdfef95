"""The authority that environments trust, and the certificates it gives AWS's names.

It is made once for an installation. Its key can be read by the installation's owner alone and is in no
environment; what environments are shown is the certificate. Nobody else is asked to trust it. An account
shows certificates for AWS's names, for this machine and for the custom domain names that it answers at.

Source: https://www.rfc-editor.org/rfc/rfc5280
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import hashlib
import ipaddress
import os
import re
import shutil
import ssl
import struct
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.isolation import names
from sandbox.isolation.spec import AUTHORITIES, JAVA_AUTHORITIES

# In lower case and in this encoding OpenSSL's name for the file needs no normalisation.
_NAME = "coldstart authority"
# An account's clock may be years away from the machine's, and what runs in it may follow it.
_SINCE, _UNTIL = dt.datetime(2015, 1, 1, tzinfo=dt.UTC), dt.datetime(2049, 12, 31, tzinfo=dt.UTC)
# Where programs look for the authorities of the system: Debian's, Amazon Linux's, Alpine's.
_PLACES = (AUTHORITIES, "/etc/ssl/cert.pem", "/etc/pki/tls/cert.pem", "/etc/pki/tls/certs/ca-bundle.crt")
_BUCKET = re.compile(r".+?\.(s3(?:-fips|-accelerate)?(?:\.dualstack)?(?:[.-][a-z0-9-]+)?\.amazonaws\.com)")
_CONTEXTS_LIMIT = 512
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+")
# Another one whenever what it may vouch for has changed.
_DIRECTORY = "authority-2"


@dataclass(frozen=True, slots=True)
class Authority:
    """An authority that lies in ``place``: its key, its certificate, and what environments are shown."""

    place: Path

    @property
    def trust(self) -> Path:
        """What environments see below /etc."""
        return self.place / "trust"


def open_authority(home: Path) -> Authority:
    """The installation's authority, made when there is none yet."""
    place = home.absolute() / _DIRECTORY
    if not place.is_dir():
        home.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=home, prefix="authority-"))
        try:
            _make(made)
            with contextlib.suppress(OSError):  # Somebody else was first.
                made.rename(place)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return Authority(place)


def _make(place: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _NAME)])
    # Of addresses there is this machine's alone; which names an account answers for is its own to say.
    allowed: list[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_network(f"{names.ADDRESS}/32"))]
    known = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_SINCE)
        .not_valid_after(_UNTIL)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(certificates=True), critical=True)
        .add_extension(x509.NameConstraints(allowed, None), critical=True)
        .add_extension(known, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(known), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(Encoding.PEM)
    trust = place / "trust"
    for shown in (*_PLACES, f"/etc/ssl/certs/{_hashed(name.public_bytes())}.0"):
        _write(trust / shown.removeprefix("/etc/"), pem)
    der = certificate.public_bytes(Encoding.DER)
    _write(trust / JAVA_AUTHORITIES.removeprefix("/etc/"), _java_store(der))
    _write(place / "certificate.pem", pem)
    secret = os.open(place / "key.pem", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with open(secret, "wb") as file:
        file.write(_private(key))


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _private(key: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    written: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return written


def _usage(*, certificates: bool) -> Any:
    from cryptography import x509

    others = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign"), False
    )
    return x509.KeyUsage(
        digital_signature=not certificates,
        key_cert_sign=certificates,
        encipher_only=False,
        decipher_only=False,
        **others,
    )


def _hashed(name: bytes) -> str:
    """The name that OpenSSL looks for in a directory of certificates: a digest of the subject.

    ``name`` is short, so its outer frame has two bytes, which do not count.
    """
    return f"{int.from_bytes(hashlib.sha1(name[2:]).digest()[:4], 'little'):08x}"


def _java_store(certificate: bytes) -> bytes:
    """One trusted certificate in the format that every Java reads (JKS), without Java's tools.

    The digest at its end is with the password that all such stores have.
    """

    def text(content: bytes) -> bytes:
        return struct.pack(">H", len(content)) + content

    at_ms = int(_SINCE.timestamp() * 1000)
    entry = struct.pack(">I", 2) + text(b"coldstart") + struct.pack(">Q", at_ms) + text(b"X.509")
    store = struct.pack(">III", 0xFEEDFEED, 2, 1) + entry + struct.pack(">I", len(certificate)) + certificate
    seal = hashlib.sha1("changeit".encode("utf-16-be") + b"Mighty Aphrodite" + store)
    return store + seal.digest()


def covered_by(host: str) -> tuple[str, ...]:
    """The names of the certificate that a host shows: a domain and, by wildcard, what is right below it.

    A bucket's is its region's, so one with a dot in its name does not match, as on AWS.
    """
    host = host.lower().rstrip(".")
    if not names.is_known(host):
        return ("localhost", "*.amazonaws.com", "amazonaws.com")
    bucket = _BUCKET.fullmatch(host)
    domain = bucket[1] if bucket else host.partition(".")[2]
    return (f"*.{domain}", domain)


class Certificates:
    """Certificates for hosts, each made when it is first asked for. Safe across threads.

    ``vouched`` tells of hosts that are not AWS's whether the account answers for them.
    """

    def __init__(self, authority: Authority, vouched: Callable[[str], bool] = lambda _host: False) -> None:
        self._authority = authority
        self._vouched = vouched
        self._lock = threading.Lock()
        self._contexts: dict[tuple[str, ...], ssl.SSLContext] = {}

    def server(self) -> ssl.SSLContext:
        """What a TLS server begins with; it goes on with the certificate of the name it was called by."""
        return self._context("")

    def _choose(self, connection: Any, host: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._context(host or "")

    def _covered_by(self, host: str) -> tuple[str, ...]:
        own = not names.is_known(host) and _HOST.fullmatch(host) is not None and self._vouched(host)
        return (host,) if own else covered_by(host)

    def _context(self, host: str) -> ssl.SSLContext:
        covered = self._covered_by(host.lower().rstrip("."))
        with self._lock:
            found = self._contexts.get(covered)
            if found is None:
                if len(self._contexts) >= _CONTEXTS_LIMIT:
                    self._contexts.clear()  # What makes up names pays for it with its own patience.
                found = self._contexts[covered] = self._make(covered)
        return found

    def _make(self, covered: tuple[str, ...]) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # Only a file can be loaded; mode 0600, and gone at once.
        with tempfile.NamedTemporaryFile(prefix="coldstart-") as file:
            file.write(_issue(self._key_and_issuer, covered))
            file.flush()
            made.load_cert_chain(file.name)
        made.set_alpn_protocols(["http/1.1"])
        made.sni_callback = self._choose
        return made

    @functools.cached_property
    def _key_and_issuer(self) -> tuple[Any, Any, Any]:
        """The authority's key and certificate, and the key of all certificates made here."""
        from cryptography import x509
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        place = self._authority.place
        key = load_pem_private_key((place / "key.pem").read_bytes(), None)
        issuer = x509.load_pem_x509_certificate((place / "certificate.pem").read_bytes())
        return key, issuer, ec.generate_private_key(ec.SECP256R1())


def _issue(by: tuple[Any, Any, Any], covered: tuple[str, ...]) -> bytes:
    """A certificate for these names and its key, in PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    signer, issuer, key = by
    alternatives: list[x509.GeneralName] = [x509.DNSName(each) for each in covered]
    if "localhost" in covered:
        alternatives.append(x509.IPAddress(ipaddress.ip_address(names.ADDRESS)))
    above = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, covered[0][:64])]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_SINCE)
        .not_valid_after(_UNTIL)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(above), critical=False)
        .sign(signer, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM) + _private(key)
