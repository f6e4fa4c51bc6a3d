"""The command line: reads arguments, calls the loop's parts, shows what they give, and ends with an exit code.

`main` and `parser` import nothing heavy; the module of a command is imported when it runs. Everything that reaches
a terminal goes through `terminal`, which alone decides on colour and lets no control character pass.
"""
