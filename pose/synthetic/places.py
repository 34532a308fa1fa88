"""Draws the kind of place an image is set in."""

from __future__ import annotations

import numpy as np

from pose.synthetic import indoor, outdoor
from pose.synthetic.backdrop import ScenePlace
from pose.synthetic.draws import pick

_MAKERS = (indoor.room, outdoor.street, outdoor.park, outdoor.beach, indoor.hall, outdoor.court, indoor.shop)
_WEIGHTS = (0.24, 0.2, 0.17, 0.1, 0.1, 0.09, 0.1)


def sample_place(rng: np.random.Generator, depth_m: float, half_width_m: float) -> ScenePlace:
    """Return a place whose walls stand behind `depth_m` and beyond `half_width_m`, metres from the camera."""
    return _MAKERS[pick(rng, _WEIGHTS)](rng, depth_m, half_width_m)
