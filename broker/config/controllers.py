"""Paths at the gateway that two controllers would share, labels that a controller may use and nobody carries, and how
the gateway reaches a controller."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from broker.config.diagnostics import Diagnostics, Note
from broker.config.model import BrokerFile
from broker.config.model_controllers import ControllerModel
from broker.config.nodes import Node
from broker.config.settings import Address
from broker.domain.definitions import default_path


def check(root: Node, file: BrokerFile, diagnostics: Diagnostics) -> None:
    """All of it."""
    _paths(root, file.controllers, diagnostics)
    _legs(root, file.controllers, diagnostics)
    carried = {label for policy in file.policies.values() for label in policy.labels}
    for name, controller in file.controllers.items():
        for n, pattern in enumerate(controller.labels or ()):
            if not any(fnmatchcase(label, pattern) for label in carried):
                message = f"controller '{name}' may use the label '{pattern}', which no policy carries"
                help_ = Note("help", f"labels: {', '.join(sorted(carried)) or 'none'}")
                span = root.at("controllers", name, "labels", n).span
                diagnostics.warning("unused-label", span, message, help_)


def _paths(root: Node, controllers: Mapping[str, ControllerModel], diagnostics: Diagnostics) -> None:
    """A path within another one's is refused as well: a page of the outer would be the inner's."""
    paths = {name: f"{(c.path or default_path(name)).rstrip('/')}/" for name, c in controllers.items()}
    for name in (n for n, controller in controllers.items() if controller.path):
        for other, path in paths.items():
            if other == name or not (paths[name].startswith(path) or path.startswith(paths[name])):
                continue
            span = root.at("controllers", name, "path").span
            if controllers[other].path and span < root.at("controllers", other, "path").span:
                continue  # of two, the later is reported
            same = "is that" if path == paths[name] else "overlaps the one"
            message = f"the path of controller '{name}' {same} of controller '{other}': '{path}'"
            diagnostics.error("path-conflict", span, message, Note("help", "give each controller a path of its own"))
            break


def in_clear(url: str) -> bool:
    """Whether what is sent there crosses a network where others can read it."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not Address(parts.hostname or "", 0).is_loopback


def _legs(root: Node, controllers: Mapping[str, ControllerModel], diagnostics: Diagnostics) -> None:
    """The gateway's connections to controllers carry the real secrets of agents."""
    for name, controller in controllers.items():
        if controller.agents == "websocket" and in_clear(controller.url):
            message = f"the gateway sends the secrets of controller '{name}' in clear; they are good for ever"
            help_ = Note("help", "use an https:// URL, or 'agents: tcp', which is encrypted for the controller's key")
            diagnostics.warning("secret-in-clear", root.at("controllers", name, "url").span, message, help_)
        if controller.agents == "websocket":
            for key in ("agent_address", "instance_identity"):
                if getattr(controller, key) is not None:
                    message = f"'{key}' of controller '{name}' is for its TCP port, and it is reached over WebSocket"
                    help_ = Note("help", f"add 'agents: tcp', or remove '{key}'")
                    diagnostics.warning("unused-key", root.key("controllers", name, key), message, help_)
        if controller.ca_file is not None and not controller.url.startswith("https:"):
            message = f"'ca_file' of controller '{name}' is for https://, and its URL is {controller.url}"
            span = root.key("controllers", name, "ca_file")
            diagnostics.warning("unused-key", span, message, Note("help", "use an https:// URL, or remove 'ca_file'"))
