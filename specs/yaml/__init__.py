"""YAML as text: the strict reader, its bounds, and the line and column of everything. Pure; knows no TOSCA."""
