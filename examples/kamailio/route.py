"""
A SIP redirect server whose routes come from JSON-RPC servers.

    INVITE  -> get_route [user]: 302 to the contact that is the result;
               404, 480 or 503 if there is none
    BYE     -> the notification ended [user]

This is what the manual of the SIP server's own module shows: a request with a route
for the response and one for errors, a notification, and two groups of servers.
"""

import os

import KSR

import jsonrpcc

SERVERS = os.environ["ROUTING_SERVERS"]  # "host1:port1,2 host2:port2,1"


def mod_init() -> "Routing":
    """Kamailio asks for this once, before it forks its workers."""
    return Routing()


class Routing:
    """The routing script of each worker process."""

    def __init__(self) -> None:
        # Made before the fork, it opens anew in each worker at its first use.
        self.client = jsonrpcc.Client(SERVERS, timeout=0.5)

    def child_init(self, _rank: int) -> int:
        """Kamailio asks for this in each process."""
        return 0

    def ksr_request_route(self, _message: object) -> int:
        """Answer one SIP request."""
        method, user = KSR.pv.get("$rm"), KSR.pv.get("$rU")
        if method == "INVITE":
            self.redirect(user)
        elif method == "BYE":
            # Sent by the client's own thread; nothing here waits for it.
            self.client.notification("ended", [user])
            KSR.sl.sl_send_reply(200, "OK")
        elif method != "ACK":
            KSR.sl.sl_send_reply(405, "Method Not Allowed")
        return 1

    def redirect(self, user: str) -> None:
        """Answer an INVITE."""
        try:
            # Asking for a route changes nothing, so it may be asked twice when a
            # server dies in the middle.
            contact = self.client.call("get_route", [user], idempotent=True)
        except jsonrpcc.RemoteError as error:  # the server said no
            KSR.warn(f"no route to {user}: {error.message}\n")
            KSR.sl.sl_send_reply(404, "Not Found")
        except jsonrpcc.RequestTimeout:
            KSR.sl.sl_send_reply(480, "Temporarily Unavailable")
        except jsonrpcc.JsonRpcError as error:  # no server can be reached
            KSR.err(f"{error}\n")
            KSR.sl.sl_send_reply(503, "Service Unavailable")
        else:
            KSR.hdr.append_to_reply(f"Contact: <{contact}>\r\n")
            KSR.sl.sl_send_reply(302, "Moved Temporarily")
