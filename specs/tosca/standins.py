"""Finds the template of the commit that stands in for an abstract node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from specs.tosca.outlines import Outline, Outlines
from specs.tosca.substitution import MAX_NESTED, inner_inputs
from specs.tosca.topology import SUBSTITUTION_KEYS, NodeTemplate, Setting, Topology

_WANTED = frozenset({"substitute", "substitutable"})
_DIRECTIVES = _WANTED | {"select", "selectable"}


class StandIns:
    """The templates that substitute a node type, as one service sees them."""

    def __init__(
        self, outlines: Outlines, service: Outline, templates: Mapping[str, Sequence[str]], chain: tuple[str, ...] = ()
    ) -> None:
        """`templates` are the paths by node type; `chain` are the templates that stand around."""
        self._outlines = outlines
        self._service = service
        self._templates = templates
        self._chain = chain or (service.path,)

    def inner(self, node: NodeTemplate) -> Topology | None:
        """Give the topology that stands in for a node; None if it is what it says."""
        wanted = self._is_wanted(node)
        paths = [path for path in self._templates.get(node.type.name, ()) if path != self._service.path]
        if not paths:
            if wanted:
                message = (
                    f"no template of this commit substitutes {node.type.name}, as the directive of {node.name!r} asks"
                )
                node.cursor.error("unsubstituted", message, key=True)
            return None
        if len(paths) > 1:
            message = f"several templates substitute {node.type.name}: {', '.join(paths)}; keep one"
            node.cursor.error("ambiguous-substitution", message, key=True)
            return None
        if paths[0] in self._chain or len(self._chain) > MAX_NESTED:
            circle = " -> ".join((*self._chain, paths[0]))
            node.cursor.error(
                "substitution-cycle", f"these templates stand in for each other's nodes: {circle}", key=True
            )
            return None
        return self._open(node, paths[0])

    def _is_wanted(self, node: NodeTemplate) -> bool:
        cursor = node.field("directives")
        words = cursor.texts() if cursor is not None else ()
        for word in words:
            if cursor is not None and word not in _DIRECTIVES:
                cursor.error("unknown-directive", f"{word!r} is no directive; known: {', '.join(sorted(_DIRECTIVES))}")
            elif cursor is not None and word not in _WANTED:
                cursor.warning("not-run", f"{word!r} is not followed: nodes are made, not selected")
        return bool(_WANTED.intersection(words))

    def _open(self, node: NodeTemplate, path: str) -> Topology | None:
        template = self._outlines.of(path)
        if not isinstance(template, Outline) or template.kind != "service":
            return None
        self._service.also_read.update((path, *template.closure.looked_for))
        top = template.top.reporting_to(node.cursor.faults)
        cursor = top.fields()["topology_template"]
        fields = cursor.fields()
        written = fields.get("substitution_mappings")
        declared = frozenset(fields["inputs"].fields()) if "inputs" in fields else frozenset[str]()
        setting = node.topology.setting
        return Topology(
            cursor,
            Setting(
                space=template.space,
                naming=setting.naming.inside(node.name),
                given=inner_inputs(node, written.fields(SUBSTITUTION_KEYS) if written is not None else {}, declared),
                where=f"from {node.name!r} in {node.cursor.source.path}",
                trail=setting.trail,
                inner=StandIns(self._outlines, self._service, self._templates, (*self._chain, path)).inner,
            ),
        )
