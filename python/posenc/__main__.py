"""`python -m posenc` is the command `posenc`."""

from .cli import main

raise SystemExit(main())
