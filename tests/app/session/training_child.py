"""Speaks as the process of a training does, without a training.

What it says, and when, is a JSON list in the file that its options name as `data`. Beside what is said as it is, there are
`{"wait": "stop"}` and `{"wait": "for ever"}`; `{"write": name}` and `{"copy": path, "write": name}` make files in its folder;
`{"print": text}` prints as libraries do.
"""

import json
import os
import shutil
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

from framehook.app.child_talk import Talk
from framehook.app.session.stopping import Stopper

COMMAND = [sys.executable, __file__]
"""What runs it."""
IN_FOLDER = ("best", "last", "picture")


class Trainer(SimpleNamespace):
    """Anything that can be told to stop."""

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if name == "stop" and value:
            self.stopped.set()


def main():
    talk, stopper = Talk(), Stopper()
    trainer = Trainer(stopped=threading.Event())
    stopper.begins(trainer)
    talk.listen(stopper.hear)
    options = talk.wanted["options"]
    folder = Path(options.get("save_dir", "."))
    folder.mkdir(parents=True, exist_ok=True)
    talk.say(stage="reading the data", folder=folder)
    for said in json.loads(Path(options["data"]).read_text()):
        if "wait" in said:
            (trainer.stopped if said["wait"] == "stop" else threading.Event()).wait()
        elif "copy" in said:
            shutil.copy(said["copy"], folder / said["write"])
        elif "write" in said:
            (folder / said["write"]).write_bytes(b"weights")
        elif "print" in said:
            os.write(1, said["print"].encode())
            os.write(2, said["print"].encode())
        elif "end" in said:
            return said["end"]
        else:
            talk.say(**{name: folder / what if name in IN_FOLDER else what for name, what in said.items()})
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(1)
