"""An agent port for a controller that has no instance-identity plugin: a key of the test's own, on loopback alone.

Core asks an extension point for the key, and listens on all interfaces. The script below registers a key that Python
has made, has core listen on any port, and puts a socket of loopback in the place of that one. Who listens, what is
spoken there and what pages say of it stays Jenkins' own.
"""

from datetime import UTC, datetime
from pathlib import Path

from broker.inbound.identity import Identity
from tests.jenkins.controller import Controller, free_port

OPEN_PORT = """
import java.nio.channels.ServerSocketChannel
import java.security.*
import java.security.cert.*
import java.security.spec.PKCS8EncodedKeySpec
import hudson.TcpSlaveAgentListener
import jenkins.model.Jenkins
import jenkins.model.identity.InstanceIdentityProvider

class IdentityOfTest extends InstanceIdentityProvider {
    X509Certificate own; KeyPair pair
    IdentityOfTest(File certificate, File key) {
        own = CertificateFactory.getInstance('X.509').generateCertificate(new ByteArrayInputStream(certificate.bytes))
        def der = key.text.readLines().findAll { !it.startsWith('-----') }.join('').decodeBase64()
        pair = new KeyPair(own.publicKey, KeyFactory.getInstance('RSA').generatePrivate(new PKCS8EncodedKeySpec(der)))
    }
    protected KeyPair getKeyPair() { pair }
    protected X509Certificate getCertificate() { own }
}
hudson.ExtensionList.lookup(InstanceIdentityProvider).add(new IdentityOfTest(new File('%(crt)s'), new File('%(key)s')))

def there = ServerSocketChannel.open()
there.socket().bind(new InetSocketAddress('127.0.0.1', %(port)d))
def listener = new TcpSlaveAgentListener(0)
def field = { Class type, String name -> type.getDeclaredField(name).with { accessible = true; it } }
def everywhere = field(TcpSlaveAgentListener, 'serverSocket').get(listener)
field(TcpSlaveAgentListener, 'serverSocket').set(listener, there)
new Socket('127.0.0.1', everywhere.socket().localPort).close() // its thread takes this one, then listens there
Thread.sleep(100)
everywhere.close()
field(Jenkins, 'slaveAgentPort').setInt(Jenkins.get(), 0) // else core replaces the listener at the end of the start
field(Jenkins, 'tcpSlaveAgentListener').set(Jenkins.get(), listener)
"""


class AgentPort:
    """Of one controller, over all its starts."""

    def __init__(self, controller: Controller, directory: Path) -> None:
        """Takes effect when the controller starts."""
        self.port = free_port()
        self.identity = Identity.new()
        directory.mkdir(mode=0o700, exist_ok=True)
        certificate, key = directory / "identity.crt", directory / "identity.key"
        for file, pem in zip((certificate, key), self.identity.certificate(datetime.now(UTC)), strict=True):
            file.write_bytes(pem)
        controller.init("c_agent_port", OPEN_PORT % {"crt": certificate, "key": key, "port": self.port})
