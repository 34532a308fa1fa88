"""How long and how often a cell is measured: a profile, and what a matrix says otherwise."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pose.section import Positive, Section

Seconds = Annotated[float, Field(ge=0)]
Profile = Literal["quick", "standard", "official"]

MOST_ROUNDS = 30
"""What the longest profile asks for, and what more than is asked for in no case."""

PROFILES: dict[str, dict[str, Any]] = {
    "quick": {
        "rounds": 4,
        "rounds_max": 10,
        "half_width": 0.05,
        "until_decided": True,
        "warmup_s": 0.5,
        "warmup_gpu_s": 2.0,
        "warmup_queries": 3,
        "measured_s": 1.0,
    },
    "standard": {"rounds": 7, "warmup_s": 3.0, "warmup_gpu_s": 5.0, "warmup_queries": 10, "measured_s": 5.0},
    "official": {
        "rounds": 10,
        "rounds_max": MOST_ROUNDS,
        "tries": 5,
        "half_width": 0.01,
        "warmup_s": 3.0,
        "warmup_gpu_s": 10.0,
        "warmup_queries": 50,
        "measured_s": 10.0,
        "percentiles": (50, 90, 99),
    },
}
"""What a profile decides; a matrix may say otherwise value by value."""

SIGHT = {"quick": 0.10, "standard": 0.05, "official": 0.02}
"""By profile, how far from 1 the interval of a bench's A/A pair may reach before the run is flagged: what it
must be able to see."""

PROTOCOL_OF_PROFILES = tuple(dict.fromkeys(name for decided in PROFILES.values() for name in decided))
"""What tells one profile from another."""


class Protocol(Section):
    """How every cell is measured: one rule for all arms, by time and not adapted to the run."""

    profile: Profile = "standard"
    rounds: Positive
    """Fresh processes for each timed cell, interleaved with those of its lane; accuracy needs one."""
    rounds_max: Positive
    """More rounds follow, up to so many, while a pair of the lane is not settled.

    A matrix that names `rounds` alone asks for that number and no more; beside `half_width` it is never
    below `rounds`.
    """
    half_width: Annotated[float, Field(gt=0)] | None = None
    """Of the 95 % interval of a ratio, relative: one as narrow settles its pair. Null for a fixed number."""
    until_decided: bool = False
    """Whether a pair that is decided is settled too, however wide its interval."""
    tries: Positive = 3
    """Windows of a round, at most: one that others disturbed is measured again. 1 for none."""
    warmup_s: Seconds
    warmup_gpu_s: Seconds
    warmup_queries: Positive
    """Warm-up lasts for at least both."""
    measured_s: Seconds
    measured_queries: Positive = 10
    """The measured window holds at least both."""
    percentiles: tuple[Annotated[float, Field(gt=0, lt=100)], ...] = (50, 90)
    """Of latencies and steps. 50 is the rounds' medians' geometric mean; another pools the queries of all
    rounds, and is null with the reason where they are too few."""
    images: Positive = 32
    """Distinct validation inputs that latency and throughput cycle through."""
    timeout_s: Annotated[float, Field(gt=0)] = 600.0
    """For a round, from the start of its process."""

    @model_validator(mode="before")
    @classmethod
    def _by_profile(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        decided = PROFILES.get(str(given.get("profile", "standard")), PROFILES["standard"])
        merged = {**decided, **given}
        if "rounds" in given and "rounds_max" not in given and "half_width" not in given:
            merged |= {"rounds_max": given["rounds"], "half_width": None, "until_decided": False}
        if "rounds_max" not in given:
            merged["rounds_max"] = max(merged["rounds"], merged.get("rounds_max", 0))
        return merged

    @model_validator(mode="after")
    def _rounds_in_order(self) -> Protocol:
        if self.rounds_max < self.rounds:
            raise ValueError(f"rounds_max {self.rounds_max} is below rounds {self.rounds}")
        if self.half_width and self.rounds < 2:
            raise ValueError("half_width needs at least 2 rounds: one alone has no interval")
        return self

    @property
    def is_sequential(self) -> bool:
        """Return whether more rounds may follow, by what the first have shown."""
        return self.half_width is not None and self.rounds_max > self.rounds

    @property
    def altered(self) -> dict[str, Any]:
        """Return by name what the profile decides and this protocol has otherwise: the profile's values.

        A last round that is the first look says already that no rule ends the rounds.
        """
        decided = Protocol.model_validate({"profile": self.profile})
        names = [name for name in PROTOCOL_OF_PROFILES if getattr(decided, name) != getattr(self, name)]
        if "rounds_max" in names and self.rounds_max == self.rounds:
            names = [name for name in names if name not in {"half_width", "until_decided"}]
        return {name: getattr(decided, name) for name in names}

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON, and what is altered of the profile."""
        return {**self.model_dump(mode="json"), "altered": self.altered}
