"""What a cell can be asked for: one module a scenario, all measured by the same loop in `bench.scenarios.round`."""

from __future__ import annotations
