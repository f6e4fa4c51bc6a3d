"""`reconciler rollback REV`: revert a commit by a new one; the world follows when that is applied."""

from __future__ import annotations

from reconciler.cli.exits import Exit
from reconciler.cli.opening import place_of
from reconciler.cli.parser import Options
from reconciler.cli.terminal import Screen
from reconciler.project import opened
from specs.errors import SettingsError


def run(options: Options, screen: Screen) -> Exit:
    """Revert one commit of the branch; with a repository elsewhere the new commit is pushed."""
    if options.local or options.revision:
        raise SettingsError("a rollback is a commit on the branch; leave out --local and --revision")
    with opened(place_of(options)) as project:
        repository = project.repository
        undone = repository.resolve(options.rev)
        made = repository.revert(undone, repository.author())
        branch = repository.branch
    if options.json:
        screen.document({"reverted": undone, "commit": made, "branch": branch})
    else:
        screen.show([f"{made[:12]} on {branch} reverts {undone[:12]}; the loop applies it, or: reconciler apply"])
    return Exit.DONE
