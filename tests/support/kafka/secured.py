"""A broker with one more listener: encrypted by TLS, and open to one user with a password."""

import secrets
import shutil
import subprocess
from pathlib import Path

from tests.support.kafka.jars import BrokerUnavailableError, java_command
from tests.support.kafka.node import HOST, Broker, free_port

USER = "flow"

LISTENER = """\
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port},SECURED://{host}:{secured_port}
advertised.listeners=PLAINTEXT://{host}:{port},SECURED://{host}:{secured_port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURED:SASL_SSL
controller.quorum.voters=1@{host}:{controller_port}
listener.name.secured.sasl.enabled.mechanisms=PLAIN
listener.name.secured.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
user_{user}="{password}";
listener.name.secured.ssl.keystore.type=PKCS12
listener.name.secured.ssl.keystore.location={keystore}
listener.name.secured.ssl.keystore.password={password}
"""


class SecuredBroker(Broker):
    """A broker whose second listener wants TLS and a password.

    Parameters
    ----------
    data
        Folder for its data, its key and its certificate.

    Attributes
    ----------
    password
        Of the user, and of the key store.
    certificate
        File with the certificate, signed by itself, that clients are to trust.
    """

    def __init__(self, *, data: Path) -> None:
        super().__init__(data=data)
        self.secured_port = free_port()
        self.password = secrets.token_hex(12)
        self.certificate = data / "certificate.pem"
        self._keystore = data / "keystore.p12"

    @property
    def secured_bootstrap(self) -> str:
        """Address of the encrypted listener, as host:port."""
        return f"{HOST}:{self.secured_port}"

    @property
    def client_options(self) -> dict[str, str]:
        """Options of librdkafka with which a client gets in."""
        return {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "PLAIN",
            "sasl.username": USER,
            "sasl.password": self.password,
            "ssl.ca.location": str(self.certificate),
        }

    def start(self) -> None:
        """Make key and certificate at the first start; start, and wait until it answers."""
        if not self._keystore.exists():
            self._make_certificate()
        super().start()

    def properties(self, logs: Path) -> str:
        """Return its configuration, with the folder of its logs."""
        added = LISTENER.format(
            host=HOST,
            port=self.port,
            controller_port=free_port(),
            secured_port=self.secured_port,
            user=USER,
            password=self.password,
            keystore=self._keystore,
        )
        return super().properties(logs) + added  # of a property that is given twice the latter counts

    def _make_certificate(self) -> None:
        store = ("-keystore", str(self._keystore), "-storetype", "PKCS12", "-storepass", self.password)
        self._keytool(
            "-genkeypair", *store, "-alias", "broker", "-keyalg", "EC", "-groupname", "secp256r1",
            "-dname", "CN=localhost", "-ext", f"SAN=IP:{HOST},DNS:localhost", "-validity", "2",
        )  # fmt: skip
        self._keytool("-exportcert", "-rfc", *store, "-alias", "broker", "-file", str(self.certificate))

    @staticmethod
    def _keytool(*arguments: str) -> None:
        keytool = shutil.which("keytool", path=str(Path(java_command()).parent)) or shutil.which("keytool")
        if keytool is None:
            raise BrokerUnavailableError("keytool is missing, which comes with Java: no certificate can be made")
        done = subprocess.run([keytool, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise BrokerUnavailableError(f"no certificate can be made: {done.stdout.strip()[-500:]}")
