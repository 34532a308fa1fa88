"""What a network becomes and what it is: its conversions, its parameters and its multiply-adds."""

from __future__ import annotations

from bench import console, info, stages
from bench.contract import TWINS
from bench.rundir import RunFolder
from pose.recipe import Recipe


def convert(made: RunFolder, twin: str | None, int8: bool, as_json: bool) -> int:
    """Convert one twin or both; 1 when a route failed."""
    records = {}
    for name in [twin] if twin else TWINS:
        with made.stage(f"convert {name}", f"twinpose convert {made.path} --twin {name}"):
            records[name] = stages.convert(made, name, int8=int8)
    lines = [
        f"{name} {route['route']} -> {route['file']}  {stages.route_text(route)}"
        for name, record in records.items()
        for route in record["routes"]
    ]
    console.facts(records, as_json, "\n".join(lines))
    return int(any(route["status"] == "failed" for record in records.values() for route in record["routes"]))


def model_info(recipe: Recipe, as_json: bool) -> int:
    """Print what the network is; 1 when a twin's own count differs from the description."""
    found = info.model_info(recipe)
    width, height = found["input_size"]
    lines = [
        f"{recipe.model.backbone} at {width}x{height} -> heatmaps {'x'.join(map(str, found['heatmap_size']))}"
    ]
    lines += [
        f"{s['name']:14s} {s['parameters']:>12,} parameters {s['macs']:>15,} MACs" for s in found["stages"]
    ]
    lines.append(f"{'sum':14s} {found['trainable_parameters']:>12,} parameters {found['macs']:>15,} MACs")
    agrees = True
    for twin, own in found["twins"].items():
        if "unsupported" in own:
            lines.append(f"{twin:14s} {own['unsupported']}")
            continue
        lines.append(
            f"{twin + ' counts':14s} {own['trainable_parameters']:>12,} parameters {own['macs']:>15,} MACs"
        )
        agrees &= (own["trainable_parameters"], own["macs"]) == (found["trainable_parameters"], found["macs"])
    console.facts(found, as_json, "\n".join(lines))
    return 0 if agrees else 1
