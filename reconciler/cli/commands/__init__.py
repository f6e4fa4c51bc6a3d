"""One module for each command, with a function `run`; imported only when its command is given."""
