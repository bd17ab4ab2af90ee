"""TLS in a demo: what its authority issues to whom, and where the files are."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from broker.demo.authority import JAVA_PASSWORD, LOOPBACK, Authority, Pair


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTls:
    """What a controller needs to talk to the broker: whom to trust, and who it is."""

    ca: Path
    pair: Pair


@dataclass(frozen=True, slots=True, kw_only=True)
class Secured:
    """One authority for everything of a run: the broker asks controllers for certificates of it."""

    directory: Path
    authority: Authority
    agents: bool = True
    """Whether the gateway speaks TLS."""

    @classmethod
    def new(cls, directory: Path, *gateway: str) -> Self:
        """Makes an authority and the certificates of both servers in `directory`, which is made.

        `gateway` are more addresses of the gateway.
        """
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = cls(directory=directory, authority=Authority())
        made.authority.write(made.ca)
        made.authority.issue(directory / "broker", "broker")
        made.authority.issue(directory / "gateway", "gateway", hosts=(*LOOPBACK, *gateway))
        return made

    @property
    def ca(self) -> Path:
        """The authority's certificate: all that anybody of this run trusts."""
        return self.directory / "ca.crt"

    def client(self, controller: str) -> ClientTls:
        """The files of a controller, whose certificate names it."""
        pair = self.authority.issue(self.directory / f"controller-{controller}", controller, hosts=())
        return ClientTls(ca=self.ca, pair=pair)

    def grpc_keys(self) -> dict[str, str]:
        """`server.grpc.tls`."""
        return {**self._pair("broker"), "client_ca_file": str(self.ca)}

    def gateway_keys(self) -> dict[str, str]:
        """`gateway.tls`."""
        return self._pair("gateway")

    def java_options(self) -> list[str]:
        """What a JVM needs to trust the authority alone."""
        store = self.authority.write_for_java(self.directory / "ca.p12")
        return [f"-Djavax.net.ssl.trustStore={store}", f"-Djavax.net.ssl.trustStorePassword={JAVA_PASSWORD}"]

    def context(self) -> ssl.SSLContext:
        """For a client of the gateway."""
        return ssl.create_default_context(cafile=str(self.ca))

    def _pair(self, name: str) -> dict[str, str]:
        base = self.directory / name
        return {"cert_file": f"{base}.crt", "key_file": f"{base}.key"}
