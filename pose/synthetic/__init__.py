"""Renders the built-in dataset: people in places, written in the official COCO layout."""

from __future__ import annotations

from pose.synthetic.dataset import make
from pose.synthetic.scene import render
from pose.synthetic.sheet import contact_sheet

__all__ = ["contact_sheet", "make", "render"]
