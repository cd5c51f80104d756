"""
What chaos does to a place: faults by name.

Each is called with the place and a number of bytes, used by faults that strike in
the middle of something, and returns a function that undoes it, or None.
"""

import signal

import kernel
from chaos_servers import Impostor


def settings(**values):
    def apply(place, _):
        place.tell("set", values)
        return lambda: place.tell("set", dict.fromkeys(values, 0))

    return apply


def stall(*directions):
    def apply(place, _):
        place.tell("stall", *directions)
        return lambda: place.tell("stall")

    return apply


def once(*command):
    def apply(place, _):
        place.tell(*command)

    return apply


def cut(direction, how):
    def apply(place, at):
        place.tell("cut", direction, at, how)

    return apply


def welcome(how):
    def apply(place, _):
        place.tell("set", {"welcome": how})
        place.tell("each", "reset")
        return lambda: place.tell("calm") or place.tell("wild")

    return apply


def refuse(place, _):
    place.tell("refuse")
    place.tell("each", "end")
    return lambda: place.tell("listen")


def refuse_new(place, _):
    place.tell("refuse")
    return lambda: place.tell("listen")


def pause_process(place, _):
    place.send(signal.SIGSTOP)
    return lambda: place.send(signal.SIGCONT)


def kill_and_restart(place, _):
    place.kill()
    return place.start


def kill_and_replace(place, _):
    place.kill()
    impostor = Impostor(place.port)
    return lambda: impostor.end() or place.start()


def kernel_kill(place, _):
    kernel.kill_connections(place.port)


FAULTS = {
    "reset": once("each", "reset"),
    "FIN": once("each", "end"),
    "half close": once("each", "half_close"),
    "reset in a reply": cut("to client", "reset"),
    "FIN in a reply": cut("to client", "end"),
    "half close in a reply": cut("to client", "half_close"),
    "reset in a request": cut("to server", "reset"),
    "FIN in a request": cut("to server", "end"),
    "stalled to server": stall("to server"),
    "stalled to client": stall("to client"),
    "stalled": stall("to server", "to client"),
    "delay 20 ms": settings(delay=0.02),
    "1 byte at a time": settings(chunk=1),
    "7 bytes at a time": settings(chunk=7),
    "32 kB/s": settings(rate=32_000),
    "refused": refuse,
    "new ones refused": refuse_new,
    "accepted and closed": welcome("close"),
    "accepted and reset": welcome("reset"),
    "accepted and silent": welcome("silence"),
    "SIGSTOP": pause_process,
    "SIGKILL, back on the port": kill_and_restart,
    "another service on the port": kill_and_replace,
}
skipped = {}
if kernel.why_no_kill():
    skipped["ss --kill"] = kernel.why_no_kill()
else:
    FAULTS["ss --kill"] = kernel_kill
