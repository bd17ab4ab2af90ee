"""What a build asks for itself instead of what its template says, and what its policy allows of that.

A build asks by atoms of its label: `linux && cpu=4 && memory=8Gi && image=registry.example.com/acme/x:1`. They must
be joined by `&&` alone: under another operator an atom says no more than that it would do.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Final

from broker.domain.ids import PolicyName
from broker.domain.labels import Atom, Both, LabelExpression, LabelSyntaxError, Operator, atoms, parse
from broker.domain.reason import Reason
from broker.domain.resources import Resources
from broker.domain.template import Template

IMAGE: Final = "image"
CPU: Final = "cpu"
MEMORY: Final = "memory"
KEYS: Final = (IMAGE, CPU, MEMORY)
LONGEST_IMAGE: Final = 200
_LARGEST_CPU_MILLI: Final = 4096 * 1000
_LARGEST_MEMORY_MIB: Final = 1024**3
_CPU: Final = re.compile(r"([0-9]{1,7})(?:\.([0-9]{1,3}))?|([0-9]{1,7})m", re.ASCII)
_MEMORY: Final = re.compile(r"([0-9]{1,10})(Mi|Gi|Ti)", re.ASCII)
_MIB: Final = {"Mi": 1, "Gi": 1024, "Ti": 1024**2}
_IMAGE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]*", re.ASCII)


class OverrideError(ValueError):
    """What a build asks for itself cannot be understood; the message begins with the field's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """Empty and 0: not asked for. CPU in thousandths of a vCPU, memory in MiB."""

    image: str = ""
    cpu_milli: int = 0
    memory_mib: int = 0

    @property
    def keys(self) -> tuple[str, ...]:
        """Which keys of the template it replaces."""
        asked = {IMAGE: self.image, CPU: self.cpu_milli, MEMORY: self.memory_mib}
        return tuple(key for key in KEYS if asked[key])


NO_OVERRIDE = Override()


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrideRules:
    """What a policy allows: keys, patterns of whole image references, and ceilings (None: without)."""

    allow: frozenset[str] = frozenset()
    images: tuple[str, ...] = ()
    max_cpu_milli: int | None = None
    max_memory_mib: int | None = None


def is_override(label: str) -> bool:
    """Whether an atom is no label but asks for something: it begins with `image=`, `cpu=` or `memory=`."""
    return label.partition("=")[0] in KEYS and "=" in label


def by_key(asked: Iterable[str]) -> dict[str, str]:
    """Such atoms by key, as Jenkins tells them beside the label; of a key that is there twice one."""
    return {key: text for key, _, text in (atom.partition("=") for atom in sorted(asked))}


def read(texts: Mapping[str, str]) -> Override:
    """An override of the texts by key, as a build writes them; empty: not asked for. Raises `OverrideError`."""
    image, cpu, memory = (texts.get(key, "") for key in KEYS)
    return Override(
        image=_image(image) if image else "",
        cpu_milli=_cpu_milli(cpu) if cpu else 0,
        memory_mib=_memory_mib(memory) if memory else 0,
    )


def from_label(expression: LabelExpression) -> tuple[Override, tuple[str, ...]]:
    """What it asks for, and by which atoms. Raises `OverrideError`, which names the field."""
    certain = [name for name in _conjunction(expression) if is_override(name)]
    every = atoms(expression) | atoms(expression, wanted=False)
    if loose := sorted(name for name in every if is_override(name) and name not in certain):
        key, _, _ = loose[0].partition("=")
        raise OverrideError(
            f"overrides.{key}: {loose[0][:LONGEST_IMAGE]} must be joined to the other labels by && alone"
        )
    texts: dict[str, str] = {}
    for name in dict.fromkeys(certain):
        key, _, text = name.partition("=")
        if key in texts:
            raise OverrideError(f"overrides.{key}: asked for twice, {texts[key][:60]} and {text[:60]}")
        if not text:
            raise OverrideError(f"overrides.{key}: nothing stands behind {key}=")
        texts[key] = text
    return read(texts), tuple(dict.fromkeys(certain))


def of_label(text: str) -> tuple[Override, tuple[str, ...]]:
    """The same of a label as Jenkins tells it; one that is empty or no expression asks for nothing."""
    if not any(f"{key}=" in text for key in KEYS):
        return NO_OVERRIDE, ()
    try:
        expression = parse(text)
    except LabelSyntaxError:
        return NO_OVERRIDE, ()
    return from_label(expression)


def refusal(asked: Override, rules: OverrideRules, template: Template, policy: PolicyName) -> tuple[Reason, str] | None:
    """Why a policy does not allow it, with the field's name; None if it does.

    What is compared with the ceilings is what the agent would be: the template, all that it inherits in it, with the
    override on top.
    """
    made = applied(template, asked)
    for key in asked.keys:
        message = _not_allowed(key, rules, policy) or _over(key, made, rules, policy)
        if message:
            return Reason.OVERRIDE_FORBIDDEN, f"overrides.{key}: {message}"
    return None


def applied(template: Template, asked: Override) -> Template:
    """The template with what was asked for in the place of what it says."""
    if asked == NO_OVERRIDE:
        return template
    size = template.resources
    resources = Resources(cpu_milli=asked.cpu_milli or size.cpu_milli, memory_mib=asked.memory_mib or size.memory_mib)
    return replace(template, image=asked.image or template.image, resources=resources)


def shown_cpu(milli: int) -> str:
    """`4` or `0.5`, in vCPU."""
    return f"{milli / 1000:.3f}".rstrip("0").rstrip(".")


def shown_memory(mib: int) -> str:
    """`8Gi` or `512Mi`."""
    return f"{mib // 1024}Gi" if mib % 1024 == 0 else f"{mib}Mi"


def _conjunction(expression: LabelExpression) -> Iterator[str]:
    match expression:
        case Atom(name):
            yield name
        case Both(Operator.AND, left, right):
            yield from _conjunction(left)
            yield from _conjunction(right)


def _not_allowed(key: str, rules: OverrideRules, policy: PolicyName) -> str:
    if key in rules.allow:
        return ""
    allowed = ", ".join(one for one in KEYS if one in rules.allow) or "nothing"
    return f"policy {policy} does not let a build choose it (it allows: {allowed})"


def _over(key: str, made: Template, rules: OverrideRules, policy: PolicyName) -> str:
    cpu, memory = made.resources.cpu_milli, made.resources.memory_mib
    if key == CPU and rules.max_cpu_milli is not None and cpu > rules.max_cpu_milli:
        return f"{shown_cpu(cpu)} is over max_cpu {shown_cpu(rules.max_cpu_milli)} of policy {policy}"
    if key == MEMORY and rules.max_memory_mib is not None and memory > rules.max_memory_mib:
        return f"{shown_memory(memory)} is over max_memory {shown_memory(rules.max_memory_mib)} of policy {policy}"
    if key == IMAGE and not any(fnmatchcase(made.image or "", pattern) for pattern in rules.images):
        return f"{made.image} is none of the images of policy {policy}: {', '.join(rules.images) or 'it names none'}"
    return ""


def _image(text: str) -> str:
    if len(text) > LONGEST_IMAGE:
        raise OverrideError(f"overrides.image: it has {len(text)} characters, at most {LONGEST_IMAGE} may be")
    if ".." in text or "//" in text or not _IMAGE.fullmatch(text):
        raise OverrideError(f"overrides.image: {text!r} is no reference of an image, such as registry.example.com/x:1")
    return text


def _cpu_milli(text: str) -> int:
    found = _CPU.fullmatch(text)
    milli = 0
    if found:
        milli = int(found[3]) if found[3] else int(found[1]) * 1000 + int((found[2] or "").ljust(3, "0"))
    if not 0 < milli <= _LARGEST_CPU_MILLI:
        raise OverrideError(f"overrides.cpu: {text[:60]!r} is no number of vCPU: write 4 or 0.5")
    return milli


def _memory_mib(text: str) -> int:
    found = _MEMORY.fullmatch(text)
    mib = int(found[1]) * _MIB[found[2]] if found else 0
    if not 0 < mib <= _LARGEST_MEMORY_MIB:
        raise OverrideError(f"overrides.memory: {text[:60]!r} is no amount of memory: write 8Gi or 512Mi")
    return mib
