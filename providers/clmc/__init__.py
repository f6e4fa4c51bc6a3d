"""The monitoring system, CLMC: alert rules as resources, and configuration events beside the metrics.

Two engines watch rules: our own evaluator (`builtin`) and Kapacitor.
"""
