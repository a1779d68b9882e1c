"""Tables of forwards as hypothesis draws them: few addresses and ports, so that they meet."""

from hypothesis import strategies as st

from rules.model import Endpoint, Forward, Purpose

INSIDES = [Endpoint(f"10.0.0.{host}", port) for host in (5, 6) for port in (5060, 16384, 16386)]
PORTS = [5060, 20000, 20002, 20004]
SOURCES = ["198.51.100.7", "198.51.100.8"]


@st.composite
def forwards(draw: st.DrawFn, inside: Endpoint) -> Forward:
    """Some forward for an inside address."""
    return Forward(
        inside,
        draw(st.sampled_from(PORTS)),
        draw(st.sampled_from(Purpose)),
        draw(st.none() | st.frozensets(st.sampled_from(SOURCES))),
        draw(st.sampled_from(("call 3f2a9c01", "registration alice"))),
    )


@st.composite
def changes(draw: st.DrawFn) -> dict[Endpoint, Forward | None]:
    """Some changes, which may ask for one port twice."""
    insides = draw(st.sets(st.sampled_from(INSIDES), max_size=4))
    return {inside: draw(st.none() | forwards(inside)) for inside in sorted(insides)}


@st.composite
def forward_tables(draw: st.DrawFn) -> dict[Endpoint, Forward]:
    """A table in which every port is held once."""
    ports = draw(st.permutations(PORTS))
    insides = draw(st.lists(st.sampled_from(INSIDES), unique=True, max_size=len(PORTS)))
    table = {}
    for inside, port in zip(insides, ports, strict=False):
        drawn = draw(forwards(inside))
        table[inside] = Forward(inside, port, drawn.purpose, drawn.sources, drawn.reason)
    return table
