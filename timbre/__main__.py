"""``python -m timbre``: the command ``timbre`` where it is not installed, as inside the checkout."""

from __future__ import annotations

from pysteps.export.commands import main

if __name__ == "__main__":
    main()
