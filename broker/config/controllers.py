"""Paths at the gateway that two controllers would share, and labels that a controller may use and nobody carries."""

from collections.abc import Mapping
from fnmatch import fnmatchcase

from broker.config.diagnostics import Diagnostics, Note
from broker.config.model import BrokerFile, ControllerModel
from broker.config.nodes import Node
from broker.domain.definitions import default_path


def check(root: Node, file: BrokerFile, diagnostics: Diagnostics) -> None:
    """Both."""
    _paths(root, file.controllers, diagnostics)
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
