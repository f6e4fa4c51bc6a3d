"""The inner parts of `specs.repository`: where pygit2 lives.

Addresses, credentials, the network, trees of objects, work trees and signatures of git. Outside this
folder only `specs.repository` and `specs.worktree` know pygit2, and nobody else imports from here.
"""
