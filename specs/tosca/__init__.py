"""TOSCA as meaning: imports, types, functions and checks, from documents to sites, services and alerts.

Pure, and only needed where a document is not in the cache; `entries` says which are.
"""
