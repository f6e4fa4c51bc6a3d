"""The embedded provider: an emulated site in one SQLite file, which outlives the process.

`expand` and `fabric` say what a service needs (pure); `world` is the emulated site and its rules; `provider` speaks the
protocol; `faults` lets calls go wrong by script; `sabotage` is what other people do to the site behind our back.
"""
