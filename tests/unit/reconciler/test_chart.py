"""Drawings of a fabric: what goes over which link, in words, in DOT and as a picture."""

from __future__ import annotations

from math import hypot
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace

from reconciler.chart import Chart, chart_dot, chart_lines, make_chart
from reconciler.chart_svg import chart_svg
from specs.model import Address, Resource, Site
from tests.testbed.sdn.sites import city, ring

NAME = Resource(
    address=Address("bristol/tour/web@ap-1:sdn.name"),
    binding="fabric",
    properties={"fqdn": ["web.example.org"], "at": "ap-1", "to": "edge-2", "links": ["air", "north", "rack-2"]},
)
TREE = Resource(
    address=Address("bristol/tour/store@edge-4.0:sdn.path"),
    binding="fabric",
    properties={"cluster": "edge-4", "address": "ff15::1", "links": ["east", "rack-2", "rack-3", "rack-4"]},
)
PORT = Resource(
    address=Address("bristol/-/north@s1:sdn.port"), binding="fabric", properties={"switch": "s1", "port": 3}
)
WANTED = {resource.address: resource for resource in (NAME, TREE, PORT)}


def chart() -> Chart:
    return make_chart(ring(), WANTED)


def test_every_switch_is_written_with_its_ports() -> None:
    lines = [str(line) for line in chart_lines(chart())]

    assert lines[0] == "bristol: 3 switches, 7 links"
    assert lines[lines.index("  s1") + 1 :][:3] == [
        "      1  air    ap-1  1 ms, 1000 Mbit/s, cost 1",
        "      3  north  s2:3  1 ms, 1000 Mbit/s, cost 1",
        "      4  south  s3:4  1 ms, 1000 Mbit/s, cost 1.5",
    ]


def test_a_way_and_a_tree_are_written_from_where_they_begin() -> None:
    text = "\n".join(map(str, chart_lines(chart())))

    assert text.endswith(
        """
  bristol/tour/store@edge-4.0:sdn.path  ff15::1
    edge-4
      rack-4 → s3
        east → s2
          rack-2 → edge-2
        rack-3 → edge-3

  bristol/tour/web@ap-1:sdn.name  web.example.org
    ap-1
      air → s1
        north → s2
          rack-2 → edge-2"""
    )


def test_links_that_close_a_circle_are_walked_once() -> None:
    loop = replace(TREE, properties={"cluster": "edge-4", "links": ["rack-4", "north", "east", "south"]})
    circle = make_chart(ring(), {loop.address: loop})
    (course,) = circle.courses

    assert [step.end for step in circle.steps(course)] == ["s3", "s2", "s1"]


def test_dot_has_a_cable_for_every_link_and_an_arrow_for_every_step() -> None:
    lines = list(chart_dot(chart()))

    assert sum("dir = none" in line for line in lines) == 7
    assert [line for line in lines if "sdn.name" in line] == [
        f'  {arrow} [color = "#d55e00", tooltip = "bristol/tour/web@ap-1:sdn.name"];'
        for arrow in ('"ap-1" -> "s1"', '"s1" -> "s2"', '"s2" -> "edge-2"')
    ]


def test_a_picture_names_everything_and_stays_well_formed() -> None:
    hostile = Resource(
        address=NAME.address, binding="fabric", properties={**NAME.properties, "fqdn": ['</text><script>"&']}
    )
    root = ElementTree.fromstring("\n".join(chart_svg(make_chart(ring(), {NAME.address: hostile}))))
    texts = ["".join(node.itertext()) for node in root.iter() if node.tag.endswith("}text")]

    assert {"s1", "s2", "s3", "ap-1", "edge-2", "edge-3", "edge-4", "north", "south", "air"} <= set(texts)
    assert texts[-1] == 'bristol/tour/web@ap-1:sdn.name  </text><script>"&'
    assert not [node for node in root.iter() if "script" in node.tag]


@pytest.mark.parametrize("site", [ring(), city(areas=2, switches=4, extra=1), city(areas=3, switches=8, extra=4)])
def test_nothing_in_a_picture_covers_anything_else(site: Site) -> None:
    root = ElementTree.fromstring("\n".join(chart_svg(make_chart(site, {}))))
    spots = [
        (float(node.attrib["x"]), float(node.attrib["y"]))
        for node in root.iter()
        if node.tag.endswith("}rect") and "rx" in node.attrib
    ]
    distances = [hypot(x - u, y - v) for n, (x, y) in enumerate(spots) for u, v in spots[:n]]

    assert min(distances) > 40
    assert all(0 < x < float(root.attrib["width"]) and 0 < y < float(root.attrib["height"]) for x, y in spots)
