"""Figures of the whole program, and repositories to take them on; not part of the distribution."""
