"""What a cell can be asked for: a module a scenario, all measured by one loop in `bench.scenarios.round`."""

from __future__ import annotations
