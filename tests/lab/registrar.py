"""The provider: kamailio as registrar and proxy that believes what phones say of themselves.

It repairs nothing (no nathelper, no media relay): a call works only if Contact and SDP came in right.
"""

import re
import time
from collections.abc import Iterator
from pathlib import Path

from tests.lab.topology import PROVIDER
from tests.support.netns import Namespace
from tests.support.process import Process

PASSWORD = "only-for-the-lab"  # noqa: S105  # guards nothing outside the lab's namespaces
PORT = 5060

_CONFIG = """
debug=0
log_stderror=yes
fork=yes
children=2
disable_tcp=yes
auto_aliases=no
dns=no
rev_dns=no
user_agent_header="User-Agent: lab provider"
server_header="Server: lab provider"
listen=udp:{address}:{port}

loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "textopsx.so"
loadmodule "siputils.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"

modparam("usrloc", "db_mode", 0)
modparam("registrar", "append_branches", 1)
modparam("registrar", "min_expires", 1)
modparam("registrar", "max_expires", {expires})
modparam("tm", "fr_timer", 5000)
modparam("tm", "fr_inv_timer", 30000)

request_route {{
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    {forget_rport}
    if (is_method("CANCEL")) {{
        if (t_check_trans()) t_relay();
        exit;
    }}
    if (has_totag()) {{
        if (loose_route() || uri != myself) {{ t_relay(); exit; }}
        if (!is_method("ACK")) sl_send_reply("404", "No Such Dialog");
        exit;
    }}
    t_check_trans();
    if (is_method("OPTIONS") && uri == myself && $rU == $null) {{ sl_send_reply("200", "OK"); exit; }}
    {authenticate}
    if (is_method("REGISTER")) {{ save("location"); exit; }}
    remove_hf("Route");
    if (is_method("INVITE|SUBSCRIBE")) record_route();
    if (uri == myself && !lookup("location")) {{ sl_send_reply("404", "Not Registered"); exit; }}
    if (!t_relay()) sl_reply_error();
}}
"""

_AUTHENTICATE = f"""
    if (src_ip != myself) {{
        if (!pv_auth_check("$fd", "{PASSWORD}", "0", "1")) {{ auth_challenge("$fd", "0"); exit; }}
        consume_credentials();
    }}
"""

# answers then go to the port in Via, as RFC 3261 section 18.2.2 has it where rport is unknown
_FORGET_RPORT = r"""
    if (subst_hf("Via", "/;rport(=[0-9]*)?//", "f")) msg_apply_changes();
"""


class Registrar:
    """A running registrar and proxy for its `domain`, the address `PROVIDER` and the port if it is another one.

    With `auth`, requests need digest credentials: the user's own name and `PASSWORD`. `expires` is the
    longest registration it grants, in seconds.
    """

    def __init__(
        self,
        host: Namespace,
        directory: Path,
        *,
        port: int = PORT,
        auth: bool = False,
        rport: bool = True,
        expires: int = 3600,
    ) -> None:
        self._host, self._port = host, port
        self.domain = PROVIDER if port == PORT else f"{PROVIDER}:{port}"
        config = directory / "kamailio.cfg"
        config.write_text(
            _CONFIG.format(
                address=PROVIDER,
                port=port,
                expires=expires,
                authenticate=_AUTHENTICATE if auth else "",
                forget_rport="" if rport else _FORGET_RPORT,
            )
        )
        self.process = Process(
            host, "kamailio",
            "kamailio", "-DD", "-E", "-f", str(config), "-Y", str(directory), "-w", str(directory),
            "-m", "16", "-M", "4",
            directory=directory,
        )  # fmt: skip
        try:
            self._wait_ready()
        except BaseException:
            self.close()
            raise

    def contacts(self, user: str) -> list[str]:
        """The Contact URIs registered for `user`, as the registrar would use them."""
        answer = self._ask("REGISTER", f"sip:{user}@{self.domain}", timeout=2)
        if answer is None:
            raise AssertionError(f"kamailio does not say who is registered as {user!r}; see kamailio.log")
        return list(_contacts(answer))

    def close(self) -> None:
        self.process.stop()

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + 10
        while self._ask("OPTIONS", f"sip:{self.domain}", timeout=0.1) is None:
            if not self.process.running or time.monotonic() > deadline:
                last = "\n".join(list(self.process.lines)[-25:])
                raise AssertionError(f"kamailio does not answer OPTIONS; it said last:\n{last}")

    def _ask(self, method: str, target: str, timeout: float) -> str | None:
        with self._host.open_socket() as handle:
            handle.bind((PROVIDER, 0))
            handle.settimeout(timeout)
            port = handle.getsockname()[1]
            request = (
                f"{method} sip:{self.domain} SIP/2.0\r\n"
                f"Via: SIP/2.0/UDP {PROVIDER}:{port};branch=z9hG4bK{time.monotonic_ns()}\r\n"
                f"Max-Forwards: 70\r\nFrom: <{target}>;tag=lab\r\nTo: <{target}>\r\n"
                f"Call-ID: {time.monotonic_ns()}@lab\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
            )
            handle.sendto(request.encode(), (PROVIDER, self._port))
            try:
                return handle.recv(65535).decode()
            except TimeoutError:
                return None


def _contacts(answer: str) -> Iterator[str]:
    for header in re.findall(r"^Contact: *(.*?)\r$", answer, re.MULTILINE):
        yield from re.findall(r"<([^>]+)>", header)
