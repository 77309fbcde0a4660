"""Everything a report is made from: a run comes in; its rows, result, records and derived objectives go out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sgdsl import driver
from sgdsl.driver import Program
from sgdsl.middle.explain import Page
from sgdsl.train import run_folder
from sgdsl.train.composition import compose
from sgdsl.train.diagnosis import Diagnosis
from sgdsl.train.errors import DataError, RunError
from sgdsl.train.labels import split
from sgdsl.train.prepare import Prepared
from sgdsl.train.run import Run
from sgdsl.train.run_folder import Folder
from sgdsl.train.settings import settings_of


@dataclass(frozen=True, slots=True)
class Material:
    """`ready`: the run's rows, or None, and `reason` says why; `result`: result.json, or None where the run was not
    evaluated; `diagnosis` None where training did not end; `facts`: run.json; `records`: metrics.jsonl."""

    run: Run
    program: Program
    page: Page
    ready: Prepared | None
    reason: str
    result: Mapping[str, Any] | None
    diagnosis: Diagnosis | None
    facts: Mapping[str, Any]
    records: tuple[Mapping[str, Any], ...]


def gather(run: Run) -> Material:
    """Reads the run folder, and its data once more where the run was not trained here. Raises RunError: E0662."""
    assert run.program is not None, "a run that was fit or loaded has its program"
    files = Folder(run.folder)
    facts = run_folder.read_json(files.run)
    ready, reason = _rows(run, run.program, facts)
    result = run_folder.read_json(files.result) if files.result.exists() else None
    records = tuple(run_folder.read_records(files))
    page = driver.page(run.program.checked)
    return Material(run, run.program, page, ready, reason, result, _diagnosis(run), facts, records)


def _rows(run: Run, program: Program, facts: Mapping[str, Any]) -> tuple[Prepared | None, str]:
    """The run's rows, split and composed as they were for training."""
    if run.prepared is not None:
        return run.prepared, ""
    settings = settings_of(program, facts["seed"])
    try:
        dataset, table = run.rows()
        if dataset.fingerprint != facts["data"]:
            return None, "the data are not those that the run was trained on"
        rows = split(table, run.module.NODES, dataset.train, settings.wish)
    except DataError as error:
        return None, error.diagnostics[0].message
    made = compose(len(rows.labelled), len(rows.unlabelled), settings)
    return Prepared(dataset, run.config["origin"], table, rows, made), ""


def _diagnosis(run: Run) -> Diagnosis | None:
    if not Folder(run.folder).diagnosis.exists():
        return None
    try:
        return run.diagnosis
    except RunError:
        return None
