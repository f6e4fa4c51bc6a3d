"""Measured values: one vocabulary, and the stores behind it: embedded, InfluxDB 1.x (InfluxQL), InfluxDB 2.x (Flux).

May do I/O. Knows nothing of alerts, policies or plans.
"""
