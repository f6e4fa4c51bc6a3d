"""What was seen and what is ours: inventory, journal, runs, locks and caches.

A cache of the world plus a diary: losing it loses history, never control. Does I/O.
"""
