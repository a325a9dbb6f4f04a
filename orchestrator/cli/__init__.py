"""The `orchestrate` command: one module a group of subcommands, each of which calls one public function."""
