"""left.py WORK [KEEP]: cancel what killed runs have left in a queue for this work folder, whatever their tag.

Their jobs would replace what the run that begins now writes. Records lie in WORK/exp/TAG/log/.slurm/NAME.json
and .sge/NAME; the one at KEEP stays to its own launcher. Where the queue cannot be asked nothing may begin:
exit status 1. Standard library only.
"""

from __future__ import annotations

import glob
import os
import sys

from arrays import Queue
from contract import QueueError, Request
from grid import Grid
from jobs import Events, Stopped


def main(work: str, keep: str = "") -> int:
    events = Events()
    logs = os.path.join(glob.escape(work), "exp", "*", "log")
    for record in sorted(glob.glob(os.path.join(logs, ".slurm", "*.json")) + glob.glob(f"{logs}/.sge/*")):
        base = record.removesuffix(".json")
        if keep and os.path.exists(keep + ".json") and os.path.samefile(record, keep + ".json"):
            continue
        folder, name = os.path.split(base)
        # The fan-out's name is all that is known: no command is like the recorded one, so it is cancelled.
        request = Request({}, None, range(1, 2), os.path.join(os.path.dirname(folder), name + ".log"), [])
        try:
            if os.path.basename(folder) == ".slurm":
                Queue(request, {}, events).adopt()
            else:
                Grid(request, {}, events).delete_left_over()
        except Stopped:
            return 128 + (events.signal or 0)
        except (QueueError, OSError, ValueError) as error:
            mend = f"if nothing of it runs any more, remove {record}"
            sys.stderr.write(f"error: jobs of an earlier run may still write here: {error}; {mend}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
