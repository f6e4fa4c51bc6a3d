"""The second judge: tosca-parser, asked about documents that pass our own checks, in a process of its own.

Here is everything it takes to ask it safely: a worker that can touch nothing, what it cannot read, and its
verdicts in our words.
"""
