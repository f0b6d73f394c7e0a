"""The process in which the app trains a model, so that the window goes on whatever becomes of it.

It is told what to do by a line of JSON on standard input, and tells how it goes by lines of JSON on standard output: stages,
batches, epochs, files, and what came of it or the error. `"stop"` on standard input ends the training after the batch under
way; it ends at once when standard input does, and then, too, its checkpoints stay.
"""

from __future__ import annotations

import logging
import os
import sys

from framehook.app.child_talk import Talk, let_others_go_first
from framehook.app.session.stopping import STOP, Stopper
from framehook.inference.errors import FramehookError, one_line


def main() -> int:
    """Train as standard input says."""
    talk = Talk()
    let_others_go_first()
    # Threads that spin while they wait for each other make a training ten times slower beside a video that plays.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    stopper = Stopper()
    talk.listen(stopper.hear)
    log = logging.getLogger("framehook")
    log.addHandler(_Notes(talk))
    log.setLevel(logging.INFO)
    try:
        _train(talk, stopper)
    except KeyboardInterrupt:
        if not stopper.asked:
            return 1  # the app is gone, or wants it to end at once
        talk.say(done={"why": STOP})
    return 0


def _train(talk: Talk, stopper: Stopper) -> None:
    try:
        talk.say(stage="loading PyTorch")
        from framehook.app.session.training_talk import Teller, files_of
        from framehook.training.callbacks import SamplePredictions
        from framehook.training.trainer import Trainer

        talk.say(stage="loading the model")
        trainer = Trainer(talk.wanted["source"], **talk.wanted["options"])
        samples = SamplePredictions()
        trainer.callbacks.add(samples, on_error="log")
        trainer.callbacks.add(Teller(talk, stopper, samples))
        report = trainer.run()
    except FramehookError as error:
        talk.say(error=one_line(error))
    except ImportError as error:
        stopper.check()
        talk.say(error=f"trainings cannot be loaded: {one_line(error)}; install all they need: pip install 'framehook[train]'")
    except MemoryError:
        talk.say(error="there is not enough memory; close other programs, or choose a smaller batch or image size")
    except ExceptionGroup as several:
        talk.say(error="; ".join(one_line(error) for error in several.exceptions))
        raise
    except Exception as error:  # whatever it is, it is to be told in the window
        stopper.check()
        talk.say(error=f"unexpected {type(error).__name__}: {one_line(error)[:300]}")
        raise
    else:
        talk.say(**files_of(trainer), done=report.as_dict())


class _Notes(logging.Handler):
    """Hands on what the library logs."""

    def __init__(self, talk: Talk) -> None:
        super().__init__(logging.INFO)
        self._talk = talk

    def emit(self, record: logging.LogRecord) -> None:
        self._talk.say(note=one_line(record.getMessage()), level=record.levelname)


if __name__ == "__main__":
    sys.exit(main())
