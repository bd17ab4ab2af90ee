"""What a virtual machine is to be: its address, its people, what is on it and what it does at boot."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Interface


class Java(StrEnum):
    """Which Java a login finds."""

    MACHINE = "machine"
    """The one of the machine outside."""
    NONE = "none"
    OLD = "old"
    """A `java` first on the PATH that says to be 11, as in images of some years ago; the machine's is behind it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What differs from one image to the next."""

    users: tuple[str, ...] = ("jenkins",)
    """People beside root, each with a home and the instance's key; those of the machine outside are not known."""
    login: str = "root"
    """Whose password the instance's is."""
    sudo: bool = True
    """Whether `sudo` is there; the users need no password for it."""
    java: Java = Java.MACHINE
    engine: str = "podman"
    """The container engine that is there: podman, docker (podman under that name), or none of them when empty."""
    console_delay_s: float = 0.0
    """From boot until the console shows the host keys."""
    boot_s: float = 0.0
    """From boot until sshd listens."""
    sshd: Mapping[str, str] = field(default_factory=dict)
    """More lines of sshd_config, in place of ours, such as MaxSessions: "1"."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """What else is there at the first boot, by absolute path, root's and 0644."""
    programs: Mapping[str, bytes] = field(default_factory=dict)
    """The same, 0755."""
    shared: tuple[str, ...] = ()
    """Files and directories of the machine outside that are at their own places, to be read alone."""
    written: tuple[str, ...] = ()
    """The same, to be written as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VmSpec:
    """One virtual machine. `address` has its block's prefix, such as 172.16.0.5/24."""

    id: str
    address: IPv4Interface
    public_address: str = ""
    hostname: str = ""
    authorized_keys: tuple[str, ...] = ()
    """Public keys, one line each, that open root's and the users' accounts."""
    password: str = field(default="", repr=False)
    user_data: str = field(default="", repr=False)
    """Run once, at the first boot and as root, if it begins with `#!`; anything else is left alone."""
    image: Image = Image()
