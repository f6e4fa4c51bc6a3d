"""How an owner mark is written on objects that offer a description, a mapping, a list of tags, or only a name. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b

from providers.base import Mark, PermanentError
from specs.model import Address, parse_address

_WORD = "tosca-reconciler"
_LONGEST = 255
_PIECE = 60
"""How long a tag may be everywhere."""
_CODES = {"/": " ", ":": "  c", "@": "  a", ".": "  d"}
"""Sign of an address → how it is written in a name; no two signs stand side by side."""


def sentence(mark: Mark, realm: str = "") -> str:
    """Write a mark as a description; `PermanentError` if it is too long for one.

    `realm` names the project where objects belong to the whole cloud or to a user.
    """
    text = f"{_word(realm)} {mark.repository} {mark.digest} {mark.address}"
    if len(text) > _LONGEST:
        raise PermanentError(
            f"{mark.address} is too long to be marked in OpenStack, by {len(text) - _LONGEST} characters;"
            " shorten the names of the site, the service or the node"
        )
    return text


def read_sentence(text: object, realm: str = "") -> Mark | None:
    """Read a mark of a realm out of a description."""
    match text.split(" ") if isinstance(text, str) else ():
        case [word, repository, digest, address] if word == _word(realm):
            return _mark(repository, digest, address)
    return None


def mapping(mark: Mark, prefix: str) -> dict[str, str]:
    """Write a mark as keys and values."""
    return {
        f"{prefix}repository": mark.repository,
        f"{prefix}address": mark.address,
        f"{prefix}digest": mark.digest,
    }


def read_mapping(found: Mapping[str, object], prefix: str) -> Mark | None:
    """Read a mark out of keys and values."""
    parts = [found.get(f"{prefix}{name}") for name in ("repository", "digest", "address")]
    match parts:
        case [str() as repository, str() as digest, str() as address]:
            return _mark(repository, digest, address)
    return None


def name(mark: Mark, realm: str = "") -> str:
    """Write a mark as a name of letters, digits, spaces, `-` and `_`, which is all a keypair takes."""
    address: str = mark.address
    for sign, code in _CODES.items():
        address = address.replace(sign, code)
    text = f"{_word(realm)} {mark.repository} {mark.digest} {address}"
    if len(text) > _LONGEST:
        raise PermanentError(f"{mark.address} is too long for a name in OpenStack; shorten the names it is made of")
    return text


def read_name(text: object, realm: str = "") -> Mark | None:
    """Read a mark of a realm out of a name."""
    match text.split(" ", 3) if isinstance(text, str) else ():
        case [word, repository, digest, address] if word == _word(realm):
            for sign, code in reversed(_CODES.items()):
                address = address.replace(code, sign)
            return _mark(repository, digest, address)
    return None


def owner_tag(repository: str) -> str:
    """Give the tag that everything of a repository carries."""
    return f"{_WORD}.{repository}"[:_PIECE]


def object_tag(mark: Mark) -> str:
    """Give the tag of one object in one version: finds it without reading the others."""
    return f"{_WORD}-" + blake2b(sentence(mark).encode(), digest_size=16).hexdigest()


def is_ours(tag: str) -> bool:
    """Tell whether a tag is one of those above."""
    return tag.startswith(_WORD)


def pieces(mark: Mark) -> list[str]:
    """Write a mark as short tags."""
    text = sentence(mark)
    cut = [text[start : start + _PIECE - 3] for start in range(0, len(text), _PIECE - 3)]
    return [owner_tag(mark.repository), *(f"{number:02}-{piece}" for number, piece in enumerate(cut))]


def read_pieces(tags: Iterable[str]) -> Mark | None:
    """Read a mark out of short tags."""
    return read_sentence("".join(tag[3:] for tag in sorted(tags) if tag[:2].isdigit() and tag[2:3] == "-"))


def _word(realm: str) -> str:
    return f"{_WORD}-{realm[:12]}" if realm else _WORD


def _mark(repository: str, digest: str, address: str) -> Mark | None:
    try:
        parse_address(address)
    except ValueError:
        return None
    return Mark(repository, Address(address), digest)
