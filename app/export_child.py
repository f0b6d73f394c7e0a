"""The process in which the app exports a model, so that the window goes on whatever becomes of it.

It is told what to do by a line of JSON on standard input, and tells how it goes by lines of JSON on standard output: where the
file is to be, the stages, and the report or the error. It ends when its standard input does, since then the app is gone.
"""

from __future__ import annotations

import sys

from framehook.app.child_talk import Talk, let_others_go_first


def main() -> int:
    """Export as standard input says."""
    talk = Talk()
    talk.listen()
    let_others_go_first()
    try:
        _export(talk)
    except KeyboardInterrupt:  # the app is gone
        return 1
    return 0


def _export(talk: Talk) -> None:
    try:
        from framehook.app.exporting import SAID
        from framehook.export.exporter import Exporter
        from framehook.export.progress import Stage
        from framehook.inference.errors import FramehookError, one_line
    except ImportError as error:
        talk.say(error=f"exports cannot be loaded: {error}; install what they need with: pip install 'framehook[export]'")
        return

    def tell(exporter: Exporter) -> None:
        talk.say(stage=SAID[Stage(exporter.stage)], fraction=exporter.fraction)

    try:
        talk.say(stage="loading the model")
        exporter = Exporter(talk.wanted["spec"], **talk.wanted["source"], **talk.wanted["options"])
        talk.say(target=str(exporter.target))
        exporter.callbacks.add("on_export_progress", tell)
        exporter.run()
    except FramehookError as error:
        talk.say(error=one_line(error))
    except MemoryError:
        talk.say(error="there is not enough memory; close other programs, or choose a smaller size or batch")
    except Exception as error:  # whatever it is, it is to be told in the window
        talk.say(error=f"unexpected {type(error).__name__}: {one_line(error)[:300]}")
        raise
    else:
        assert exporter.report is not None  # it ran
        talk.say(report=exporter.report.as_dict(), lines=exporter.report.lines())


if __name__ == "__main__":
    sys.exit(main())
