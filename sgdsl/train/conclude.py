"""What a finished run has to show: a run comes in; its result, the labels-only baseline, pictures and result.json go out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sgdsl.train import run_folder
from sgdsl.train.baseline import labels_alone
from sgdsl.train.checkpoint import write_json
from sgdsl.train.diagnosis import Diagnosis
from sgdsl.train.errors import run_error
from sgdsl.train.evaluate import Evaluation, rows_tensor, supervised
from sgdsl.train.measure import Held, Score, scores
from sgdsl.train.pictures import draw_pictures
from sgdsl.train.prepare import Prepared
from sgdsl.train.progress import say
from sgdsl.train.result import Result
from sgdsl.train.run import Run
from sgdsl.train.settings import settings_of
from sgdsl.train.suspicions import behind


def conclude(run: Run, quiet: bool = False) -> Result:
    """Evaluates a run that was trained here on its held-out rows, trains the baseline, draws. Raises RunError: E0661."""
    ready, program = run.prepared, run.program
    assert ready is not None, "conclude is for the run that fit returned"
    assert program is not None, "conclude is for the run that fit returned"
    files = run_folder.Folder(run.folder)
    facts = run_folder.read_json(files.run)
    settings = settings_of(program, facts["seed"])
    say("evaluating on held-out rows", quiet)
    evaluation = run.evaluate()
    checked = _checked(run, ready)
    if evaluation.scores and len(ready.split.labelled):
        say("training the same encoder on labels alone", quiet)
    baseline = labels_alone(program.text, run.name, ready, settings)
    diagnosis = _compared(run.diagnosis, evaluation, baseline, ready)
    say("drawing", quiet)
    try:
        pictures = draw_pictures(run, ready)
        labels = {name: int(mask.sum()) for name, mask in ready.split.granted.items()}
        seconds = float(facts.get("seconds", 0.0))
        result = Result(evaluation, baseline, checked, labels, seconds, run.folder, pictures, diagnosis)
        write_json(files.result, result.as_dict())
        write_json(files.diagnosis, diagnosis.as_dict())
    except OSError as error:
        raise run_error("E0661", f"cannot write to `{run.folder}`: {error.strerror or error}") from None
    return result


def _compared(found: Diagnosis, evaluation: Evaluation, baseline: Mapping[str, Score], ready: Prepared) -> Diagnosis:
    """With warnings of labels that are learned better alone, where no stronger one names them."""
    told = {w.node for w in found.warnings if w.code == "W0651"}
    more = behind(evaluation.scores, baseline, ready.composition.alpha)
    return replace(found, warnings=(*found.warnings, *(w for w in more if w.node not in told)))


def _checked(run: Run, ready: Prepared) -> dict[str, Score]:
    """The scores on the rows of `validation_labels`."""
    rows = rows_tensor(ready.split.checked, run.device)
    return scores(run.module, ready.table, Held(rows, supervised(run.module, ready.table), 32)) if len(rows) else {}
