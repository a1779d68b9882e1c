"""What the unit's lines take from the daemon, tried under the machine's own systemd."""

from pathlib import Path

from lab.house import House
from lab.machines import ScenarioError

_PROBE = Path(__file__).with_name("probe.py")
_RUN = """
set -e
touch /tmp/probe-was-here
unit=$(systemctl show --property FragmentPath --value sipmasq)
cat >/usr/local/lib/sipmasq-probe
shut=/run/systemd/system/sipmasq-probe-shut.service open=/run/systemd/system/sipmasq-probe-open.service
# the unit itself, with another program and directories of its own
sed -e '/^Type=\\|^Exec\\|^Restart\\|^Watchdog\\|^Description\\|^#/d' \
    -e 's/Directory=sipmasq/Directory=sipmasq-probe/' "$unit" >$shut
sed -i 's,^\\[Service\\],&\\nType=oneshot\\nExecStart=python3 /usr/local/lib/sipmasq-probe,' $shut
printf '[Service]\\nType=oneshot\\nExecStart=python3 /usr/local/lib/sipmasq-probe\\n' >$open
systemctl daemon-reload
for each in shut open; do
    systemctl start sipmasq-probe-$each || true
    invocation=$(systemctl show --property InvocationID --value sipmasq-probe-$each)
    journalctl --no-pager --output cat _SYSTEMD_UNIT=sipmasq-probe-$each.service \
        | sed -n "s/^probe: /$each /p" | sort -u
done
rm -rf /tmp/probe-was-here $shut $open /usr/local/lib/sipmasq-probe /run/sipmasq-probe /var/lib/sipmasq-probe
systemctl daemon-reload
systemctl reset-failed 'sipmasq-probe-*' 2>/dev/null || true
"""


def confinement(house: House) -> str:
    """The same deeds under the unit's lines and without them: all refused, all done."""
    lines = house.router.run(_RUN, stdin=_PROBE.read_text(), timeout=240).splitlines()
    found = {(line.split()[0], line.split()[1]): line.split()[2] for line in lines if line.count(" ") >= 2}
    wanted = {name for _, name in found}
    if not wanted:
        raise ScenarioError("the probe says nothing")
    allowed = sorted(name for name in wanted if found.get(("shut", name)) != "refused")
    powerless = sorted(name for name in wanted if found.get(("open", name)) != "done")
    if allowed or powerless:
        raise ScenarioError(
            f"not refused: {' '.join(allowed) or '-'}; not possible without: {' '.join(powerless) or '-'}"
        )
    return f"{len(wanted)} refused with, done without: {', '.join(sorted(wanted))}"
