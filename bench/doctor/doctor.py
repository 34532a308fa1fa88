"""`twinpose doctor`: what this machine has, and what would spoil a measurement here, each with its cure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from bench import console
from bench.cells import runtimes
from bench.doctor import checks, neighbours
from bench.doctor.finding import NOTE, SPOILS, UNSUPPORTED, Finding
from bench.machine import fingerprint
from bench.process import launch

TITLES = {SPOILS: "spoils measurements", NOTE: "worth knowing", UNSUPPORTED: "not supported here"}
PROBE_S = 10.0


@dataclass(frozen=True)
class Diagnosis:
    """The machine, what was found, and what the probe of noise saw."""

    machine: dict[str, Any]
    findings: list[Finding]
    noise: neighbours.Noise | None
    """None where it was not wanted or failed; then a finding says so."""

    def to_dict(self) -> dict[str, Any]:
        """Return the diagnosis as JSON-able values."""
        probed = self.noise.to_dict() if self.noise else None
        return {"machine": self.machine, "findings": [asdict(f) for f in self.findings], "noise": probed}

    def text(self) -> str:
        """Return the diagnosis for people."""
        lines = console.aligned(((key, _short(value)) for key, value in self.machine.items()), left=(0, 1))
        lines += _noise_lines(self.noise) if self.noise else []
        for severity, title in TITLES.items():
            found = [finding for finding in self.findings if finding.severity == severity]
            lines += ["", title] if found else []
            lines += [line for f in found for line in (f"- {f.what}", f"    {f.cure}")]
        if not any(finding.severity == SPOILS for finding in self.findings):
            lines += ["", "nothing found that would spoil a measurement"]
        return "\n".join(lines)


def _noise_lines(probed: neighbours.Noise) -> list[str]:
    steal = "unknown" if probed.steal_share is None else f"{probed.steal_share:.2%}"
    title = f"noise in {probed.seconds:g} s of {neighbours.BLOCK_S * 1e3:g} ms blocks; steal time {steal}"
    head = ("core", "blocks", "best ms", "median ms", "IQR/median", "worst/best", "slow blocks")
    return ["", title, *console.aligned([head, *map(_core, probed.cores)], left=())]


def _core(seen: neighbours.CoreNoise) -> tuple[str, ...]:
    times = f"{seen.best_ms:.3f}", f"{seen.median_ms:.3f}", f"{seen.spread:.1%}"
    return str(seen.cpu), str(seen.blocks), *times, f"{seen.worst_slowdown:.2f}", f"{seen.slow_share:.1%}"


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_short(item)}" for key, item in value.items() if item is not None)
    if isinstance(value, list):
        return " ".join(map(_short, value)) or "none"
    return "-" if value is None else str(value)


def examine(probe_s: float = PROBE_S) -> Diagnosis:
    """Return what the machine has and every finding; the probe of noise takes `probe_s`, 0 leaves it out."""
    # First, before the probe itself is the load.
    findings = checks.everything()
    probed, failed = _probe(probe_s) if probe_s > 0 else (None, [])
    noisy = checks.neighbours(probed) if probed else failed
    return Diagnosis(fingerprint.fingerprint(runtimes.PACKAGES), [*noisy, *findings], probed)


def _probe(seconds: float) -> tuple[neighbours.Noise | None, list[Finding]]:
    console.say(f"timing short blocks on every core for {seconds:g} s (--probe-s 0 leaves it out)")
    try:
        return neighbours.probe(seconds), []
    except launch.ChildFailed as error:
        what = f"the probe of noise measured nothing: {error}"
        return None, [Finding(NOTE, what, "twinpose doctor --probe-s 2 tries again")]
