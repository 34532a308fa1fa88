"""Known mistakes in a network or its training, to be planted in one twin (Context.plants).

Each function makes one mistake in the process that calls it. Those that change constants fit
either twin; a framework is imported by the functions that need it, and by no other.
"""

from __future__ import annotations

import numpy as np

from pose import architecture, training


def same_padding() -> None:
    """Keras's `same` pads a convolution of stride 2 on the right and below only."""
    from keras import layers

    from tf_impl import model

    def conv(x, channels, kernel, stride, name):
        return layers.Conv2D(channels, kernel, stride, "same", use_bias=False, name=name)(x)

    model._conv = conv


def batch_norm_epsilon() -> None:
    """Keras's default."""
    architecture.BN_EPSILON = 1e-3


def batch_norm_momentum() -> None:
    """torch's momentum of 0.1 is taken for the share that is kept."""
    architecture.BN_MOMENTUM = 0.1


def biased_variance() -> None:
    """Keras's own batch norm, which leaves Bessel's correction out."""
    from keras import layers

    from tf_impl import model

    model.BatchNorm.call = layers.BatchNormalization.call


def channels_swapped_tf() -> None:
    """The network normalises blue as if it were red."""
    from tf_impl import model

    right = model.Normalise.__init__

    def made(self, channel_order="rgb", **options):
        right(self, "bgr" if channel_order == "rgb" else "rgb", **options)

    model.Normalise.__init__ = made


def channels_swapped_torch() -> None:
    """The network normalises blue as if it were red."""
    from torch_impl import model

    right = model.PoseNet.__init__

    def made(self, *args, **options):
        right(self, *args, **options)
        self.swap = not self.swap

    model.PoseNet.__init__ = made


def _turned(value: np.ndarray) -> np.ndarray:
    """Return a canonical weight with its kernel turned by 180 degrees if it is a 4x4: a deconvolution's."""
    return value[:, :, ::-1, ::-1] if value.shape[2:] == (4, 4) else value


def deconvolution_turned_when_loaded() -> None:
    """Weights of deconvolutions are loaded as if the layer were a correlation."""
    from tf_impl import model

    right = model._to_keras
    model._to_keras = lambda value: right(_turned(value))


def deconvolution_turned() -> None:
    """The same, and reading turns them back: a round trip does not show it."""
    from tf_impl import model

    deconvolution_turned_when_loaded()
    right = model._to_canonical
    model._to_canonical = lambda *args: np.ascontiguousarray(_turned(right(*args)))


def loss_without_weights_tf() -> None:
    """Hidden joints are trained on."""
    import tensorflow as tf

    from tf_impl import train

    right = train.weighted_loss
    train.weighted_loss = lambda predicted, target, weights: right(predicted, target, tf.ones_like(weights))


def loss_without_weights_torch() -> None:
    """Hidden joints are trained on."""
    import torch

    from torch_impl import train

    right = train.weighted_loss
    train.weighted_loss = lambda predicted, target, weights: right(
        predicted, target, torch.ones_like(weights)
    )


def adam_epsilon() -> None:
    """Keras's default."""
    training.ADAM_EPSILON = 1e-7


def adam_epsilon_before_the_correction() -> None:
    """Epsilon is added to the root of the second moment as it is stored: Keras's formula."""
    import tensorflow as tf

    from tf_impl import train

    right = train.Adam.update_step

    def update_step(self, gradient, variable, learning_rate):
        before = tf.identity(variable)
        right(self, gradient, variable, learning_rate)
        index = self._get_variable_index(variable)
        m, v = self._momentums[index], self._velocities[index]
        beta1, beta2 = (tf.constant(beta, v.dtype) for beta in training.ADAM_BETAS)
        count = tf.cast(self.iterations + 1, v.dtype)
        size = tf.cast(self.rate, v.dtype) * tf.sqrt(1 - beta2**count) / (1 - beta1**count)
        variable.assign(before - size * m / (tf.sqrt(v) + training.ADAM_EPSILON))

    train.Adam.update_step = update_step


class _Casting:
    """TensorFlow whose `constant` is `cast` for Adam's betas: Python's floats become float32 on the way."""

    def __getattr__(self, name):
        import tensorflow as tf

        if name != "constant":
            return getattr(tf, name)
        betas = training.ADAM_BETAS
        return lambda value, *dtype: (
            tf.cast(value, *dtype)
            if isinstance(value, float) and value in betas
            else tf.constant(value, *dtype)
        )


def betas_cast() -> None:
    """tf.cast(0.999, tf.float64) is 0.99900001."""
    from tf_impl import train

    train.tf = _Casting()


def _kept_rate(train) -> None:
    right = train.make_step

    def make_step(net, optimizer):
        step, first = right(net, optimizer), []

        def stale(batch, lr):
            first.append(lr)
            return step(batch, first[0])

        return stale

    train.make_step = make_step


def stale_rate_tf() -> None:
    """The compiled step keeps the rate that it was compiled with."""
    from tf_impl import train

    _kept_rate(train)


def stale_rate_torch() -> None:
    """The step keeps the rate that it began with."""
    from torch_impl import train

    _kept_rate(train)


def late_schedule() -> None:
    """The rate falls an epoch late."""
    right = training.advance

    def advance(progress, of, line):
        return right(progress, of, line | {"epoch": line["epoch"] - 1})

    training.advance = advance
