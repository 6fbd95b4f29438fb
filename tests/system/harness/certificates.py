"""Certificates of our own: authorities, brokers, clients. Everything is PEM, in one folder."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alternative(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


class Certificate:
    """`cert`, `key`, and both in one file (`both`), as Kafka wants them."""

    def __init__(self, directory, name, cert_pem, key_pem):
        self.cert = directory / f"{name}.pem"
        self.key = directory / f"{name}.key"
        self.both = directory / f"{name}.both.pem"
        self.cert.write_bytes(cert_pem)
        self.key.write_bytes(key_pem)
        self.both.write_bytes(key_pem + cert_pem)


class Authority:
    """A certificate authority. `cert` is what those trust who trust it."""

    def __init__(self, directory, name):
        self.directory = Path(directory)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = _name(name)
        signed = self._build(self.name, self.key.public_key(), is_authority=True)
        self.cert = self.directory / f"{name}.pem"
        self.cert.write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    def _build(self, subject, public_key, names=(), is_authority=False, ended=False):
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 20 * DAY)
            .not_valid_after(now - DAY if ended else now + 20 * DAY)
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        )
        if names:
            alternatives = x509.SubjectAlternativeName([_alternative(n) for n in names])
            builder = builder.add_extension(alternatives, critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, name, names=(), ended=False):
        """A certificate for these host names and addresses; `ended`: until yesterday."""
        key = ec.generate_private_key(ec.SECP256R1())
        signed = self._build(_name(name), key.public_key(), names, ended=ended)
        pem = signed.public_bytes(serialization.Encoding.PEM)
        return Certificate(self.directory, name, pem, _key_pem(key))
