"""Certificates: self-signed for TLS at the edge while nobody has given one, or by an authority of our own for the
stores of a cluster."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME: Final = timedelta(days=397)  # browsers take no longer ones
RENEWED: Final = timedelta(days=30)  # before its end
# Nobody else trusts these, and a cluster whose certificates have ended stands still.
CLUSTER_LIFETIME: Final = timedelta(days=3650)
_EARLIER: Final = timedelta(hours=1)  # clocks differ
_PEM: Final = serialization.Encoding.PEM


@dataclass(frozen=True, slots=True)
class Authority:
    """Vouches for certificates, and for no further authority. `own` is what those need who trust it."""

    _certificate: x509.Certificate
    _key: ec.EllipticCurvePrivateKey

    @classmethod
    def founded(cls, name: str, *, now: datetime) -> Self:
        key = ec.generate_private_key(ec.SECP256R1())
        usage = x509.KeyUsage(
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
        builder = (
            _for_key(key, name, issuer=_named(name), now=now, lifetime=CLUSTER_LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
        )
        return cls(builder.sign(key, hashes.SHA256()), key)

    @property
    def own(self) -> str:
        return self._certificate.public_bytes(_PEM).decode()

    def issue(self, name: str, hosts: list[str], *, now: datetime) -> str:
        """A certificate for servers and clients alike, and its key, as one PEM text. It ends with its authority."""
        key = ec.generate_private_key(ec.SECP256R1())
        lifetime = self._certificate.not_valid_after_utc - now
        of_authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = (
            _for_key(key, name, issuer=self._certificate.subject, now=now, lifetime=lifetime)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(of_authority, critical=False)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
        )
        if hosts:
            builder = builder.add_extension(_alternative_names(hosts), critical=False)
        return _with_key(builder.sign(self._key, hashes.SHA256()), key)


def self_signed(names: list[str], *, now: datetime) -> str:
    """A certificate for these names and addresses, and its key, as one PEM text."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = "Mailroom, self-signed"
    certificate = (
        _for_key(key, name, issuer=_named(name), now=now, lifetime=LIFETIME)
        .add_extension(_alternative_names(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return _with_key(certificate, key)


def fits(pem: str, names: list[str], *, now: datetime) -> bool:
    """True if the certificate is for all these names, and is valid for a while yet."""
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        covered = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return False
    return all(_general_name(name) in covered for name in names) and certificate.not_valid_after_utc > now + RENEWED


def _for_key(
    key: ec.EllipticCurvePrivateKey, name: str, *, issuer: x509.Name, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _with_key(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> str:
    private = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return (certificate.public_bytes(_PEM) + private).decode()


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _alternative_names(names: list[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([_general_name(name) for name in names])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
