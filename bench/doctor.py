"""What this machine has, and what would spoil a measurement here. First cut: no probe of noise yet."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench import machine
from bench.contract import cxx_compiler


@dataclass(frozen=True)
class Finding:
    """One thing that would spoil a measurement or leave cells unsupported, and its cure."""

    what: str
    cure: str


@dataclass(frozen=True)
class Diagnosis:
    """The machine and what was found."""

    machine: dict[str, Any]
    findings: list[Finding]

    def to_dict(self) -> dict[str, Any]:
        """Return the diagnosis as JSON-able values."""
        return {"machine": self.machine, "findings": [asdict(f) for f in self.findings]}

    def text(self) -> str:
        """Return the diagnosis for people."""
        lines = [f"{key}: {_short(value)}" for key, value in self.machine.items()]
        lines += [f"- {f.what}\n    {f.cure}" for f in self.findings] or [
            "nothing found that would spoil a measurement"
        ]
        return "\n".join(lines)


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items() if v is not None)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def examine() -> Diagnosis:
    """Return what the machine has and every finding."""
    fingerprint = machine.fingerprint()
    checks = (_packages(), _clashes(), _load(), _governor(), _turbo(), _compiler(), _gpu(fingerprint))
    return Diagnosis(fingerprint, [finding for found in checks for finding in found])


def _packages() -> list[Finding]:
    extras = {"tensorflow": "tf", "torch": "torch", "openvino": "openvino", "onnxruntime": "onnx"}
    return [
        Finding(f"{package} is not installed: its cells are unsupported", f"pip install 'twinpose[{extra}]'")
        for package, extra in extras.items()
        if machine.packages().get(package) is None
    ]


def _clashes() -> list[Finding]:
    first, second = "opencv-python", "opencv-python-headless"
    if not (_installed(first) and _installed(second)):
        return []
    return [
        Finding(f"{first} and {second} are both installed and overwrite each other", f"pip uninstall {first}")
    ]


def _installed(package: str) -> bool:
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


def _load() -> list[Finding]:
    busy = os.getloadavg()[0]
    if busy < 0.3 * (os.cpu_count() or 1):
        return []
    return [
        Finding(f"the load average is {busy:.1f}: other work shares these cores", "end it, or measure later")
    ]


def _governor() -> list[Finding]:
    path = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    governor = path.read_text().strip() if path.exists() else "performance"
    if governor == "performance":
        return []
    return [Finding(f"the frequency governor is '{governor}'", "sudo cpupower frequency-set -g performance")]


def _turbo() -> list[Finding]:
    path = Path("/sys/devices/system/cpu/intel_pstate/no_turbo")
    if not path.exists() or path.read_text().strip() == "1":
        return []
    return [Finding("turbo is on: the clock follows heat and neighbours", f"echo 1 | sudo tee {path}")]


def _compiler() -> list[Finding]:
    if cxx_compiler():
        return []
    return [
        Finding("no C++ compiler: torch.compile cells are unsupported", "install g++, or set CXX to another")
    ]


def _gpu(fingerprint: dict[str, Any]) -> list[Finding]:
    if fingerprint.get("gpus"):
        return []
    return [
        Finding("no NVIDIA GPU: cells with device cuda are unsupported", "none is needed; run them elsewhere")
    ]
