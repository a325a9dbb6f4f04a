"""`python -m orchestrator.cli`: the same as `orchestrate`."""

from orchestrator.cli.main import main

main()
