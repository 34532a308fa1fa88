"""One thread for all of TensorFlow's tests: the first operation of a process fixes the number for good."""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("tensorflow"):
    from tf_impl import train

    # Whoever asks for one thread later, a runner for example, then asks for what is there.
    train.setup("cpu", 1, deterministic=False)
