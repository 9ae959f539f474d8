"""Parts that several subcommands share: options, selections, tables, lines and progress."""
