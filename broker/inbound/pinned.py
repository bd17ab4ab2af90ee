"""TLS under JNLP4-connect: no authority is believed; the key that the other side shows is what it is known by."""

import os
import ssl
from datetime import UTC, datetime
from functools import cache

from broker.inbound.identity import Identity


def server_context(identity: Identity) -> ssl.SSLContext:
    """For the side that shows an identity. OpenSSL takes a key from files only: this one is memory that has a name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = 0
    memory = os.memfd_create("identity")
    try:
        os.write(memory, b"".join(identity.certificate(datetime.now(UTC))))
        context.load_cert_chain(f"/proc/self/fd/{memory}")
    finally:
        os.close(memory)
    return context


@cache
def client_context() -> ssl.SSLContext:
    """For the side that compares the key, which is the caller's to do. Old controllers' keys have 1024 bits.

    One for all: it holds nothing of a connection.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=1")
    return context
