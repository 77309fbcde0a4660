"""Several runs side by side: run folders come in; their results and the settings in which they differ go out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from sgdsl.train.errors import run_error
from sgdsl.train.measures import of_belief
from sgdsl.train.run_folder import find_folder, read_json

NONE = "–"


@dataclass(frozen=True, slots=True)
class Comparison:
    """`runs`: folders; `measures[name]`: of each run, None where it has no such result; `settings[name]`: likewise, of the
    settings that are not the same in all."""

    runs: tuple[str, ...]
    measures: Mapping[str, Sequence[float | None]]
    settings: Mapping[str, Sequence[Any]]

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "runs": list(self.runs),
            "measures": {n: list(v) for n, v in self.measures.items()},
            "settings": {n: list(v) for n, v in self.settings.items()},
        }


def compare(folders: Sequence[str | Path]) -> Comparison:
    """Reads what runs wrote: `result.json`, which a run of the shell has, `config.json` and `run.json`. Raises RunError: E0662,
    E0663, E0665."""
    if not folders:
        raise run_error("E0665", "no runs to compare", hint="name their folders: runs/m2-1 runs/m2-2")
    results, settings = [], []
    for folder in folders:
        files = find_folder(Path(folder))
        config, facts = read_json(files.config), read_json(files.run)
        result = read_json(files.result) if files.result.is_file() else {}
        try:
            results.append(_measures(result))
            settings.append(_settings(config, facts))
        except (KeyError, TypeError, AttributeError) as error:
            raise run_error("E0662", f"`{files.path}` is not whole: {error}") from None
    lines = {name: [found.get(name) for found in settings] for name in _names(settings)}
    different = {name: values for name, values in lines.items() if any(value != values[0] for value in values)}
    measures = {name: [found.get(name) for found in results] for name in _names(results)}
    return Comparison(tuple(map(str, folders)), measures, different)


def _names(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """All names, in the order of their first run."""
    return list(dict.fromkeys(name for each in found for name in each))


def _measures(result: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a result.json, errors as shares."""
    found: dict[str, float | None] = {}
    for node, score in result.get("scores", {}).items():
        found[f"{score['kind']} of {node}"] = score["value"]
        alone = result.get("baseline", {}).get(node)
        found[f"{score['kind']} of {node}, labels alone"] = alone["value"] if alone else None
    for node, both in result.get("beliefs", {}).items():
        kind, found[f"{kind} of {node} by p"] = of_belief(both["p"])
        found[f"calibration error of {node}"] = both["q"].get("ece")
    found["log p of a row, nats"] = result.get("bound")
    for measure in ("mig", "sap"):
        for factor, value in ((result.get("disentanglement") or {}).get(measure) or {}).items():
            found[f"{measure.upper()} of {factor}"] = value
    for node, shares in result.get("generation", {}).items():
        found[f"samples that show their {node}"] = shares["conditional"]
        found[f"edits that show their {node}"] = shares["swap"]
    found["seconds"] = result.get("seconds")
    return {name: value for name, value in found.items() if value is not None}


def _settings(config: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Every setting by `section.name`, and the model, the data, the labels, the seed and how the run ended."""
    found = {"model": config["name"], "data": config["source"], "ended": facts.get("status"), "seed": facts.get("seed")}
    found |= {f"labels of {node}": count for node, count in config["rows"]["labels"].items()}
    for section, values in config["settings"].items():
        if isinstance(values, Mapping):
            found |= {f"{section}.{name}": value for name, value in values.items()}
        else:
            found[section] = values
    return found


def comparison_table(found: Comparison) -> Table:
    """A column a run: measures, then settings that differ."""
    made = Table(box=box.SIMPLE_HEAD)
    made.add_column("measure or setting")
    for run in found.runs:
        made.add_column(run, justify="right", overflow="fold")
    for name, values in found.measures.items():
        made.add_row(name, *(_number(value) for value in values))
    if not found.measures:
        made.add_row("no result.json: `sgdsl eval RUN` measures", *[NONE] * len(found.runs))
    made.add_section()
    for name, values in found.settings.items():
        made.add_row(name, *(NONE if value is None else str(value) for value in values))
    return made


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:.4g}"
