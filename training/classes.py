"""Which class of a model is which of a dataset."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from framehook.inference.errors import DatasetError

log = logging.getLogger("framehook")

_SHOWN = 6


def match_classes(model: Mapping[int, str], data: Mapping[int, str]) -> dict[int, int]:
    """Pair the classes of a model with those of a dataset, by their names.

    What has no partner is told: classes of the data that the model lacks in a warning, as its objects count as not found;
    classes of the model that the data lacks in a note, as they are not looked for. Where no name is known to both, and there
    are as many, they are paired by their order, with a warning.

    Returns:
        Class number of the model to class number of the data.

    Raises:
        DatasetError: they have nothing in common.
    """
    pairs = _alike(model, data)
    if not pairs:
        if len(model) != len(data):
            raise DatasetError(
                f"the model has no class of the dataset: it finds {_listed(model.values())}, and labelled are "
                f"{_listed(data.values())}; name them alike in the dataset's YAML"
            )
        log.warning(
            "the model calls its classes %s, and the dataset %s: they are taken for the same, in this order",
            *(_listed(names[number] for number in sorted(names)) for names in (model, data)),
        )
        return dict(zip(sorted(model), sorted(data), strict=True))
    if lacking := [data[number] for number in sorted(data) if number not in pairs.values()]:
        log.warning("the model does not know %s: objects of the kind count as not found", _listed(lacking))
    if unused := [model[number] for number in sorted(model) if number not in pairs]:
        log.info("the dataset does not label %s: what the model finds of the kind is not counted", _listed(unused))
    return pairs


def _alike(model: Mapping[int, str], data: Mapping[int, str]) -> dict[int, int]:
    """Classes of the same name; of what is left those whose names are alike, where that is only one on each side."""
    exact = {name: number for number, name in data.items()}
    pairs = {number: exact[name] for number, name in model.items() if name in exact}
    left = {number: _plain(name) for number, name in model.items() if number not in pairs}
    right = {number: _plain(name) for number, name in data.items() if number not in pairs.values()}
    for number, name in left.items():
        partners = [other for other, known in right.items() if known == name]
        if name and len(partners) == 1 and list(left.values()).count(name) == 1:
            pairs[number] = partners[0]
    return dict(sorted(pairs.items()))


def _plain(name: str) -> str:
    """A name without what differs between writers of one."""
    return " ".join(name.replace("_", " ").replace("-", " ").casefold().split())


def _listed(names: Iterable[str]) -> str:
    known = list(names)
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return ", ".join(f"'{name}'" for name in known[:_SHOWN]) + more
