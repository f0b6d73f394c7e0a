"""What is told of a training: its figures, its options, its network."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from framehook.inference.sources.addresses import redacted, short_name, slip_of_address
from framehook.training.callbacks.per_epoch import figures_of


def metric_name(name: str) -> str:
    """A metric's name as MLflow takes it: `metrics/mAP50-95(B)` becomes `metrics/mAP50-95B`, as the field has it there."""
    return re.sub(r"[^\w\-./: ]", "", name, flags=re.ASCII)


def figures(values: Mapping[str, Any], *, step: int) -> list[dict[str, Any]]:
    """Metrics as they are queued; what is no number is left out."""
    now = time.time_ns() // 1_000_000
    found = []
    for name, value in values.items():
        try:
            number = float(value)
        except (TypeError, ValueError):
            continue
        found.append({"key": metric_name(name), "value": number, "timestamp": now, "step": step})
    return found


def epoch_values(trainer: Any, *, validated: bool) -> dict[str, Any]:
    """Everything an epoch came to: losses, metrics where it was `validated`, learning rates, fitness, seconds."""
    values: dict[str, Any] = dict(figures_of(trainer, validated=validated))
    if validated and trainer.fitness is not None:
        values["fitness"] = trainer.fitness
    if trainer.epoch_time is not None:
        values["epoch_time"] = trainer.epoch_time
    return values


def model_facts(trainer: Any) -> dict[str, float]:
    """Size of the network in parameters and layers, and the milliseconds a picture took where they were measured."""
    net = trainer.model
    facts = {
        "model/parameters": float(sum(each.numel() for each in net.parameters())),
        "model/layers": float(sum(1 for each in net.modules() if not any(True for _ in each.children()))),
    }
    speed = getattr(trainer.validator, "speed", None) or {}
    return facts | {f"model/speed_{stage}_ms": float(each) for stage, each in speed.items() if each}


class Operations:
    """Counts what the convolutions of a network compute for a picture, by watching one batch go through: it costs nothing."""

    def __init__(self, net: Any) -> None:
        """Watch a network until `stop`."""
        self._counted: dict[int, float] = {}
        layers = [each for each in net.modules() if hasattr(each, "kernel_size") and getattr(each, "weight", None) is not None]
        self._hooks = [each.register_forward_hook(self._count) for each in layers]

    def stop(self) -> float:
        """Watch no longer; the billions of operations a picture, a multiplication and an addition being two."""
        for each in self._hooks:
            each.remove()
        return sum(self._counted.values()) / 1e9

    def _count(self, layer: Any, given: Any, out: Any) -> None:
        del given
        self._counted[id(layer)] = 2.0 * layer.weight[0].numel() * out[0].numel()


def texts(args: Any) -> dict[str, str]:
    """Options as texts, with no credentials in them; `args` is a dataclass."""
    return _texts(args, _without_credentials)


def private_texts(args: Any) -> dict[str, str]:
    """As `texts`, with no folders or hosts either: of paths and addresses the last part is left."""
    return _texts(args, _last_part)


def _texts(args: Any, shown: Callable[[str], str]) -> dict[str, str]:
    return {metric_name(each.name): _text(getattr(args, each.name), shown) for each in dataclasses.fields(args)}


def _text(value: Any, shown: Callable[[str], str]) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_text(key, shown)}: {_text(each, shown)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple | set | frozenset):
        return "[" + ", ".join(_text(each, shown) for each in value) + "]"
    if isinstance(value, str | Path):
        return shown(str(value))
    if value is None or isinstance(value, int | float):
        return str(value)
    return _text(value.file, shown) if hasattr(value, "file") else type(value).__name__


def _without_credentials(text: str) -> str:
    return redacted(text) if "://" in text else slip_of_address(text) or text


def _last_part(text: str) -> str:
    return short_name(text).rpartition("/")[2] if "://" in text else slip_of_address(text) or short_name(text)
