"""Which addresses a hook may be sent to, so that a policy file cannot make the flow call what only it can reach.

A name is resolved first, and the address that is connected to is the one that was checked: a name that resolves to
another address at the next look-up gains nothing (DNS rebinding).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from schemas.errors import ConfigurationError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NAT64 = IPv6Network("64:ff9b::/96")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes.

    Parameters
    ----------
    scheme
        ``http`` or ``https``.
    host
        Name or address.
    port
        Port, 1 to 65,535.
    path
        Path and query.
    """

    scheme: str
    host: str
    port: int
    path: str

    @property
    def is_encrypted(self) -> bool:
        """Whether the connection is."""
        return self.scheme == "https"

    @property
    def place(self) -> str:
        """The address without path and query, which may hold secrets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"


def parse_networks(text: str) -> tuple[Network, ...]:
    """Read networks, separated by commas.

    >>> parse_networks("10.0.0.0/8, fd00::/8")
    (IPv4Network('10.0.0.0/8'), IPv6Network('fd00::/8'))

    Raises
    ------
    ConfigurationError
        If one is none.
    """
    try:
        return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ConfigurationError(
            f"no network: {error}", remedy="write networks as 10.0.0.0/8,127.0.0.1/32, separated by commas"
        ) from error


def parse_target(url: str, *, networks: Sequence[Network] = ()) -> Target:
    """Read the address of a hook, and refuse what can be seen to be wrong before a name is resolved.

    Parameters
    ----------
    url
        The address.
    networks
        Networks that are allowed though they are not public.

    Raises
    ------
    ConfigurationError
        If it is no address over HTTP or HTTPS, holds a password, or may not be called. The message does not repeat the
        address's path, which may be a secret.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as error:
        raise _refused("cannot be read", "write it as https://HOST/PATH") from error
    if parts.scheme not in _PORTS:
        raise _refused("is not over HTTPS", "write it as https://HOST/PATH")
    if not parts.hostname or not url.isascii() or any(character.isspace() for character in url.strip()):
        raise _refused("names no host in ASCII", "write it as https://HOST/PATH, with %XX and xn-- where needed")
    if parts.username is not None or parts.password is not None:
        raise _refused("holds a password", "name the secret as env:NAME or file:PATH in the option for it")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    target = Target(parts.scheme, parts.hostname, port or _PORTS[parts.scheme], path)
    if (address := _literal(target.host)) is not None:
        require_allowed(address, host=target.host, is_encrypted=target.is_encrypted, networks=networks)
    elif not target.is_encrypted and not networks:
        raise _refused("is not encrypted", "use https, or allow the private network it is in (hook_networks_allowed)")
    return target


def require_allowed(address: Address, *, host: str, is_encrypted: bool, networks: Sequence[Network]) -> None:
    """Require that an address may be connected to: public and encrypted, or in a network that is allowed.

    Raises
    ------
    ConfigurationError
        If it may not.
    """
    plain = _unwrapped(address)
    if any(plain in network for network in networks):
        return
    if not is_public(plain):
        raise ConfigurationError(
            f"the hook's host {host} is at {plain}, which is no public address",
            remedy="allow its network with hook_networks_allowed, if it is meant",
        )
    if not is_encrypted:
        raise ConfigurationError(
            f"the hook's host {host} is public, and http is not encrypted", remedy="use https for it"
        )


def is_public(address: Address) -> bool:
    """Return whether an address is one of the public internet.

    >>> is_public(ip_address("93.184.216.34")), is_public(ip_address("169.254.169.254")), is_public(ip_address("::1"))
    (True, False, False)
    """
    plain = _unwrapped(address)
    is_special = plain.is_multicast or plain.is_reserved or plain.is_unspecified or plain.is_loopback
    is_site_local = isinstance(plain, IPv6Address) and plain.is_site_local
    return plain.is_global and not is_special and not is_site_local


def _unwrapped(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for, or the address itself."""
    if not isinstance(address, IPv6Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _refused(what: str, remedy: str) -> ConfigurationError:
    return ConfigurationError(f"the address of the hook {what}", remedy=remedy)
