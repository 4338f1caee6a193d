"""The names, labels and annotations that Kubernetes would take; the local cluster refuses the same ones."""

import re
from collections.abc import Mapping

from livecalc.domain.errors import InvalidInput

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?", re.ASCII)
_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII)
_NAME_LENGTH = 63
_PREFIX_LENGTH = 253
_ANNOTATIONS_SIZE = 256 << 10
"""Bytes of all keys and values of one object's annotations (k8s.io/apimachinery, `TotalAnnotationSizeLimitB`)."""


def check_name(kind: str, name: str) -> None:
    """Raise InvalidInput unless the name is a DNS label of at most 63 characters."""
    if len(name) > _NAME_LENGTH or _DNS_LABEL.fullmatch(name) is None:
        raise InvalidInput(
            f"{kind} name {name[:80]!r} is not valid: lower case letters, digits and `-`, at most {_NAME_LENGTH}",
        )


def check_labels(labels: Mapping[str, str]) -> None:
    """Raise InvalidInput unless keys are qualified names and values are names or empty."""
    for key, value in labels.items():
        check_qualified("label", key)
        if len(value) > _NAME_LENGTH or (value and _NAME.fullmatch(value) is None):
            raise InvalidInput(f"the value {value[:80]!r} of label {key} is not valid")


def check_annotations(annotations: Mapping[str, str]) -> None:
    """Raise InvalidInput unless keys are qualified names and all together are at most 256 KiB."""
    for key in annotations:
        check_qualified("annotation", key)
    size = sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
    if size > _ANNOTATIONS_SIZE:
        raise InvalidInput(f"the annotations have {size} bytes; an object may have {_ANNOTATIONS_SIZE}")


def check_finalizer(name: str) -> None:
    """Raise InvalidInput unless the finalizer's name is qualified by a domain."""
    if "/" not in name:
        raise InvalidInput(f"finalizer {name[:80]!r} is not valid: it looks like example.com/name")
    check_qualified("finalizer", name)


def check_qualified(kind: str, key: str) -> None:
    """Raise InvalidInput unless a key looks like `name` or `example.com/name`."""
    prefix, slash, name = key.rpartition("/")
    good = len(name) <= _NAME_LENGTH and _NAME.fullmatch(name) is not None
    if slash:
        good = good and len(prefix) <= _PREFIX_LENGTH and _PREFIX.fullmatch(prefix) is not None
    if not good:
        raise InvalidInput(f"{kind} {key[:80]!r} is not valid: it looks like name or example.com/name")
