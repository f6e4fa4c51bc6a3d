"""Signatures of commits, checked by `ssh-keygen` against a file of allowed signers."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from specs.errors import RepositoryError
from specs.git.faults import printable

_SECONDS = 10


def verified(what: str, signature: bytes | None, payload: bytes | None, allowed_signers: Path) -> str:
    """Give the name of the signer; `RepositoryError`, which begins with `what`, if the signature is not good.

    The file has the format of git's `gpg.ssh.allowedSignersFile`: `name key-type key` in each line. A key counts
    when it is good now: one that has run out signs nothing any more, whatever date its commits carry.
    """
    if not allowed_signers.is_file():
        raise RepositoryError(f"the file of allowed signers {allowed_signers} does not exist; make it")
    if not signature or payload is None:
        raise RepositoryError(f"{what} is not signed; sign it with a key in {allowed_signers}")
    if not signature.lstrip().startswith(b"-----BEGIN SSH SIGNATURE-----"):
        raise RepositoryError(f"{what} is not signed with an ssh key; sign it with a key in {allowed_signers}")
    program = shutil.which("ssh-keygen")
    if program is None:
        raise RepositoryError("signatures cannot be checked without ssh-keygen; install openssh-client")
    with tempfile.NamedTemporaryFile(prefix="signature-") as file:
        file.write(signature)
        file.flush()
        common = ["-f", str(allowed_signers), "-s", file.name]
        names = _ask([program, "-Y", "find-principals", *common], b"")
        for name in names.stdout.decode("utf-8", "replace").replace(",", "\n").split():
            answer = _ask([program, "-Y", "verify", "-n", "git", "-I", name, *common], payload)
            if answer.returncode == 0:
                return printable(name)
    raise RepositoryError(f"{what} has no good signature of a key in {allowed_signers}; sign it anew, or allow its key")


def signed(payload: bytes, key: str) -> str:
    """Sign a commit's text with an ssh key: a file, or a public key whose private half an agent holds."""
    program = shutil.which("ssh-keygen")
    if program is None:
        raise RepositoryError("commits cannot be signed without ssh-keygen; install openssh-client")
    if not key:
        raise RepositoryError(
            "commits are to be signed, but user.signingkey names no key; set it in git's configuration"
        )
    with tempfile.TemporaryDirectory(prefix="signature-") as folder:
        text = Path(folder) / "commit"
        text.write_bytes(payload)
        file = Path(key).expanduser()
        if key.startswith(("ssh-", "key::", "ecdsa-", "sk-")):
            file = Path(folder) / "key.pub"
            file.write_text(key.removeprefix("key::") + "\n", "utf-8")
        answer = _ask([program, "-Y", "sign", "-n", "git", "-f", str(file), str(text)], b"")
        made = text.with_suffix(".sig")
        if answer.returncode or not made.is_file():
            said = answer.stderr.decode("utf-8", "replace").strip().splitlines()
            why = printable(said[-1]) if said else "ssh-keygen does not say why"
            raise RepositoryError(f"the commit cannot be signed with {file.name}: {why}")
        return made.read_text("ascii")


def _ask(command: list[str], text: bytes) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(command, input=text, capture_output=True, timeout=_SECONDS, check=False)  # noqa: S603 -- ssh-keygen, with options of ours
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RepositoryError(f"ssh-keygen did not answer: {type(error).__name__}; try again") from error
