"""Whether the certificate of a listener is one that agents and gateways take."""

import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509

from broker.doctor.ask import reached, soon
from broker.doctor.report import Doubtful, Wrong
from broker.inbound.address import HttpBase
from broker.inbound.blocks import plain

_SOON_DAYS: Final = 14
_WHY: Final[Mapping[int, tuple[str, str]]] = {
    9: ("it is not valid yet", "compare the clocks of both machines"),
    10: ("it has expired", "renew it; listeners of agentbroker read renewed files by themselves"),
    18: ("it is self-signed", "{trust}"),
    19: ("it is of a CA that is not trusted here", "{trust}"),
    20: (
        "its issuer is not known here",
        "{trust}; the file of the certificate must also hold what is between it and the CA",
    ),
    21: (
        "its issuer is not known here",
        "{trust}; the file of the certificate must also hold what is between it and the CA",
    ),
    62: ("it is not for {host}", "issue one that names {host}, or use a name that it has: {names}"),
    64: ("it is not for the address {host}", "issue one that names {host}, or use a name that it has: {names}"),
}
"""X509_V_ERR_* of OpenSSL to what it means and what to do."""


def trusting(ca_file: Path | None) -> ssl.SSLContext:
    """A client's context that trusts the system's CAs, and those in `ca_file`. Raises `Wrong`."""
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:  # ssl.SSLError is one
            raise Wrong(f"{ca_file} cannot be used: {error.strerror or error}", "it has to hold CAs in PEM") from None
    return context


async def check_certificate(base: HttpBase, trust: ssl.SSLContext, who: str, refusal: str, remedy: str) -> str:
    """What the certificate is. Raises `Wrong`, which says `refusal` and, for an unknown CA, `remedy`."""
    async with reached(base.host, base.port, who) as connection:
        try:
            await connection.start_tls(trust, server=False, name=base.host, until=soon())
            trouble = None
        except ssl.SSLCertVerificationError as error:
            trouble = error
    shown = await _shown(base, who)
    days = (shown.not_valid_after_utc - datetime.now(UTC)).days
    said = f"valid {days} more days, issued by {plain(shown.issuer.rfc4514_string(), 100)}"
    if trouble is not None:
        why, hint = _WHY.get(trouble.verify_code, (trouble.verify_message, "{trust}"))
        words = {"host": base.host, "names": ", ".join(_names(shown)) or "none", "trust": remedy}
        raise Wrong(f"{refusal}: {why.format_map(words)} ({said})", hint.format_map(words))
    if days < _SOON_DAYS:
        raise Doubtful(said, "renew it")
    return said


async def _shown(base: HttpBase, who: str) -> x509.Certificate:
    """The certificate, whatever it is."""
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname = False
    anybody.verify_mode = ssl.CERT_NONE
    async with reached(base.host, base.port, who) as connection:
        await connection.start_tls(anybody, server=False, name=base.host, until=soon())
        shown = connection.sock.getpeercert(binary_form=True) if isinstance(connection.sock, ssl.SSLSocket) else None
        try:
            return x509.load_der_x509_certificate(shown or b"")
        except ValueError:
            raise Wrong("the certificate cannot be read", "issue another one") from None


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    addresses = [str(address) for address in found.get_values_for_type(x509.IPAddress)]
    return [plain(name, 100) for name in [*found.get_values_for_type(x509.DNSName), *addresses][:10]]
