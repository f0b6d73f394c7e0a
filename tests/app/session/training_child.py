"""Speaks as the process of a training does, without one: what it is to say, and when, is in the options' `data`, a JSON file."""

import json
import sys
import time
from pathlib import Path

from framehook.app.child_talk import Talk
from framehook.app.session.training_talk import Stopper


def main():
    talk, stopper = Talk(), Stopper()
    talk.listen(stopper.hear)
    folder = Path(talk.wanted["options"]["save_dir"])
    (folder / "weights").mkdir(parents=True)
    talk.say(wanted=talk.wanted, stage="reading the data", folder=folder)
    print("printed by a library")
    print("printed as an error", file=sys.stderr)
    stopper.begins(talk)  # anything that can be told to stop
    talk.stop = False
    for said in json.loads(Path(talk.wanted["options"]["data"]).read_text()):
        if "wait" in said:
            while not getattr(talk, "stop", False) or said["wait"] == "for ever":
                time.sleep(0.005)
        elif "write" in said:
            (folder / said["write"]).write_bytes(Path(said["from"]).read_bytes() if "from" in said else b"weights")
        else:
            talk.say(
                **{name: str(folder / text) if name in ("best", "last", "picture") else text for name, text in said.items()}
            )
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(1)
