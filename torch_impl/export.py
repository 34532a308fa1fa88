"""What the PyTorch twin hands to a converter."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.contract import Source
from pose import architecture, channel_order, recipe, weights
from pose.errors import UserError
from pose.files import replacing
from torch_impl import model, train


def source(recipe_: recipe.Recipe, weights_path: Path, batch: int) -> Source:
    """Return the live module with trained weights, its example input and its own inference.

    `batch` images of the recipe's input size, uint8 NHWC. Raises UserError for wrong weights.
    """
    net = model.build(recipe_)
    model.load_weights(net, weights.load(weights_path, architecture.build(recipe_.model)))
    return Source("torch-direct", net, {"example_input": _example(recipe_, batch)}, train.make_infer(net))


def to_onnx(recipe_: recipe.Recipe, weights_path: Path, batch: int, out: Path) -> dict[str, Any]:
    """Write the twin as ONNX, input `images` and output `heatmaps`, by torch.onnx; return route and opset."""
    net = source(recipe_, weights_path, batch).model
    with replacing(out) as temporary:
        torch.onnx.export(
            net,
            (_example(recipe_, batch),),
            temporary,
            input_names=["images"],
            output_names=["heatmaps"],
            opset_version=18,
            dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
            external_data=False,
            dynamo=True,
            verbose=False,
        )
    return {"route": "torch-onnx", "opset": 18}


def read_native(source_: str, model_: recipe.Model, out: Path) -> None:
    """Write the tensors of a torch checkpoint, by canonical name, as safetensors to `out`.

    `source_` is a .pth file (a state dict, or one under "state_dict"), or `imagenet`: torchvision's
    IMAGENET1K_V1 weights of the backbone, from torch's hub cache or by download. Only tensors are
    unpickled (`weights_only`). Floats of any width become float32. The channel order is written too:
    torchvision's, that of `write_native`, or what goes with the tensors' names.
    Raises UserError for anything else.
    """
    backbone = model_.backbone
    try:
        if source_ == "imagenet":
            # Imported here: it costs a process as much as torch itself, and no cell needs it.
            import torchvision

            state = torchvision.models.get_model_weights(backbone).IMAGENET1K_V1.get_state_dict(
                check_hash=True
            )
        else:
            state = torch.load(source_, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, TypeError, pickle.UnpicklingError) as error:
        expected = "a torch checkpoint that holds tensors alone"
        if source_ == "imagenet":
            expected = (
                f"torchvision's {backbone} in torch's hub cache, or a network; or give a file's path instead"
            )
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"cannot read weights from {source_}: {reason}; expected {expected}") from error
    state = state.get("state_dict", state) if isinstance(state, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise UserError(
            f"{source_} holds no state dict; expected a torch checkpoint of parameter names and tensors"
        )
    tensors = {str(name): _array(str(name), value, source_) for name, value in state.items()}
    order = "rgb" if source_ == "imagenet" else getattr(state, "_metadata", {}).get(channel_order.KEY)
    usual = {channel_order.OF_LAYOUT: channel_order.of_layout(tensors)}
    known = {channel_order.KEY: order} if order else usual
    weights.save(out, weights.canonical_names(tensors), known)


def _array(name: str, value: torch.Tensor, source_: str) -> np.ndarray:
    """Return a tensor for NumPy, which has no bfloat16: floats as float32, integers as they are."""
    try:
        return (value.detach().float() if value.is_floating_point() else value).numpy()
    except (RuntimeError, TypeError) as error:
        raise UserError(
            f"{source_}: tensor '{name}' is no plain array ({value.layout}, {value.dtype}); "
            "expected dense tensors of numbers"
        ) from error


def write_native(recipe_: recipe.Recipe, weights_path: Path, out: Path) -> None:
    """Write canonical weights as a torch state dict (.pth), whose metadata name their channel order."""
    net = source(recipe_, weights_path, 1).model
    state = net.state_dict()
    order = channel_order.of(weights.read_with_metadata(weights_path)[1]) or recipe_.data.channel_order
    # load_state_dict looks up the modules' own names here and nothing else.
    state._metadata[channel_order.KEY] = order
    with replacing(out) as temporary:
        torch.save(state, temporary)


def _example(recipe_: recipe.Recipe, batch: int) -> torch.Tensor:
    width, height = recipe_.model.input_size
    return torch.zeros(batch, height, width, 3, dtype=torch.uint8)
