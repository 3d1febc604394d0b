"""A small search over what matters most, with Optuna: a fixed number of short trials, the same for the same seed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import Any

from asr_worker.training.config import FitConfig


class _Kept:
    """Takes the place of the resumable state: a trial is short and starts anew when it was killed."""

    def load(self) -> None:
        return None

    def save(self, state: dict[str, Any]) -> None: ...

    def save_best(self, weights: dict[str, Any], step: int) -> None: ...


def search(run: Any) -> FitConfig:
    """Return the run's configuration with the learning rate, dropout, smoothing and schedule of the best trial.

    Every trial is judged by its best validation score (errors of the new domain and what the old one lost). What is
    computed per clip is computed once for all trials. The choice is kept in `search.json`, so that a killed run
    that had finished searching does not search again.
    """
    import json

    import optuna

    from asr_worker.training import methods
    from asr_worker.training.files import write_whole

    config: FitConfig = run.config
    kept = run.out / "search.json"
    if kept.is_file():
        found = json.loads(kept.read_text(encoding="utf-8"))
        if found.get("run") == run.run_fingerprint:
            return replace(config, **found["chosen"])
    usual = methods.learning_rate(config)
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def settings(trial: Any) -> dict[str, Any]:
        return {
            "learning_rate": trial.suggest_float("learning_rate", usual / 4, usual * 4, log=True),
            "dropout": trial.suggest_categorical("dropout", [0.0, 0.1]),
            "label_smoothing": trial.suggest_categorical("label_smoothing", [0.0, 0.1]),
            "schedule": trial.suggest_categorical("schedule", ["linear", "cosine"]),
        }

    def objective(trial: Any) -> float:
        tried = replace(config, **settings(trial), search_trials=0)
        prepared = run.prepare(tried)

        def tell(document: dict[str, Any]) -> None:
            part = (trial.number + document["fraction"]) / config.search_trials
            run.tell({**document, "stage": "train", "fraction": 0.5 * part})

        outcome = prepared.loop(_Kept(), run.out / "search", tell).run()
        return outcome.best.rank(outcome.start)[0] + 1e-3 * outcome.best.loss

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=config.seed), direction="minimize")
    # The method's own defaults are always among the trials, so searching never chooses something worse on validation.
    study.enqueue_trial(
        {
            "learning_rate": usual, "dropout": 0.0, "label_smoothing": 0.0,
            "schedule": config.schedule if config.schedule in ("linear", "cosine") else "linear",
        }
    )  # fmt: skip
    study.optimize(objective, n_trials=config.search_trials)
    shutil.rmtree(run.out / "search", ignore_errors=True)
    trials = [{"value": t.value, **t.params} for t in study.trials]
    document = json.dumps({"run": run.run_fingerprint, "chosen": study.best_params, "trials": trials}, indent=1)
    write_whole(kept, lambda part: part.write_text(document, encoding="utf-8"))
    return replace(config, **study.best_params)
