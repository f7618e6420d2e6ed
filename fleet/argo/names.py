"""What the API server admits as names, labels and annotations (RFC 1123 and qualified names).

Every function returns what is wrong, or an empty text.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_WORD = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_ANNOTATION_BYTES = 256 * 1024


def subdomain_problem(name: str) -> str:
    """Judge the name of an object."""
    if len(name) > 253:
        return "must be no more than 253 characters"
    if not _SUBDOMAIN.fullmatch(name):
        return (
            "a lowercase RFC 1123 subdomain must consist of lower case letters, digits, '-' or '.', "
            "and must start and end with a letter or digit"
        )
    return ""


def namespace_problem(name: str) -> str:
    """Judge the name of a namespace."""
    if len(name) > 63:
        return "must be no more than 63 characters"
    if not _LABEL.fullmatch(name):
        return "must consist of lower case letters, digits or '-', and start and end with a letter or digit"
    return ""


@functools.lru_cache(maxsize=4096)
def key_problem(key: str) -> str:
    """Judge the key of a label or annotation: an optional DNS prefix, ``/``, and a word of up to 63 characters."""
    prefix, slash, word = key.rpartition("/")
    if slash and (subdomain_problem(prefix) or "/" in prefix):
        return f"the prefix of key {key!r} must be a DNS subdomain"
    if not word or len(word) > 63 or not _WORD.fullmatch(word):
        return (
            f"key {key!r} must be up to 63 letters, digits, '-', '_' or '.', "
            "and must start and end with a letter or digit"
        )
    return ""


@functools.lru_cache(maxsize=4096)
def value_problem(value: str) -> str:
    """Judge the value of a label."""
    if value and (len(value) > 63 or not _WORD.fullmatch(value)):
        return (
            f"label value {value!r} must be up to 63 letters, digits, '-', '_' or '.', "
            "and must start and end with a letter or digit"
        )
    return ""


def metadata_problems(
    name: str,
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
    finalizers: Iterable[str],
) -> Iterator[tuple[str, str]]:
    """Yield (field, problem) for everything in an object's metadata that the API server refuses."""
    problem = subdomain_problem(name)
    if problem:
        yield "metadata.name", problem
    for key, value in labels.items():
        problem = key_problem(key) or value_problem(value)
        if problem:
            yield "metadata.labels", problem
    for key in annotations:
        problem = key_problem(key.lower())
        if problem:
            yield "metadata.annotations", problem
    if sum(len(key) + len(value) for key, value in annotations.items()) > _ANNOTATION_BYTES:
        yield "metadata.annotations", "annotations must be no more than 256 KiB together"
    for finalizer in finalizers:
        problem = key_problem(finalizer)
        if problem:
            yield "metadata.finalizers", problem
