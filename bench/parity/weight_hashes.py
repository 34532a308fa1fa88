"""What a certificate says of the weights that it is of, and whether they were altered since."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pose import weights
from pose.files import sha256_of_file


def describe_weights(path: Path) -> dict[str, Any]:
    """Return the hash of a weights file and of each of its tensors, by which a changed one is named."""
    tensors = {name: weights.fingerprint({name: value}) for name, value in weights.read(path).items()}
    return {"sha256": sha256_of_file(path), "tensors": tensors}


def altered(path: Path, described: Mapping[str, Any]) -> str | None:
    """Return the name of a tensor of a weights file that is not as described, None when all are."""
    if sha256_of_file(path) == described["sha256"]:
        return None
    now = describe_weights(path)["tensors"]
    then = described["tensors"]
    return next((name for name in [*then, *now] if now.get(name) != then.get(name)), None)
